import copy
from dataclasses import replace

import pytest

from analysis.questions.ablation import ablations, kind, median_detectable
from analysis.questions.breakdown import per_class
from analysis.questions.main_table import headline, plain, question, questions, sentence
from analysis.results.results import Arm
from analysis.stats.inference import Comparison


def found(study):
    return ablations(study.results())[-1]


def rows(study):
    results = study.results()
    table = headline(results, ablations(results)[-1])
    return {row.cells[0].values[0]: dict(zip(table.titles(), row.cells, strict=True)) for row in table.rows}


@pytest.mark.parametrize(
    ("arm", "expected"),
    [
        (Arm("baseline", "ablate", {}), "baseline"),
        (Arm("null", "ablate", {}), "null"),
        (Arm("single_frame", "ablate", {"control": "single_frame", "input": "gray"}), "control"),
        (Arm("shuffled_time", "ablate", {}), "control"),
        (Arm("depth=2", "ablate", {"depth": 2}), "variant"),
    ],
)
def test_kinds_of_arms(arm, expected):
    assert kind(arm, "baseline") == expected


def test_planted_effects_come_out_and_the_family_is_the_variants(simulate):
    result = found(simulate())
    verdicts = {f.arm.arm: f.comparison.verdict for f in result.family}
    assert verdicts == {
        "regions=eyes": "worse",
        "regions=mouth": "worse",
        "input=gray": "worse",
        "depth=2": "inconclusive",
    }
    outside = [f for f in result.findings if f.kind in ("null", "control")]
    assert [f.arm.arm for f in outside] == ["null", "permuted_labels", "shuffled_time"]
    assert all(f.comparison and f.comparison.p_adjusted is None for f in outside)
    assert result.above_chance() == ()


def test_an_arm_that_is_not_whole_has_no_score(simulate, arms, arm):
    states = {2: "failed", 3: "running"}
    extra = (
        arm("hidden=512", 0.9, {"hidden": 512}, states=states),
        arm("kernel", 0.9, impossible="15 frames do not fit in 12"),
    )
    cells = rows(simulate((*arms, *extra)))
    assert cells["hidden=512"]["Verdict"].values == (
        "incomplete",
        "1 of 3 seeds; seed 2 failed (out of memory); seed 3 running",
    )
    assert cells["kernel"]["Verdict"].values == ("impossible", "15 frames do not fit in 12")
    for name in ("hidden=512", "kernel"):
        assert cells[name]["UF1 [95 % CI]"].text == cells[name]["ΔUF1 [95 % CI]"].text == cells[name]["p"].text == "–"
    assert cells["kernel"]["Seeds"].text == "–" and cells["hidden=512"]["Seeds"].text == "1"


def test_an_arm_without_trials_is_named_as_such(simulate, arms):
    study = copy.deepcopy(simulate(arms))
    study.metadata["arms"].append({"arm": "late", "stage": "ablate", "changes": {"fusion": "late"}, "impossible": None})
    assert rows(study)["late"]["Verdict"].text == "not run"


def test_no_differences_without_a_whole_baseline(simulate, arms, arm):
    result = found(simulate((arm("baseline", 0.7, states={1: "failed"}), *arms[1:])))
    assert all(f.comparison is None for f in result.findings)
    assert sum(f.score is not None for f in result.findings) == len(arms) - 1
    assert sentence(result).startswith("No complete baseline")


def test_other_numbers_of_seeds_are_not_compared(simulate, arms, arm):
    cells = rows(simulate((*arms, arm("more", 0.7, {"depth": 3}, seeds=(1, 2, 3, 4)))))
    assert cells["more"]["Verdict"].values == ("not compared", "4 seeds, the baseline has 3")
    assert cells["more"]["UF1 [95 % CI]"].text != "–"


def test_scores_are_means_over_seeds_of_pooled_metrics(simulate):
    result = found(simulate())
    score = result.findings[1].score
    assert score.interval.estimate == pytest.approx(sum(score.uf1) / 3)
    assert score.counts.shape == (12, 3, 3, 3)
    cells = rows(simulate())["regions=eyes"]
    assert cells["UF1 [95 % CI]"].text.startswith(f"{score.interval.estimate:.3f} [")
    assert cells["Seconds"].values == (4.2,)


