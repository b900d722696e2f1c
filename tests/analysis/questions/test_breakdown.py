import copy
import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from analysis.questions.ablation import ablations
from analysis.questions.breakdown import conventions, per_dataset
from analysis.questions.component_table import components
from analysis.questions.cost import answer, spent, table
from analysis.questions.selection import select
from analysis.report.latex_numbers import macros
from analysis.results.results import Trial
from analysis.stats import metrics
from analysis.stats.confusion import confusions
from analysis.stats.scores import Cost
from search_spaces.config import TrialConfig


def named(made):
    """{variant: {title: cell}}."""
    return {row.cells[0].values[0]: dict(zip(made.titles(), row.cells, strict=True)) for row in made.rows}


@pytest.fixture()
def composite(simulate):
    study = copy.deepcopy(simulate())
    for row in study.predictions:
        row["dataset"] = "smic" if row["subject"] < "s05" else "casme2"
    return study.results()


def test_each_dataset_from_the_same_predictions(composite):
    found, counted = ablations(composite)[-1], confusions(composite)
    cells = named(per_dataset(found, counted))["regions=eyes"]
    rows = composite.predictions
    mine = rows[(rows.arm == "regions=eyes") & (rows.dataset == "smic")]
    expected = [
        metrics.uar(np.array([[((own.y_true == t) & (own.y_pred == p)).sum() for p in CLASSES] for t in CLASSES]))
        for _, own in mine.groupby("seed")
    ]
    assert cells["UAR smic"].values[0] == pytest.approx(np.mean(expected))
    assert cells["UF1 (pooled)"].values[0] == pytest.approx(found.findings[1].score.interval.estimate)
    assert "smic 5 subjects" in per_dataset(found, counted).caption


CLASSES = ("negative", "positive", "surprise")


def test_one_dataset_has_no_columns_of_its_own(simulate):
    results = simulate().results()
    assert per_dataset(ablations(results)[-1], confusions(results)) is None


def test_fold_means_stand_under_that_name_alone(simulate):
    results = simulate().results()
    found = ablations(results)[-1]
    made = conventions(found)
    cells, score = named(made)["baseline"], found.findings[0].score
    assert cells["UF1 (pooled)"].values[0] == score.interval.estimate
    assert cells["Fold mean of F1"].values[0] == pytest.approx(metrics.fold_mean_f1(score.counts).mean())
    assert [title for title in made.titles() if "mean" in title] == ["Fold mean of F1", "Fold mean of Acc"]


def test_a_factor_without_effect_is_not_applicable_and_makes_no_column(simulate, arm):
    changes = {
        "sgd": {"momentum": 0.9},
        "adamw": {"optimiser": "adamw", "momentum": 0.0},
        "own": {"network": "nets:TinyNet", "filters": 8, "depth": 2},
    }
    arms = (arm("baseline", 0.7), *(arm(name, 0.6, own) for name, own in changes.items()))
    study = simulate(arms)
    full = [t | {"factors": json.dumps(asdict(TrialConfig(**changes.get(t["arm"], {}))))} for t in study.trials]
    results = replace(study, trials=full).results()
    made = components(results, ablations(results)[-1])
    assert [title for title in made.titles() if title.startswith(("UF1", "Variant"))] == ["Variant", "UF1 [95 % CI]"]
    cells = {row.cells[0].text: dict(zip(made.titles(), (c.text for c in row.cells), strict=True)) for row in made.rows}
    assert [cells[name]["momentum"] for name in ("baseline", "sgd", "adamw")] == ["0", "0.9", "n/a"]
    assert "n/a where they have no effect" in made.caption
    assert not {"filters", "depth", "hidden"} & set(made.titles()) and {"network", "optimiser"} <= set(made.titles())


def test_components_are_check_marks_where_a_level_is_absence(simulate, arm):
    arms = (
        arm("baseline", 0.7, {"flow": True, "fusion": "late"}),
        arm("- flow", 0.6, {"flow": False, "fusion": "late"}),
        arm("- fusion", 0.6, {"flow": True, "fusion": "none", "depth": 2}),
        arm("cut", 0.6, {"flow": True, "fusion": "late", "depth": 3}, states={1: "failed"}),
    )
    results = simulate(arms).results()
    cells = named(components(results, ablations(results)[-1]))
    shown = {name: [cells[name][title].text for title in ("flow", "fusion late", "depth")] for name in cells}
    assert shown == {
        "baseline": ["✓", "✓", "1"],
        "- flow": ["–", "✓", "1"],
        "- fusion": ["✓", "–", "2"],
        "cut (incomplete)": ["✓", "✓", "3"],
    }
    made = components(results, ablations(results)[-1])
    assert r"\checkmark{}" in made.to_latex() and "| ✓ | 1 | ✓ |" in made.to_markdown()


