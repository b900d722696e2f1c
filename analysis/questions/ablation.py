"""What a study found of each of its arms: scores, comparisons with the baseline, and what is missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from analysis.questions.choice import chosen
from analysis.questions.constant_answers import Constant, OneAnswer, one_answer
from analysis.questions.factors import effective
from analysis.questions.leaks import Shuffled
from analysis.questions.published_practice import DOUBLE_DAGGER, apart, marks
from analysis.questions.winner import WINNER, winner
from analysis.results.results import Arm, Results, Trial
from analysis.stats.confusion import Confusions, Counts, confusions
from analysis.stats.inference import Comparison, compare
from analysis.stats.scores import Cost, Score
from search_spaces.config import Control

Kind = Literal["baseline", "variant", "null", "control"]
CONTROLS = frozenset(get_args(Control)) - {"none"}


@dataclass(frozen=True)
class Gap:
    """What an arm lacks, in a word for the table, and why."""

    state: Literal["impossible", "not run", "incomplete", "not compared", "not tested"]
    reason: str


@dataclass(frozen=True, eq=False)
class Finding:
    """An arm and what came of it. score is None unless all its trials are complete.

    chosen: whether its comparison is with a configuration that a search chose, on either side. tested: the score on the
    subjects that had no vote in that choice, where there are such. shuffled: what a control with shuffled labels shows.
    marks: daggers of a practice that no claim may rest on. difference: to the baseline, with an interval where subjects
    allow one, of a row that is not tested against it.
    """

    arm: Arm
    kind: Kind
    score: Score | None
    comparison: Comparison | None
    gap: Gap | None
    cost: Cost
    seeds: tuple[int, ...]
    chosen: bool = False
    tested: Score | None = None
    shuffled: Shuffled | None = None
    marks: str = ""
    difference: tuple[float, float | None, float | None] | None = None

    @property
    def uncounted(self) -> bool:
        """Whether the correction for multiplicity does not count it: it could not be built, or is not tested."""
        return self.gap is not None and self.gap.state in ("impossible", "not tested")

    @property
    def span(self) -> tuple[float, float | None, float | None] | None:
        """UF1 with its interval, whose ends are None where subjects are trained and tested on; None without a score."""
        if self.score is None:
            return None
        own = self.score.interval
        whole = DOUBLE_DAGGER not in self.marks
        return (own.estimate, own.low, own.high) if whole else (own.estimate, None, None)


@dataclass(frozen=True, eq=False)
class Ablation:
    """A stage's arms in the order of the table: baseline, variants, null, controls.

    testers: which of the subjects had no vote in what the search chose, bool [N]; None where all had one, or nothing in
    this stage was chosen. winner: what it is, in a sentence, where the stage is around it.
    """

    stage: str
    findings: tuple[Finding, ...]
    subjects: int
    testers: npt.NDArray[np.bool_] | None
    margin: float
    classes: tuple[str, ...]
    winner: str | None

    @property
    def baseline(self) -> Finding | None:
        return next((finding for finding in self.findings if finding.kind == "baseline"), None)

    @property
    def chosen(self) -> bool:
        """Whether the variants, or what they change, were chosen by their scores."""
        return any(f.chosen for f in self.findings if f.kind in ("baseline", "variant"))

    @property
    def compared(self) -> bool:
        """Whether anything was compared."""
        return any(f.comparison for f in self.findings)

    @property
    def tests(self) -> int:
        """Subjects that test the variants."""
        return self.subjects if self.testers is None else int(self.testers.sum())

    def of_testers(self, counts: Counts) -> Counts:
        """Counts [..., N, S, K, K] of the subjects that test the variants."""
        return counts if self.testers is None else counts[..., self.testers, :, :, :]

    @property
    def centre(self) -> str:
        """What the others are compared with, in a word."""
        return centre(self.baseline.arm if self.baseline else None)

    @property
    def family(self) -> tuple[Finding, ...]:
        """The rows that the correction for multiplicity counts: variants that could be compared."""
        return tuple(f for f in self.findings if f.kind == "variant" and f.comparison)

    @property
    def constant(self) -> Constant | None:
        """The commonest class as the answer for every clip; None where no arm is complete."""
        counts = next((f.score.counts for f in self.findings if f.score), None)
        return None if counts is None else Constant.of(counts, self.classes)

    @property
    def unlearned(self) -> OneAnswer | None:
        """The one answer of a baseline that has learned nothing."""
        return one_answer(self.baseline.score, self.classes) if self.baseline and self.baseline.score else None

    def comparable(self) -> tuple[tuple[Finding, Score], ...]:
        """The baseline and the variants that are tested, of as many seeds, baseline first; none without its score."""
        base = self.baseline.score if self.baseline else None
        kinds = [f for f in self.findings if f.kind in ("baseline", "variant") and not f.uncounted]
        rows = [(f, f.score) for f in kinds if f.score and DOUBLE_DAGGER not in f.marks]
        return tuple((f, score) for f, score in rows if base and score.counts.shape == base.counts.shape)

    def above_chance(self) -> tuple[Finding, ...]:
        """Arms with shuffled labels that score above chance: a leak, or a mistake in the evaluation."""
        return tuple(f for f in self.findings if f.shuffled and f.shuffled.leaks)


def ablations(results: Results, counted: Confusions | None = None) -> tuple[Ablation, ...]:
    """One for each stage that has arms, in their order but confirm last: the last makes the claims.

    counted: the confusions of these results, where they are at hand.
    """
    counted = confusions(results) if counted is None else counted
    stages = sorted(dict.fromkeys(arm.stage for arm in results.metadata.arms), key=lambda stage: stage == "confirm")
    return tuple(ablation(results, counted, stage) for stage in stages)


def ablation(results: Results, counted: Confusions, stage: str) -> Ablation:
    """Score every arm of a stage and compare it with the stage's baseline by subjects."""
    order = ("baseline", "variant", "null", "control")
    arms = [arm for arm in results.metadata.arms if arm.stage == stage]
    baseline = reference(results, stage)
    arms.sort(key=lambda arm: order.index(kind(arm, baseline)))
    centre_chosen = any(arm.arm == baseline and chosen(results, arm) for arm in arms)
    findings = [_finding(arm, results, counted, baseline, centre_chosen) for arm in arms]
    choosers = results.metadata.chosen_by
    testers = ~counted.among(choosers) if choosers and any(f.chosen for f in findings) else None
    if testers is not None and testers.sum() < 2:  # of several studies each of which has left others to test
        testers = None
    if testers is not None:
        findings = [replace(f, tested=Score.of(f.score.counts[testers]) if f.score else None) for f in findings]
    base = next((f for f in findings if f.kind == "baseline"), None)
    found, margin = tuple(findings), results.metadata.equivalence
    if base and base.score:
        rules = {f.arm.arm: levels(results, f.arm) for f in findings}
        findings = [_set_apart(f, base, rules, margin) for f in findings]
        found = _compared(findings, base.score, testers, margin)
    return Ablation(
        stage=stage,
        findings=found,
        subjects=len(counted.subjects),
        testers=testers,
        margin=margin,
        classes=results.metadata.classes,
        winner=winner(results, stage) if baseline == WINNER else None,
    )


