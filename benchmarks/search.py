"""How far from the best a search ends: every sampler, through the proposals that a study makes.

    python -m benchmarks.search [REPETITIONS]

Made-up UF1 of six factors, other ones in each repetition: `smooth` adds up what each factor is worth; in `rough` pairs
of factors interact and learning rates above a cliff fail. A trial sees it with noise of SD .01. Regret: true UF1 of the
best configuration there is less that of the one with the best score, in points (UF1 x 100). Proposals know what eight
virtual slots let them know, the baseline comes first, and nothing is proposed twice.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from search_spaces.config import TrialConfig, architecture
from search_spaces.factor_schema import Levels, Space
from search_spaces.spec import Dataset, Search, StudySpec
from study.ledger.writer import Ledger, Outcome
from study.search.proposals import Proposals
from study.trials.subject_order import Course

SEED = 20269
REPETITIONS = 200
NOISE = 0.01
LISTS = {
    "architecture": ["full_face", "fusion_intermediate", "fusion_late"],
    "depth": [1, 2, 3, 4],
    "frames": [8, 12, 18, 24, 32],
    "crop": [32, 48, 64, 80],
}
LEARNING_RATE, DROPOUT = (1e-4, 1e-1), (0.0, 0.8)
# Sampler, share of the repetitions, proposals: a GP's cost grows fast, TPE after 40 is what random after 80 is held to.
SAMPLERS = (("tpe", 1.0, 40), ("gp", 0.1, 40), ("qmc", 1.0, 80), ("random", 1.0, 80))
SHOWN = (20, 40, 80)
SCALE = {"smooth": 0.6, "rough": 0.68}  # so that random search ends 2.9 and 3.1 points from the best after 40 trials


@dataclass(frozen=True)
class Truth:
    """A made-up UF1: what levels are worth, alone and in pairs, and where learning rate and dropout are best.

    pairs: by two factors, a table of what they are worth together; cliff: log10 of the learning rate that fails.
    """

    scale: float
    alone: dict[str, np.ndarray]
    pairs: dict[tuple[str, str], np.ndarray]
    rate: float
    dropout: float
    cliff: float

    @classmethod
    def draw(cls, kind: str, repetition: int) -> "Truth":
        generator = np.random.default_rng([SEED, repetition, kind == "rough"])
        ordered = {name: len(levels) for name, levels in LISTS.items() if name != "architecture"}
        scale = SCALE[kind]
        alone = {name: -0.02 * scale * np.abs(np.arange(n) - generator.integers(n)) for name, n in ordered.items()}
        alone["architecture"] = scale * generator.permutation([0.0, -0.015, -0.03])
        rate, dropout = generator.uniform(-3, -1.5), generator.uniform(0.1, 0.6)
        if kind == "smooth":
            return cls(scale, alone, {}, rate, dropout, np.inf)
        together = [("architecture", "depth"), ("frames", "crop"), ("depth", "frames")]
        pairs = {pair: generator.normal(0, 0.015 * scale, [len(LISTS[name]) for name in pair]) for pair in together}
        return cls(scale, {name: worth / 2 for name, worth in alone.items()}, pairs, rate, dropout, rate + 0.4)

    def uf1(self, config: TrialConfig) -> float:
        at = {name: LISTS[name].index(getattr(config, name)) for name in LISTS if name != "architecture"}
        rate = np.log10(config.learning_rate)
        rest = -self.scale * (0.03 * (rate - self.rate) ** 2 + 0.15 * (config.dropout - self.dropout) ** 2)
        return self._listed(at | {"architecture": LISTS["architecture"].index(architecture(config))}) + float(
            rest - 0.15 * (rate > self.cliff)
        )

    def best(self) -> float:
        """The most that any configuration is worth."""
        cells = product(*(range(len(levels)) for levels in LISTS.values()))
        return max(self._listed(dict(zip(LISTS, cell, strict=True))) for cell in cells)

    def _listed(self, at: dict[str, int]) -> float:
        together = sum(worth[at[one], at[other]] for (one, other), worth in self.pairs.items())
        return 0.7 + float(sum(worth[at[name]] for name, worth in self.alone.items()) + together)


def regrets(truth: Truth, sampler: str, proposals: int, repetition: int, folder: Path) -> np.ndarray:
    """Regret after 1, 2, ... proposals [proposals], in points."""
    noise = NOISE * np.random.default_rng([SEED, repetition]).standard_normal(proposals)
    spec = study(sampler, proposals, repetition)
    seen, true = [], []
    with Ledger(folder) as ledger, ledger.transaction():
        source = Proposals("search", spec, ledger, Course(("s",), ("a",)), cost, lambda config: [])
        while (trial := source.next()) is not None:
            true.append(truth.uf1(trial.config))
            seen.append(true[-1] + noise[len(seen)])
            ledger.settle(trial.number, Outcome("complete", 1, seen[-1]))
    chosen = [int(np.argmax(seen[: n + 1])) for n in range(proposals)]
    return 100 * (truth.best() - np.array(true)[chosen])


def study(sampler: str, proposals: int, repetition: int) -> StudySpec:
    """A search of the six factors; another one in each repetition, since a search's seeds follow from its identity."""
    ranges = {
        "learning_rate": {"low": LEARNING_RATE[0], "high": LEARNING_RATE[1], "log": True},
        "dropout": {"low": DROPOUT[0], "high": DROPOUT[1]},
    }
    space = Space.model_validate(LISTS | ranges)
    search = Search(design="search", proposals=proposals, factors=space, sampler=sampler, race="none")
    baseline = Levels(epochs=100 + repetition)
    return StudySpec(name="x", dataset=Dataset(path="x"), baseline=baseline, stages={"search": search})


def cost(config: TrialConfig) -> float:
    return float(config.frames * config.crop**2)


def measure(kind: str, sampler: str, repetitions: int, proposals: int) -> np.ndarray:
    """Regrets [repetitions, proposals]."""
    with tempfile.TemporaryDirectory() as folder:
        own = [
            regrets(Truth.draw(kind, repetition), sampler, proposals, repetition, Path(folder) / str(repetition))
            for repetition in range(repetitions)
        ]
    return np.array(own)


def told_apart(guided: np.ndarray, random: np.ndarray) -> tuple[float, float]:
    """Mean difference of the guided search's regret after 40 and the random one's after 80, and its standard error."""
    difference = guided[:, 39] - random[: len(guided), 79]
    return float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(len(difference)))


def main(timer: Callable[[], float] = time.process_time) -> None:
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else REPETITIONS
    for kind in ("smooth", "rough"):
        print(f"\n{kind}: regret in points ± s.e. after {', '.join(map(str, SHOWN))} trials, seed {SEED}")
        found = {}
        for sampler, share, proposals in SAMPLERS:
            began, number = timer(), max(2, round(share * repetitions))
            found[sampler] = own = measure(kind, sampler, number, proposals)
            errors = own.std(0, ddof=1) / np.sqrt(number)
            shown = "  ".join(f"{own[:, n - 1].mean():5.2f} ±{errors[n - 1]:.2f}" for n in SHOWN if n <= proposals)
            milliseconds = 1000 * (timer() - began) / number / proposals
            print(f"{sampler:<7} {shown:<38} {number:4d} repetitions, {milliseconds:4.0f} ms a proposal", flush=True)
        mean, error = told_apart(found["tpe"], found["random"])
        verdict = "not above" if mean <= 2 * error else "ABOVE"
        print(f"tpe after 40 less random after 80: {mean:+.2f} ±{error:.2f}: {verdict} by more than 2 s.e.")


if __name__ == "__main__":
    main()
