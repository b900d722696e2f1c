"""How long a large report takes: 60 configurations, 68 subjects, 3 seeds, 442 clips.

    python benchmarks/report.py

prints the seconds of the statistics alone (intervals, swap tests with max-T, bootstraps, selection) and of the whole
report, every file written. Bounds: 5 s and 30 s on 2 cores.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.questions import selection
from analysis.report.report import publish, report
from analysis.results.load import load_results
from analysis.stats import bootstrap, inference
from analysis.stats.confusion import Confusions, confusions
from analysis.stats.scores import Score

CONFIGURATIONS, SUBJECTS, SEEDS, CLIPS = 60, 68, 3, 442
CLASSES = ("negative", "positive", "surprise")


def predictions() -> pd.DataFrame:
    """A table as any group may have it: configurations differ a little in how often they are right."""
    generator = np.random.default_rng(0)
    subject = np.sort(np.r_[np.arange(SUBJECTS), generator.integers(0, SUBJECTS, CLIPS - SUBJECTS)])
    truth = generator.choice(3, CLIPS, p=[0.57, 0.25, 0.18])
    easy = generator.standard_normal(CLIPS)
    frames = []
    for configuration in range(CONFIGURATIONS):
        for seed in range(SEEDS):
            right = easy + generator.standard_normal(CLIPS) < 0.4 + 0.01 * configuration
            label = np.where(right, truth, generator.choice(3, CLIPS))
            frame = pd.DataFrame({"subject": subject, "clip_id": np.arange(CLIPS), "seed": seed})
            frame["y_true"], frame["y_pred"] = np.array(CLASSES)[truth], np.array(CLASSES)[label]
            depth, width, drop = configuration % 3, configuration // 3 % 4, configuration // 12
            frames.append(frame.assign(configuration=f"c{configuration:02d}", depth=depth, width=width, drop=drop))
    return pd.concat(frames)


def statistics(counted: Confusions) -> None:
    """What the issue counts as the statistics: every interval, comparison, bootstrap and the selection."""
    arms = {f"c{trial:02d}": counted.of([trial]) for trial in range(CONFIGURATIONS)}
    scores = {name: Score.of(counts) for name, counts in arms.items()}
    base, *others = scores
    inference.compare(arms[base], {name: arms[name] for name in others}, others)
    drawn = bootstrap.draws(SUBJECTS)
    for counts in arms.values():
        bootstrap.bootstrap_t(counts, drawn)
        bootstrap.expanded_percentile(counts, drawn)
    selection.bbc(np.stack(list(arms.values())))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "predictions.csv"
        predictions().to_csv(table, index=False)
        start = time.perf_counter()
        results = load_results(table, baseline="c00")
        loaded = time.perf_counter()
        statistics(confusions(results))
        computed = time.perf_counter()
        publish(report(results), Path(folder) / "report")
        written = time.perf_counter()
        size = (Path(folder) / "report" / "report.html").stat().st_size
    print(f"swaps {inference.RESAMPLES:,}, bootstrap draws {bootstrap.DRAWS:,}")
    print(f"loading    {loaded - start:6.2f} s  ({CONFIGURATIONS * SEEDS * CLIPS:,} predictions)")
    print(f"statistics {computed - loaded:6.2f} s")
    print(f"report     {written - computed + loaded - start:6.2f} s with loading; report.html {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
