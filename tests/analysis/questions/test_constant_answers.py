import copy

import numpy as np
import pytest

from analysis.questions.ablation import ablations
from analysis.questions.constant_answers import Constant, learned_nothing
from analysis.questions.main_table import headline, questions, sentence
from analysis.report.report import report


@pytest.fixture
def collapsed(simulate, arm):
    """collapsed(ARM=(share, seeds)): the named arms answer `negative` for this share of the clips of each seed."""

    def made(**shares):
        arms = (arm("baseline", 0.7), arm("depth=2", 0.7, {"depth": 2}), arm("null", 0.7, seeds=(11, 12, 13)))
        study = copy.deepcopy(simulate(arms))
        for name, (share, seeds) in shares.items():
            for seed in seeds:
                rows = [row for row in study.predictions if row["arm"] == name and row["seed"] == seed]
                for i, row in enumerate(rows):
                    row["y_pred"] = "negative" if 7 * i % len(rows) < share * len(rows) else row["y_true"]
        return study.results()

    return made


def test_a_baseline_that_gives_one_answer_is_told_in_the_box_the_table_and_the_verdict(collapsed):
    results = collapsed(baseline=(1, (1, 2, 3)), null=(1, (11, 12, 13)))
    made = report(results)
    box, others, *_ = made.warnings
    assert box.startswith("The baseline has learned nothing: it predicts negative for all of the clips. Its UF1 is 0.")
    assert "always answering negative scores" in box and others.endswith("null predicts negative for all of the clips.")
    found = ablations(results)[-1]
    rows = {row.cells[0].text: row for row in headline(results, found).rows}
    constant = rows["constant answer: negative"]
    assert constant.cells[1].text == rows["baseline"].cells[1].text and constant.kind == "constant"
    assert "better than one answer for all" in [cell.text for cell in rows["depth=2"].cells]
    assert "it has learned nothing; against it better: depth=2" in sentence(found)
    assert questions(found)[0][1].endswith("a network that has learned nothing is no rival.")


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ({"baseline": (0.97, (1, 2, 3))}, "it predicts negative for 9"),
        ({"baseline": (1, (2,))}, "for all of the clips, in 1 of 3 seeds"),
        ({"depth=2": (1, (1, 2, 3))}, "Arms that have learned nothing: depth=2 predicts negative"),
        ({"baseline": (0.6, (1, 2, 3))}, None),
        ({}, None),
    ],
)
def test_which_networks_have_learned_nothing(collapsed, shares, said):
    warnings = [warning for warning in report(collapsed(**shares)).warnings if "learned nothing" in warning]
    assert said in warnings[0] if said else not warnings


def test_the_constant_answers_score_and_rare_classes():
    counts = np.array([[[[6, 0], [0, 1]]], [[[3, 0], [0, 0]]]])  # 9 clips of a, 1 of b
    always = Constant.of(counts, ("a", "b"))
    assert always.label == "a" and always.score.interval.estimate == pytest.approx(2 * 9 / (10 + 9) / 2)
    perfect, constant = np.array([[97, 0], [0, 3]]), np.array([[97, 0], [3, 0]])
    assert learned_nothing(np.stack([perfect, constant])).tolist() == [False, True]


def test_a_search_in_which_networks_learn_nothing_says_how_many(simulate):
    study = copy.deepcopy(simulate((), search=4))
    for row in study.predictions:
        row["y_pred"] = "negative" if row["trial"] == 1 else row["y_pred"]
    assert "2 of the 6 complete runs of the search have learned nothing" in report(study.results()).warnings[0]