def test_caption_and_notes_say_how(simulate):
    results = simulate().results()
    table = headline(results, ablations(results)[-1])
    for part in (
        "Pooled UF1",
        "12 subjects, 150 clips",
        "subject jackknife",
        "all 4,096",
        "over the 4 variants",
        "3 seeds an arm",
    ):
        assert part in table.caption, part
    assert "Minimum detectable difference" in table.caption
    for part in ("one draw of what is noise", "chance is", "Of a variant without any difference, errors like these"):
        assert any(part in note for note in table.notes), part


def test_limits_are_told(simulate, arm):
    few = simulate((arm("baseline", 0.7, seeds=(1,)), arm("other", 0.4, seeds=(1,))), subjects=4)
    results = few.results()
    notes = headline(results, ablations(results)[-1]).notes
    none = "No verdict possible: with 4 subjects that are compared no p is below 0.125, and the variant could not"
    assert any(none in note for note in notes)
    assert any("One seed" in note for note in notes)
    perfect = simulate((arm("baseline", 1.0), arm("other", 0.4))).results()
    assert any("exactly 0 or 1" in note for note in headline(perfect, ablations(perfect)[-1]).notes)


def test_stages_have_tables_of_their_own(simulate, arm):
    arms = arm("baseline", 0.7, stage="confirm", seeds=(5, 6)), arm("top", 0.8, stage="confirm", seeds=(5, 6))
    both = ablations(simulate((*arms, arm("baseline", 0.7), arm("other", 0.4))).results())
    assert [a.stage for a in both] == ["ablate", "confirm"]  # the last makes the claims
    assert [[f.arm.arm for f in a.findings] for a in both] == [["baseline", "other"], ["baseline", "top"]]
    assert [len(f.seeds) for a in both for f in a.findings] == [3, 3, 2, 2]


def test_arms_without_a_baseline_have_scores_alone(simulate, arm):
    result = found(simulate((arm("one", 0.7), arm("two", 0.4))))
    assert result.baseline is None and all(f.score and f.comparison is None for f in result.findings)


def test_the_question_names_the_one_variant_or_all(simulate, arm):
    one = found(simulate((arm("full face", 0.7), arm("fusion", 0.3, {"regions": "eyes"})), baseline="full face"))
    assert question(one) == "Does fusion (regions=eyes) beat full face?" and len(questions(one)) == 1
    assert questions(one)[0][1].startswith("No, it is worse: ΔUF1 −0.") and "12 subjects fewer" in questions(one)[0][1]
    assert question(found(simulate())) == "What does each change to the baseline do?"
    answers = dict(questions(found(simulate())))
    assert answers["Does depth=2 beat the baseline?"].startswith("Not shown: ΔUF1")
    assert question(found(simulate((arm("one", 0.7), arm("two", 0.4))))) == "How well does each configuration do?"


def test_classes_show_precision_beside_recall(simulate):
    results = simulate().results()
    table = per_class(ablations(results)[-1], results.metadata.classes)
    assert table.titles()[1:4] == ["F1 negative", "F1 positive", "F1 surprise"]
    assert table.titles()[-2:] == ["Macro-precision", "Params"] and len(table.rows) == 8


def test_comparable_are_the_baseline_and_variants_of_as_many_seeds(simulate, arm):
    arms = (arm("short", 0.5, {"depth": 2}, seeds=(1,)), arm("baseline", 0.7), arm("late", 0.5), arm("null", 0.7))
    ablation = found(simulate(arms))
    assert [finding.arm.arm for finding, _ in ablation.comparable()] == ["baseline", "late"]
    assert found(simulate(arms, baseline="nobody")).comparable() == ()