def trial(number, state="complete", seconds=10.0, seeds=(1,), configuration="a", stage="search"):
    return Trial(number, stage, None, configuration, state, None, seeds, {}, 1, 1, seconds, None, "cpu", None)


def test_cost_by_hand():
    own = [trial(0), trial(1, configuration="b", seconds=20.0), trial(2, "pruned", 4.0, configuration="c")]
    found = spent(own)
    assert (found.seconds, found.raced, found.reused) == (34, 11, 0)  # complete ones took 15 on average
    again = spent([trial(3, seconds=30.0, seeds=(1, 2, 3))], own)  # seed 1 of configuration a is there already
    assert (again.seconds, again.reused) == (20, 10)


def test_cost_table_sums_up(simulate):
    results = simulate(search=8).results()
    made = table(results)
    hours = [row.cells[4].values[0] for row in made.rows]
    assert hours[-1] == pytest.approx(sum(hours[:-1]))
    assert made.rows[0].cells[1].text == "search (all proposals)" and made.rows[0].cells[7].text == "8"
    assert f"{hours[-1]:.2f} device hours" in answer(results)


def test_cost_of_rows_is_the_cost_of_the_whole(simulate):
    """What the race saved is told by each row's own complete trials, so that the whole is the sum of the rows."""
    study = copy.deepcopy(simulate(search=8))
    for i, row in enumerate(study.trials):
        row["seconds"] = 100.0 if row["stage"] == "search" else 10.0 + i
        row["state"] = "pruned" if i == 9 else row["state"]
        row["seconds"] = 1.0 if row["state"] == "pruned" else row["seconds"]
        row["configuration"] = study.trials[0]["configuration"] if i in (2, 10) else row["configuration"]
    pruned = {row["trial"] for row in study.trials if row["state"] != "complete"}
    for row in (kept := [row for row in study.predictions if row["trial"] not in pruned]):
        row["configuration"] = study.trials[row["trial"]]["configuration"]
    results = replace(study, predictions=kept).results()
    made = table(results)
    for column in (4, 5, 6):
        values = [row.cells[column].values[0] for row in made.rows]
        assert values[-1] == pytest.approx(sum(values[:-1])) and values[-1] > 0
    assert f"race saved about {made.rows[-1].cells[5].values[0]:.2f}" in answer(results)


def test_untimed_seeds_do_not_shorten_a_run():
    own = [trial(0, seconds=30.0, seeds=(1, 2, 3)), trial(1, seconds=None, seeds=(4, 5, 6))]
    assert Cost.of(own).seconds == 10 and Cost.of(own[1:]).seconds is None


def test_macros_are_letters_and_the_tables_numbers(simulate):
    results = simulate(search=8).results()
    found = ablations(results)[-1]
    lines = macros([found], found, select(results, confusions(results))).splitlines()[1:]
    numbers = [line.partition("}% ")[0] for line in lines]
    commands = dict(line.removeprefix(r"\newcommand{").split("}{", 1) for line in numbers)
    assert len(commands) == len(lines) and all(name[1:].isalpha() for name in commands)
    assert commands[r"\UFDepthTwo"] == f"{found.findings[4].score.interval.estimate:.3f}"
    assert commands[r"\DUFRegionsEyes"].startswith(r"\ensuremath{-}0.") and commands[r"\Ktried"] == "8"


def test_a_macros_comment_says_which_arm_it_is_of(simulate, arm):
    names = ("α = 10", "β = 10", "微", "表", "Žižek", "line\nbreak %")
    found = ablations(simulate((arm("baseline", 0.7), *(arm(name, 0.5) for name in names))).results())[-1]
    lines = macros([found], found, None).splitlines()
    of = {line.partition("% ablate: ")[2]: line for line in lines if line.startswith(r"\newcommand{\UF")}
    assert of["α = 10"].startswith(r"\newcommand{\UFhighAlphaOneZero}") and len(of) == len({*names, "baseline", ""})
    assert r"{\UFhighZizek}" in of["Žižek"] and of["微"] != of["表"] and "line break %" in of
