"""The box that a report opens with: what a reader must know before any number."""

from collections.abc import Sequence

from analysis.questions import published_practice
from analysis.questions.ablation import Ablation
from analysis.questions.constant_answers import learned_nothing, one_answer
from analysis.questions.main_table import title
from analysis.report import fonts
from analysis.results.results import BEFORE_ANY_REPORT, Results
from analysis.stats.confusion import Confusions
from analysis.stats.inference import LEVEL, Comparison
from analysis.tables import number

_TOO_GOOD, _ERRING = 0.98, 0.9  # a UF1 above the one raises the question where another arm is below the other


def warnings(results: Results, counted: Confusions, stages: Sequence[Ablation]) -> list[str]:
    """What a reader must know before any number."""
    said = [warning for found in stages for warning in _warnings(found)]
    return [
        *published_practice.warnings(stages),
        *said,
        *_one_answer(results, counted),
        *_of_one_subject(results),
        *_boxes(results),
        *_added(results),
        *results.metadata.notes,
    ]


def _warnings(found: Ablation) -> list[str]:
    said = [
        f"Labels were shuffled in {f.arm.arm}, and it still scores above chance ({f.shuffled}): something leaks, or "
        "the evaluation is wrong. Believe no number below before this is explained."
        for f in found.above_chance()
    ]
    base = found.baseline
    if base and base.gap:
        said.append(
            f"The {found.centre} has no score ({base.gap.state}: {base.gap.reason}), so that nothing could be compared."
        )
    if found.chosen and found.testers is None and found.family:
        said.append(
            f"{title(found)}: the search chose by the scores of the same {found.subjects} subjects. Of equal "
            "configurations the first row's difference then is .01 to .05 too high, a row of confirm is called better "
            "in 3 to 11 % of studies, not in 2.5, and some step around the winner worse in 7 to 20 (docs/report.md): "
            "the verdicts there are marked."
        )
    said += _too_good(found)
    said += _learned_nothing(found)
    for f in found.findings:
        if f.kind == "null" and f.comparison and f.comparison.p <= 1 - LEVEL:
            said.append(_floor(f.comparison, found.centre))
    missing = [f.arm.arm for f in found.findings if f.score is None]
    if missing:
        said.append(f"No score for {len(missing)} of {len(found.findings)} arms: {', '.join(missing)}.")
    return said


def _too_good(found: Ablation) -> list[str]:
    """Scores that no honest protocol has reached: perfect ones, and nearly perfect ones beside others that err."""
    scores = {f.arm.arm: f.score.interval.estimate for f in found.findings if f.score}
    err = min(scores.values(), default=1.0) < _ERRING
    strange = [name for name, value in scores.items() if value >= 1 or (value > _TOO_GOOD and err)]
    if not strange:
        return []
    return [
        f"UF1 of {', '.join(f'{name} ({scores[name]:.3f})' for name in strange)} is that of a network that hardly ever "
        "errs: look for clips that were trained on before they were predicted, and for labels in the input."
    ]


def _learned_nothing(found: Ablation) -> list[str]:
    """That the baseline, or another arm, answers one class for all clips, beside the score of always doing so."""
    base, always, said = found.baseline, found.constant, []
    if base and base.score and always and found.unlearned:
        verdicts = f"A verdict against the {found.centre} says that an arm does more or less than that, and no more."
        said.append(
            f"The {found.centre} has learned nothing: it {found.unlearned}. Its UF1 is "
            f"{base.score.interval.estimate:.3f}; always answering {always.label} scores "
            f"{always.score.interval.estimate:.3f}. {verdicts}"
        )
    others = [f for f in found.findings if f.kind in ("variant", "null") and f.score]
    same = [(f.arm.arm, one_answer(f.score, found.classes)) for f in others if f.score]
    told = "; ".join(f"{arm} {answer}" for arm, answer in same if answer)
    if told:
        said.append(f"{'Others' if said else 'Arms'} that have learned nothing: {told}.")
    return said


def _floor(seen: Comparison, centre: str) -> str:
    return (
        f"The null arm (the {centre} with other seeds) differs from the {centre} by "
        f"{number(seen.difference, 3, signed=True).text}, p {seen.p:.4f}: differences of that size are noise of the "
        "seeds here, unless it is chance: one study in twenty without any fault says so."
    )


def _added(results: Results) -> list[str]:
    """What was added once results could be seen: the level of the tests is that of a study that was planned whole."""
    after = [what for what in results.metadata.added if not what.endswith(BEFORE_ANY_REPORT)]
    if not after:
        return []
    listed = "; ".join(after)
    return [
        f"The study was not planned whole ({listed}). Who adds until a row is significant finds one in 7 to 10 % of "
        "studies without any difference, not in 5."
    ]


def _one_answer(results: Results, counted: Confusions) -> list[str]:
    """How many trials of a search answer one class for all clips."""
    searched = {trial.trial for trial in results.trials if trial.stage == "search"}
    at = [i for i, (trial, _) in enumerate(counted.runs) if trial in searched]
    many = int(learned_nothing(counted.counts[:, at].sum(0)).sum()) if at else 0
    some = f"{many} of the {len(at)} complete runs of the search have learned nothing: each answers one class for "
    return [f"{some}(nearly) all clips."] if many else []


def _of_one_subject(results: Results) -> list[str]:
    """Classes that one subject alone shows, where the notes of the study have not said it."""
    if any("one subject alone shows" in note for note in results.metadata.notes):
        return []
    clips = results.predictions[["dataset", "subject", "y_true"]].drop_duplicates()
    alone = [name for name, times in clips.y_true.value_counts(sort=False).items() if times == 1]
    names = [name for name in results.metadata.classes if name in alone]
    if not names:
        return []
    shown = ", ".join(f"{name} (subject {clips.subject[clips.y_true == name].iloc[0]})" for name in names)
    return [
        f"Classes that one subject alone shows: {shown}. Held out whole, the subject leaves nothing of the class to "
        f"train on: UF1 is then at most {1 - len(names) / len(results.metadata.classes):.2f}."
    ]


def _boxes(results: Results) -> list[str]:
    """Characters that the figures cannot show here."""
    names = [arm.arm for arm in results.metadata.arms] + list(results.metadata.classes)
    names += [str(name) for column in ("dataset", "subject") for name in results.predictions[column].unique()]
    missing = fonts.without_font("".join(names))
    if not missing:
        return []
    return [
        f"The figures show boxes for {missing}: no font of this machine has them. Install one that does (for Chinese, "
        "Japanese and Korean: Noto Sans CJK), and write the report again."
    ]
