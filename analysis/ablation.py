"""What a study found of each of its arms: scores, comparisons with the baseline, and what is missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from analysis import metrics
from analysis.confusion import Confusions, Counts, confusions
from analysis.inference import Comparison, Interval, Swaps, compare, interval, swaps
from analysis.results import Arm, Results
from search_spaces.config import Control

Kind = Literal["baseline", "variant", "null", "control"]
CONTROLS = frozenset(get_args(Control)) - {"none"}


@dataclass(frozen=True, eq=False)
class Score:
    """Pooled metrics of one configuration, each the mean over its S seeds. counts: [N subjects, S, K, K].

    seed_sd: standard deviation of UF1 over seeds, None for one seed. macro_precision and precision are NaN where a
    class is never predicted. chance: UF1 expected of predictions that have nothing to do with the labels.
    """

    counts: Counts
    interval: Interval
    uf1: tuple[float, ...]
    seed_sd: float | None
    uar: float
    accuracy: float
    macro_precision: float
    f1: tuple[float, ...]
    recall: tuple[float, ...]
    precision: tuple[float, ...]
    chance: float

    @classmethod
    def of(cls, counts: Counts) -> "Score":
        pooled = counts.sum(0)
        uf1 = metrics.uf1(pooled)
        return cls(
            counts=counts,
            interval=interval(counts),
            uf1=tuple(uf1.tolist()),
            seed_sd=float(uf1.std(ddof=1)) if len(uf1) > 1 else None,
            uar=float(metrics.uar(pooled).mean()),
            accuracy=float(metrics.accuracy(pooled).mean()),
            macro_precision=float(metrics.macro_precision(pooled).mean()),
            f1=tuple(metrics.f1(pooled).mean(0).tolist()),
            recall=tuple(metrics.recall(pooled).mean(0).tolist()),
            precision=tuple(metrics.precision(pooled).mean(0).tolist()),
            chance=float(metrics.chance(counts).mean()),
        )


@dataclass(frozen=True)
class Cost:
    """What a configuration costs; seconds are of one LOSO run (one seed). None where no trial told."""

    parameters: int | None
    multiply_adds: int | None
    seconds: float | None

    @classmethod
    def of(cls, trials: pd.DataFrame) -> "Cost":
        """Of the trials of one configuration, complete or not."""
        done = trials[trials.state == "complete"]
        runs = done.seeds.map(len).sum()
        told = bool(len(done)) and bool(done.seconds.notna().all())
        return cls(_first(trials.parameters), _first(trials.multiply_adds), float(done.seconds.sum() / runs) if told else None)


@dataclass(frozen=True, eq=False)
class Finding:
    """An arm and what came of it. score is None unless all its trials are complete; missing says why, in words."""

    arm: Arm
    kind: Kind
    score: Score | None
    comparison: Comparison | None
    missing: str | None
    cost: Cost
    seeds: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Ablation:
    """A stage's arms in the order of the table: baseline, variants, null, controls. swaps: of all its tests."""

    stage: str
    findings: tuple[Finding, ...]
    subjects: int
    swaps: Swaps | None

    @property
    def baseline(self) -> Finding | None:
        return next((finding for finding in self.findings if finding.kind == "baseline"), None)

    @property
    def family(self) -> tuple[Finding, ...]:
        """The rows that the correction for multiplicity counts: variants that could be compared."""
        return tuple(f for f in self.findings if f.kind == "variant" and f.comparison)

    def above_chance(self) -> tuple[Finding, ...]:
        """Arms with permuted labels whose interval lies above chance: a leak, or a mistake in the evaluation."""
        return tuple(f for f in self.findings if is_permuted(f.arm) and f.score and f.score.interval.low > f.score.chance)


def ablations(results: Results) -> tuple[Ablation, ...]:
    """One for each stage that has arms, in the order of the study: the last makes the study's claims."""
    counted = confusions(results)
    stages = dict.fromkeys(arm.stage for arm in results.metadata.arms)
    return tuple(ablation(results, counted, stage) for stage in stages)


