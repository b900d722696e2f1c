"""What stands above and below a stage's table: how its numbers were made, by whom, and what they cannot say."""

from collections.abc import Sequence
from statistics import median

from analysis.questions import published_practice
from analysis.questions.ablation import Ablation, Finding, counted_seeds, is_permuted, median_detectable
from analysis.questions.choice import NO_VOTE, ON_CHOOSERS
from analysis.results.results import Results
from analysis.stats.inference import RESAMPLES, chance_of_equivalent, every_swap, stands
from analysis.stats.power import least_p
from search_spaces.protocols import protocol


def caption(results: Results, found: Ablation) -> str:
    """What the numbers are of, and how they were made."""
    about, rows = results.metadata, results.predictions
    clips = len(rows[["dataset", "subject", "clip_id"]].drop_duplicates())
    parts = [
        f"Pooled UF1 (confusions summed over all folds, MEGC 2019), {_words(about.protocol)}, "
        f"{about.dataset}: "
        f"{found.subjects} subjects, {clips} clips.",
        *([found.winner] if found.winner else []),
        "Unit of all intervals and tests: the subject. UF1: 95 % interval by subject jackknife, t(n − 1), logit scale.",
    ]
    if found.compared:
        kind = f"all {2**found.tests:,}" if every_swap(found.tests) else f"{RESAMPLES:,} random"
        family = len(found.family)
        parts.append(
            f"Δ: variant minus {found.centre}, seed-averaged; p and 95 % interval from {kind} studentised subject "
            f"swaps; p adj: step-down max-T over the {family} variant{'s' * (family != 1)}."
        )
        parts += by_whom(found)
    parts.append(f"{_seeds(found.findings)}; seed SD over them. Seconds: one LOSO run.")
    detectable = median_detectable(found.family)
    if detectable is not None:
        parts.append(f"Minimum detectable difference (by this verdict, 80 % power): {detectable:.3f}, median variant.")
    return " ".join(parts)


def _words(name: str) -> str:
    """A protocol in words; that of predictions made elsewhere in its own."""
    try:
        return protocol(name).words
    except ValueError:
        return name


def by_whom(found: Ablation) -> list[str]:
    """By whom the configurations were chosen, and by whom they are tested."""
    if not found.chosen:
        return []
    what = "The winner was" if found.centre == "winner" else "The variants were"
    if found.testers is None:
        return [
            f"{what} chosen by the scores of these {found.subjects} subjects: every verdict is marked “{ON_CHOOSERS}”, "
            "for fresh seeds do not undo their vote; the section of the selected configuration has the difference "
            "corrected for it and a test that holds."
        ]
    return [
        f"{what} chosen by {found.subjects - found.tests} of the subjects. Δ, p and verdict are of the {found.tests} "
        f"{NO_VOTE}, as is UF1 tested; UF1, UAR and Acc are of all, those that chose included."
    ]


def _seeds(findings: Sequence[Finding]) -> str:
    counts = sorted({len(f.seeds) for f in findings if f.score})
    if not counts:
        return "No complete arm"
    return f"{f'{counts[0]} to ' * (len(counts) > 1)}{counted_seeds(counts[-1])} an arm"


def notes(found: Ablation) -> list[str]:
    """How to read the rows."""
    said = [f"{f.arm.arm}: {f.gap.state}: {f.gap.reason}." for f in found.findings if f.gap]
    said += published_practice.notes(found)
    if any(f.comparison for f in found.findings):
        said.append(
            f"Verdict: better or worse if p adj ≤ 0.05; equivalent if the 90 % interval lies within ±{found.margin:g} "
            "(declared beforehand); else inconclusive, which is not “no effect”: Bound on Δ is the largest difference "
            "that the 90 % interval leaves. Of the variants that interval holds for all of them at once. Nothing is "
            "bold: the best of several rows is not a finding."
        )
    if found.family:
        said.append(_equivalence(found))
        said += _planned(found)
    if any(f.kind == "null" for f in found.findings):
        said.append(
            f"null: the {found.centre} with other seeds, one draw of what is noise here: its Bound on Δ says how much "
            "that may be; outside the family."
        )
    if any(f.kind == "control" for f in found.findings):
        said.append("Controls take something from the data; they are outside the family, their p is not adjusted.")
    if any(f.score for f in found.findings):
        said.append("Constant answer: the commonest class for every clip; a network below it has learned nothing.")
    for f in found.findings:
        said += _few(f, found.centre)
        if is_permuted(f.arm) and f.score:
            said.append(
                f"{f.arm.arm}: chance is {f.score.chance:.3f}, the expected UF1 of its predictions when labels are "
                "permuted within subjects. Subjects keep their shares of the classes, which a network can learn "
                "without any leak: above it is no alarm. shuffled_labels is the control that finds leaks."
            )
        if f.shuffled:
            said.append(f"{f.arm.arm}: {f.shuffled}; by t over the seeds, whose folds shuffle their labels anew.")
        if f.score and f.span and f.span[1] is not None and f.score.interval.method != "jackknife, logit":
            said.append(
                f"{f.arm.arm}: a UF1 of exactly 0 or 1 has no variance; its interval is that of n of n subjects."
            )
    return said


def _equivalence(found: Ablation) -> str:
    """How likely the verdict equivalent is at all."""
    chances = [chance_of_equivalent(f.comparison, found.margin) for f in found.family if f.comparison]
    return (
        f"Of a variant without any difference, errors like these call {100 * median(chances):.0f} % equivalent (median "
        "variant)."
    )


def _planned(found: Ablation) -> list[str]:
    """That variants without a comparison count in the correction."""
    lost = [f.arm.arm for f in found.findings if f.kind == "variant" and f.gap and not f.uncounted]
    if not lost:
        return []
    return [
        f"Planned variants without a comparison count in the correction, too ({', '.join(lost)}): p adj of the others "
        "is larger by their share."
    ]


def _few(finding: Finding, centre: str) -> list[str]:
    """That too few subjects differ for an interval."""
    seen = finding.comparison
    if seen is None or seen.shown[1] is not None:
        return []
    if not seen.differing:
        return [f"{finding.arm.arm}: predictions identical to the {centre}'s, by subject, seed and class; no interval."]
    level = 95 if seen.bound is not None else 90
    return [
        f"{finding.arm.arm}: differs on {seen.differing} subject{'s' * (seen.differing > 1)}: no p below "
        f"{seen.smallest:.3g}, so there is no {level} % interval."
    ]


def limits(found: Ablation) -> list[str]:
    """What these numbers cannot say."""
    counts = {len(f.seeds) for f in found.findings if f.score}
    lost = max((f.score.interval.lost for f in found.findings if f.score), default=0)
    said = []
    if lost:
        said.append(
            f"Without {lost} of the subjects a class is empty: the intervals rest on UF1 of fewer classes there."
        )
    rows = len(found.family)
    if rows and not stands(least_p(found.tests) * rows):
        none = "the variant could not" if rows == 1 else f"none of the {rows} variants could"
        said.append(
            f"No verdict possible: with {found.tests} subjects that are compared no p is below "
            f"{least_p(found.tests):.4g}, and {none} have been better or worse."
        )
    if counts == {1}:
        said.append("One seed: p refers to these trained models; seed variance is not assessed.")
    elif counts and min(counts) < 3:
        said.append("Fewer than 3 seeds: variance that moves a whole run at once is not in the intervals.")
    return said