def reference(results: Results, stage: str) -> str | None:
    """The arm that a stage's others are compared with: the study's baseline, or the winner that the stage changes."""
    names = {arm.arm for arm in results.metadata.arms if arm.stage == stage}
    baseline = results.metadata.baseline
    return WINNER if baseline is not None and baseline not in names and WINNER in names else baseline


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


def levels(results: Results, arm: Arm) -> Mapping[str, Any]:
    """The level of every factor that has an effect in an arm, from its trials; empty if it has none."""
    return next((effective(t.factors) for t in results.trials if (t.stage, t.arm) == (arm.stage, arm.arm)), {})


def is_shuffled(arm: Arm) -> bool:
    """Whether the arm trains on labels shuffled over all training clips."""
    return control(arm) == "shuffled_labels"


def _finding(arm: Arm, results: Results, counted: Confusions, baseline: str | None, centre_chosen: bool) -> Finding:
    """An arm by itself."""
    trials = [trial for trial in results.trials if (trial.stage, trial.arm) == (arm.stage, arm.arm)]
    gap = _gap(arm, trials)
    score = Score.of(counted.of([trial.trial for trial in trials])) if gap is None else None
    return Finding(
        arm=arm,
        kind=kind(arm, baseline),
        score=score,
        comparison=None,
        gap=gap,
        cost=Cost.of(trials),
        seeds=tuple(sorted(seed for trial in trials if trial.complete for seed in trial.seeds)),
        chosen=centre_chosen or chosen(results, arm),
        shuffled=Shuffled.of(score.counts, [d for d, _ in counted.subjects]) if score and is_shuffled(arm) else None,
        marks=marks(levels(results, arm)),
    )