def test_identical_predictions_are_worded_as_such_and_have_no_interval(simulate, arm):
    study = simulate((arm("baseline", 0.7), arm("same", 0.7, {"depth": 2}), arm("other", 0.4, {"input": "gray"})))
    own = [row for row in study.predictions if row["arm"] != "same"]
    trials = {(t["arm"], t["seeds"][0]): t for t in study.trials}
    for row in [row for row in own if row["arm"] == "baseline"]:
        trial = trials["same", row["seed"]]
        own.append(row | {"arm": "same", "trial": trial["trial"], "configuration": trial["configuration"]})
    results = replace(study, predictions=own).results()
    found = ablations(results)[-1]
    shown = headline(results, found)
    cells = {row.cells[0].text: [cell.text for cell in row.cells] for row in shown.rows}["same"]
    assert "0.000 [–]" in cells and "identical" in cells and "identical: same" in sentence(found)
    assert any(note.startswith("same: predictions identical") for note in shown.notes)
    assert dict(questions(found))["Does same (depth=2) beat the baseline?"].startswith("No difference at all")
    other = next(f for f in found.family if f.arm.arm == "other")
    assert median_detectable(found.findings) == other.comparison.detectable


BASE = Comparison(
    difference=0.01,
    low=-0.02,
    high=0.04,
    narrow=(-0.01, 0.03),
    joint=None,
    se=0.01,
    p=0.4,
    p_adjusted=0.6,
    wins=5,
    ties=2,
    losses=5,
    differing=12,
    subjects=12,
    smallest=0.0005,
    detectable=0.03,
    verdict="inconclusive",
)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "Not shown: ΔUF1 +0.010 [−0.020, +0.040]; the 90 % interval leaves differences up to 0.030."),
        (
            {"difference": -0.03, "low": -0.05, "high": -0.01, "narrow": (-0.045, -0.015), "p": 0.02},
            "Not shown: ΔUF1 −0.030 [−0.050, −0.010]; it does not stand after correction for the number of variants; "
            "the 90 % interval leaves differences up to 0.045.",
        ),
        (
            {"low": -1, "high": 1, "narrow": (-1, 1), "differing": 3, "smallest": 0.25},
            "Not shown: ΔUF1 +0.010 [–]; it differs on 3 of the subjects only, too few for a 90 % interval.",
        ),
        (
            {"narrow": (-0.01, 0.015), "verdict": "equivalent"},
            "Practically equal: ΔUF1 +0.010 [−0.020, +0.040]; the 90 % interval excludes differences above 0.015 "
            "(limit ±0.02).",
        ),
        (
            {"difference": -0.01, "low": -0.018, "high": -0.002, "narrow": (-0.016, -0.004), "p": 0.02}
            | {"verdict": "equivalent"},
            "Practically equal: ΔUF1 −0.010 [−0.018, −0.002]; the 90 % interval excludes differences above 0.016 "
            "(limit ±0.02).",
        ),
    ],
)
def test_sentences_claim_no_more_than_the_intervals(changes, said):
    assert plain(replace(BASE, **changes), 0.02) == said


def test_planned_variants_without_a_comparison_count_in_the_correction(simulate, arm):
    """Two of four variants failed: what is left is adjusted by twice as much, and the table names them."""
    arms = [arm("baseline", 0.7), arm("a", 0.55), arm("b", 0.6)]
    failed = [arm(name, 0.5, states={1: "failed"}) for name in ("c", "d")]
    whole, cut = (simulate(tuple(own)).results() for own in (arms, [*arms, *failed]))
    before, after = (ablations(results)[-1] for results in (whole, cut))
    for one, other in zip(before.family, after.family, strict=True):
        assert other.comparison.p_adjusted == min(1, 2 * one.comparison.p_adjusted)
        assert other.comparison.detectable >= one.comparison.detectable
        assert other.comparison.joint[0] <= one.comparison.joint[0] and other.comparison.p == one.comparison.p
    assert any(
        "without a comparison count in the correction, too (c, d)" in note for note in headline(cut, after).notes
    )


def test_the_margin_of_equivalence_is_the_studys(simulate, arm):
    study = copy.deepcopy(simulate((arm("baseline", 0.7), arm("same", 0.7)), subjects=40))
    words = []
    for margin in (0.02, 0.2):
        study.metadata["equivalence"] = margin
        results = study.results()
        (found,) = ablations(results)
        words.append(found.family[0].comparison.verdict)
        assert any(f"within ±{margin:g}" in note for note in headline(results, found).notes)
    assert words == ["inconclusive", "equivalent"]