def ablation(results: Results, counted: Confusions, stage: str) -> Ablation:
    """Score every arm of a stage and compare it with the stage's baseline by subjects."""
    order = ("baseline", "variant", "null", "control")
    arms = [arm for arm in results.metadata.arms if arm.stage == stage]
    arms.sort(key=lambda arm: order.index(kind(arm, results.metadata.baseline)))
    findings = [_finding(arm, results, counted) for arm in arms]
    base = next((f.score for f in findings if f.kind == "baseline"), None)
    found = tuple(findings) if base is None else _compared(findings, base)
    return Ablation(stage, found, len(counted.subjects), None if base is None else swaps(len(counted.subjects)))


def kind(arm: Arm, baseline: str | None) -> Kind:
    """What an arm is in the table. A control takes something away from the data, not from the model."""
    if arm.arm == baseline:
        return "baseline"
    if arm.arm == "null":
        return "null"
    return "variant" if control(arm) is None else "control"


def control(arm: Arm) -> str | None:
    """Which control an arm is, by its changes or its name; None if it is none."""
    return next((name for name in (arm.changes.get("control"), arm.arm) if name in CONTROLS), None)


def is_permuted(arm: Arm) -> bool:
    """Whether the arm trains on labels permuted within subjects."""
    return control(arm) == "permuted_labels"


def _finding(arm: Arm, results: Results, counted: Confusions) -> Finding:
    """An arm by itself."""
    trials = results.trials[(results.trials.arm == arm.arm) & (results.trials.stage == arm.stage)]
    missing = _missing(arm, trials)
    score = Score.of(counted.of(trials.trial.tolist())) if missing is None else None
    seeds = tuple(sorted(int(seed) for seeds in trials[trials.state == "complete"].seeds for seed in seeds))
    return Finding(arm, kind(arm, results.metadata.baseline), score, None, missing, Cost.of(trials), seeds)


def _missing(arm: Arm, trials: pd.DataFrame) -> str | None:
    """Why an arm has no score, in words; None if all its trials are complete."""
    if arm.impossible is not None:
        return f"impossible: {arm.impossible}"
    if trials.empty:
        return "not run"
    short = trials[trials.state != "complete"]
    if short.empty:
        return None
    reasons = [f"{_seeds(run.seeds)} {run.state}{f' ({run.why})' if run.why else ''}" for run in short.itertuples()]
    done = sum(map(len, trials[trials.state == "complete"].seeds))
    return f"incomplete, {done} of {sum(map(len, trials.seeds))} seeds: {'; '.join(reasons)}"


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(str(seed) for seed in seeds)}"


def _compared(findings: list[Finding], base: Score) -> tuple[Finding, ...]:
    """The findings with their comparisons, all from one set of swaps; the family is the variants."""
    ready = {
        f.arm.arm: f.score.counts
        for f in findings
        if f.kind != "baseline" and f.score and f.score.counts.shape == base.counts.shape
    }
    family = [f.arm.arm for f in findings if f.kind == "variant" and f.arm.arm in ready]
    compared = compare(base.counts, ready, family)
    return tuple(_with(f, compared.get(f.arm.arm), base) for f in findings)


def _with(finding: Finding, comparison: Comparison | None, base: Score) -> Finding:
    missing = finding.missing
    if finding.kind != "baseline" and finding.score and comparison is None:
        missing = f"not compared: {len(finding.score.uf1)} seeds, the baseline has {len(base.uf1)}"
    return Finding(finding.arm, finding.kind, finding.score, comparison, missing, finding.cost, finding.seeds)


def _first(values: "pd.Series[float]") -> int | None:
    known = values.dropna()
    return int(known.iloc[0]) if len(known) else None


def median_detectable(findings: Sequence[Finding]) -> float | None:
    """Median over the compared rows of the minimum detectable difference."""
    sizes = [finding.comparison.detectable for finding in findings if finding.comparison]
    return float(np.median(sizes)) if sizes else None