def _gap(arm: Arm, trials: Sequence[Trial]) -> Gap | None:
    """Why an arm has no score; None if all its trials are complete."""
    if arm.impossible is not None:
        return Gap("impossible", arm.impossible)
    if not trials:
        return Gap("not run", "no trial of it has been started")
    short = [trial for trial in trials if not trial.complete]
    if not short:
        return None
    planned = sum(len(trial.seeds) for trial in trials)
    done = planned - sum(len(trial.seeds) for trial in short)
    reasons = [f"seed {', '.join(map(str, t.seeds))} {t.state}{f' ({t.why})' if t.why else ''}" for t in short]
    return Gap("incomplete", f"{done} of {counted_seeds(planned)}; {'; '.join(reasons)}")


def _set_apart(finding: Finding, base: Finding, rules: Mapping[str, Mapping[str, Any]], margin: float) -> Finding:
    """A row that no test may compare with the baseline, with its difference and why; another as it is."""
    reason = apart(rules[finding.arm.arm], rules[base.arm.arm], centre(base.arm))
    if finding is base or reason is None or finding.score is None or base.score is None:
        return finding
    own, other = finding.score.counts, base.score.counts
    plain = finding.score.interval.estimate - base.score.interval.estimate
    difference: tuple[float, float | None, float | None] = (plain, None, None)
    if own.shape == other.shape and DOUBLE_DAGGER not in finding.marks + base.marks:
        difference = compare(other, {"": own}, [], margin=margin)[""].shown
    return replace(finding, gap=Gap("not tested", reason), difference=difference)


def _compared(
    findings: list[Finding], base: Score, testers: npt.NDArray[np.bool_] | None, margin: float
) -> tuple[Finding, ...]:
    """The findings with their comparisons, all from one set of swaps; the family is the variants that were planned.

    In a stage in which something was chosen all rows are compared on the testers, in others on all subjects.
    """
    ready = {
        f.arm.arm: f.score.counts
        for f in findings
        if f.kind != "baseline" and f.score and f.score.counts.shape == base.counts.shape
        if _alike(f, findings[0]) and f.gap is None
    }
    family = [f.arm.arm for f in findings if f.kind == "variant" and f.arm.arm in ready]
    planned = [f for f in findings if f.kind == "variant" and not f.uncounted]
    seen = slice(None) if testers is None else testers
    some = {name: counts[seen] for name, counts in ready.items()}
    compared = compare(base.counts[seen], some, family, missing=len(planned) - len(family), margin=margin)
    return tuple(_with(f, compared.get(f.arm.arm), findings[0]) for f in findings)


def _with(finding: Finding, comparison: Comparison | None, base: Finding) -> Finding:
    settled = finding.kind == "baseline" or finding.gap is not None
    if settled or finding.score is None or comparison is not None or finding.shuffled:
        return replace(finding, comparison=comparison)
    if not _alike(finding, base):
        own, other = (f.arm.checkpoint or "unknown" for f in (finding, base))
        reason = f"its epochs were taken by another rule ({own}) than the {centre(base.arm)}'s ({other})"
        return replace(finding, gap=Gap("not compared", reason))
    reason = f"{counted_seeds(len(finding.seeds))}, the {centre(base.arm)} has {len(base.seeds)}"
    return replace(finding, gap=Gap("not compared", reason))


def _alike(one: Finding, other: Finding) -> bool:
    """Whether their epochs were taken by the same rule, so that their scores can be compared."""
    return one.arm.checkpoint == other.arm.checkpoint


def counted_seeds(seeds: int) -> str:
    return "1 seed" if seeds == 1 else f"{seeds} seeds"


def centre(arm: Arm | None) -> str:
    """What an arm that others are compared with is, in a word."""
    return WINNER if arm and arm.arm == WINNER else "baseline"


def median_detectable(findings: Sequence[Finding]) -> float | None:
    """Median over these rows of the minimum detectable difference; a row without an error tells none."""
    sizes = [f.comparison.detectable for f in findings if f.comparison and f.comparison.detectable > 0]
    return float(np.median(sizes)) if sizes else None
