import copy
import csv
import io
import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.report.report import report
from analysis.tables import Column, Row, Table, absent, interval, number, probability, tally, text


@pytest.fixture()
def table():
    columns = (
        Column("Variant", ("variant",), numeric=False),
        Column("ΔUF1 [95 % CI]", ("difference", "low", "high")),
        Column("W/T/L", ("wins", "ties", "losses")),
        Column("Params", ("parameters",)),
    )
    difference = interval((-0.0434, -0.1, 0.02), signed=True)
    rows = (
        Row("variant", (text("regions=eyes & 50 %_x"), difference, tally((1, 2, 3)), number(12345))),
        Row("missing", (text("a|b"), absent(3), absent(3), number(None))),
    )
    return Table("toy", "Toy", "A caption with 95 % and n − 1.", columns, rows, ("A note_with underscore.",))


def test_every_format_shows_the_same_digits(table):
    rows = list(csv.reader(io.StringIO(table.to_csv())))
    assert rows[0] == ["kind", "variant", "difference", "low", "high", "wins", "ties", "losses", "parameters"]
    assert rows[1] == ["variant", "regions=eyes & 50 %_x", "-0.043", "-0.100", "+0.020", "1", "2", "3", "12345"]
    assert rows[2] == ["missing", "a|b", *[""] * 7]
    assert table.texts()[0][1:] == ["−0.043 [−0.100, +0.020]", "1/2/3", "12,345"]
    assert "| −0.043 [−0.100, +0.020] | 1/2/3 | 12,345 |" in table.to_markdown()
    assert "$-$0.043 [$-$0.100, +0.020] & 1/2/3 & 12,345" in table.to_latex()


def test_json_keeps_the_numbers_as_computed(table):
    row = table.to_json()["rows"][0]
    assert (row["difference"], row["low"], row["wins"], row["parameters"]) == (-0.0434, -0.1, 1, 12345)
    assert table.to_json()["rows"][1]["difference"] is None


def test_markdown_escapes_pipes(table):
    lines = [line for line in table.to_markdown().splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {5}


@given(st.floats(-1, 1))
def test_zero_has_no_sign_and_minus_is_not_a_hyphen(value):
    cell = interval((value, value, value), signed=True)
    assert "-" not in cell.text
    assert float(cell.digits[0]) == pytest.approx(value, abs=5.01e-4)
    assert (cell.digits[0][0] in "+-") == (float(cell.digits[0]) != 0)


def test_what_is_no_number_is_absent():
    assert number(math.nan, 3) == number(None, 3) == absent()
    assert text(None).text == text("").text == "–"


def test_a_p_is_never_zero_in_any_format():
    made = Table("p", "P", "", (Column("p", ("p",)),), (Row("plain", (probability(1e-9),)),))
    assert made.to_csv() == "kind,p\nplain,<0.0001\n"
    assert "| <0.0001 |" in made.to_markdown() and "$<$0.0001" in made.to_latex()
    assert probability(0.01234).text == "0.0123" and made.to_json()["rows"][0]["p"] == 1e-9


def test_marks_signs_and_missing_parts_of_a_number():
    assert number(0.5, 3, parts=3, marks="†").text == "0.500†" and number(0.5, 3, parts=3).digits == ("0.500", "", "")
    assert number(0.0126, 3, signed=True).text == "+0.013" and number(-0.0001, 3).text == "0.000"
    assert number(-1234.5, 1).text == "−1,234.5"


def test_two_numbers_of_one_name_are_refused():
    columns = Column("Kind", ("kind",)), Column("a", ("x", "y")), Column("b", ("y",))
    with pytest.raises(ValueError, match="two columns are called kind, y"):
        Table("t", "T", "", columns, ())


def test_factors_and_datasets_may_be_called_like_our_columns(simulate, arm):
    levels = [{"variant": i, "kind": i, "uf1": i, "Params": i, "rank": i, "state": i, "trial": i} for i in (1, 2)]
    study = copy.deepcopy(simulate((arm("baseline", 0.7, levels[0]), arm("other", 0.4, levels[1])), search=4))
    for row in study.predictions:
        row["dataset"] = {"s0": "all", "s1": "pooled"}[row["subject"][:2]]
    for i, trial in enumerate(study.trials[:4]):
        trial["factors"] = json.dumps(levels[i % 2] | {"hidden": i})
    made = {table.name: table for table in report(study.results()).tables()}
    shown = made["ablate-components"].to_json()["rows"]
    assert [row["factor_uf1"] for row in shown] == ["1", "2"] and shown[0]["uf1"] > 0.5
    assert [(row["kind"], row["variant"]) for row in shown] == [("baseline", "baseline"), ("variant", "other")]
    ranked = made["search"].to_json()["rows"]
    assert sorted(row["rank"] for row in ranked if row["rank"]) == [1, 2, 3] and ranked[0]["factor_rank"] in ("1", "2")
    datasets = made["ablate-datasets"].to_json()["rows"][0]
    assert datasets["uf1_pooled"] != datasets["uf1_dataset_all"] != datasets["uf1_dataset_pooled"]


def test_a_long_table_is_cut_with_a_count_and_its_csv_has_all(table):
    many = Table("search", "Search", "Some.", table.columns, table.rows[:1] * 5000, table.notes)
    cut = "The first 200 of 5,000 rows; search.csv has them all."
    assert len(many.texts()) == 200 and many.remarks == (*many.notes, cut)
    assert cut in many.to_markdown() and cut in many.to_latex() and len(many.to_latex()) < 20_000
    assert many.to_csv().count("\n") == 5001 and len(many.to_json()["rows"]) == 5000
    assert table.remarks == table.notes
