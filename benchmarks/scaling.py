"""How much of the time of 1, 2 and 4 nodes a study uses: a fixed design, and a search with twice as many virtual slots.

The nodes are Ray nodes of one slot each on this machine, and trials sleep (half a second and more a fold, by computed
cost), so that what is measured is the driver, Tune and the waiting of the search, and not the processors.

    python benchmarks/scaling.py [TRIALS]
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ray.cluster_utils import Cluster

from search_spaces.spec import Resources
from search_spaces.study_file import load_study
from study.data.clips import Clips
from study.planning import prepared_study
from study.planning.plan import fold_cost
from study.scheduling import driver
from study.scheduling.ray_executor import RayTune
from study.training.protocol import loso
from study.trials.fold_identity import Arithmetic, fold_key
from study.trials.trial import Done, FoldResult, Trial

FOLDS = 4
SECONDS = 0.5  # of the cheapest fold
STUDY = """
name: {name}
dataset: {{reader: synthetic, options: {{subjects: 4, clips: 3}}}}
baseline: {{architecture: full_face, frames: 8, crop: 16, kernel_time: 3, filters: 4, epochs: 1}}
resources: {{memory: 0.1}}
stages: {{{stage}}}
"""
FIXED = (
    "ablate: {{design: factorial, seeds: {seeds},"
    " factors: {{learning_rate: [0.001, 0.003, 0.01, 0.03], momentum: [0.0, 0.9]}}}}"
)
SEARCH = (
    "search: {{design: search, race: none, proposals: {trials}, virtual_slots: {slots},"
    " factors: {{frames: [8, 10, 12], learning_rate: {{low: 1e-3, high: 0.1, log: true}}}}}}"
)


@dataclass(frozen=True)
class Sleep:
    """A trial that sleeps `scale` seconds for each unit of a fold's computed cost, and predicts the truth."""

    scale: float

    def seconds(self, trial: Trial, clips: Clips) -> float:
        return self.scale * fold_cost(trial.config, len(clips), len(clips.classes))

    def __call__(
        self, trial: Trial, clips: Clips, done: Mapping[str, Done], resources: Resources
    ) -> Iterator[list[FoldResult]]:
        seconds = self.seconds(trial, clips)
        for seed in trial.seeds:
            for fold in loso(clips, seed):
                time.sleep(seconds)
                true = [clips.classes[label] for label in clips.labels[fold.test]]
                said = [[float(c == t) for c in clips.classes] for t in true]
                rows = json.dumps(list(zip(clips.ids[fold.test].tolist(), true, true, said, strict=True)))
                key, made = fold_key(trial.config, clips, fold), Arithmetic("cpu", "", 1, "", "float32", 1)
                yield [FoldResult(key, made, trial.config.key(), seed, fold.held_out, rows, seconds, 1.0, "here")]


def run(nodes: int, stage: str, name: str, trials: int, storage: Path) -> float:
    """Share of the nodes' time, from the first fold's start to the last one's end, in which they slept for a trial."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    for _ in range(nodes - 1):
        cluster.add_node(num_cpus=1)
    try:
        text = STUDY.format(name=name, stage=stage.format(trials=trials, seeds=trials // 8, slots=2 * nodes))
        file = storage / f"{name}.yaml"
        file.write_text(text)
        study = prepared_study.prepare(load_study(file, {"storage": str(storage)}), text)
        clips = prepared_study.load_clips(study)
        cheapest = fold_cost(study.spec.baseline_config(), len(clips), len(clips.classes))
        with driver.begun(study, clips) as ledger:
            executor = RayTune(address=cluster.address, run=Sleep(SECONDS / cheapest))
            driver.train(study, clips, ledger, executor)
        return _used(study.folder, nodes)
    finally:
        cluster.shutdown()


def _used(folder: Path, nodes: int) -> float:
    from study.ledger.schema import read_only

    db = read_only(folder)
    slept = [(row["seconds"], row["ended"]) for row in db.execute("select seconds, ended from fold")]
    db.close()
    began = min(ended - seconds for seconds, ended in slept)
    return sum(seconds for seconds, _ in slept) / (nodes * (max(ended for _, ended in slept) - began))


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 64
    print(f"{trials} trials of {FOLDS} folds that sleep; share of the nodes' time that is used")
    for design, stage in (("fixed", FIXED), ("search", SEARCH)):
        for nodes in (1, 2, 4):
            with tempfile.TemporaryDirectory() as storage:
                used = run(nodes, stage, f"{design}_{nodes}", trials, Path(storage))
            print(f"{design:7} {nodes} nodes  {used:6.1%}", flush=True)


if __name__ == "__main__":
    main()
