"""Words of a report around a winner: a raced search, its best confirmed, changes around the winner."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from analysis.report.report import publish, report
from analysis.results.load import load_results
from study.ledger.export import export

LEDGER = Path(__file__).parents[2] / "study/ledger/older/ledger.sql"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The report of a study whose winner is trial 5, and its folder."""
    folder = tmp_path_factory.mktemp("begun")
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as db:
        db.executescript(LEDGER.read_text() + "pragma user_version = 2;")
    export(folder)
    found = report(load_results(folder))
    publish(found, folder / "report")
    return found, folder / "report"


def table(found, name):
    (one,) = [table for table in found.tables() if table.name == name]
    return one


def test_one_sentence_says_what_the_winner_is(made):
    told = (
        "The winner is trial 5 of the search (regions eyes+mouth, fusion late, input frame_difference, learning_rate "
        "0.02504; otherwise the baseline), chosen in stage confirm by its pooled UF1 (mean over seeds 2000, 2001)."
    )
    found, folder = made
    assert found.answers()[1].startswith(told) and told in table(found, "ablate").caption
    assert told in (folder / "table.tex").read_text().replace(r"\_", "_")


def test_the_winner_is_not_called_the_baseline(made):
    found, _ = made
    (section,) = [s for s in found.sections if s.question == "What does each change to the winner do?"]
    assert "Δ to the winner" in section.tables[1].caption
    assert section.drawings == () or "winner" in section.drawings[0].alt
    words = [drawing.alt + drawing.caption for drawing in found.drawings() if drawing.name.startswith("ablate")]
    assert words and not any("baseline" in word for word in words)
    assert table(found, "ablate").rows[0].cells[0].text == "winner"
    for drawing in found.drawings():
        if drawing.name == "ablate-forest":
            assert drawing.figure.axes[0].get_xlabel().startswith("ΔUF1 to the winner")


def test_arms_that_a_search_chose_were_tuned_by_all_of_it(made):
    cost = table(made[0], "cost")
    at = cost.titles().index("Configurations tuned")
    tuned = {tuple(row.cells[i].text for i in (0, 1)): row.cells[at].text for row in cost.rows}
    assert tuned["confirm", "trial 5"] == tuned["confirm", "trial 10"] == tuned["ablate", "winner"] == "10"
    assert tuned["confirm", "baseline"] == tuned["confirm", "null"] == tuned["ablate", "- input"] == "1"


def test_the_last_stage_stands_in_front_and_every_stage_has_macros(made):
    _, folder = made
    assert "winner" in (folder / "table.csv").read_text() and "winner" in (folder / "paper.tex").read_text()
    assert "trial 5" in (folder / "tables/confirm.csv").read_text()
    assert {"confirm-forest.pdf", "confirm-subjects.pdf"} <= {path.name for path in (folder / "figures").iterdir()}
    numbers = (folder / "numbers.tex").read_text().splitlines()
    assert r"\newcommand{\UFWinner}{0.788}% ablate: winner" in numbers
    assert r"\newcommand{\UFConfirmTrialFive}{0.879}% confirm: trial 5" in numbers
    assert all("}% " in line for line in numbers[1:])
