import pytest

from analysis.questions.ablation import ablations
from analysis.questions.literature import as_published, read
from search_spaces.errors import UserError

HEAD = "method,dataset,metric,value,clips,source,marks\n"


def saved(tmp_path, lines):
    path = tmp_path / "literature.csv"
    path.write_text(HEAD + lines, encoding="utf-8")
    return path


def test_rows_with_marks_stand_below_ours(simulate, tmp_path):
    path = saved(
        tmp_path,
        'STSTNet,MEGC2019,UAR,0.7608,442,"Liong, 2019",precision called recall\n'
        "HTNet,toy,UF1,0.8603,153,paper,epoch chosen on the test fold; read off a figure\n",
    )
    found = ablations(simulate().results())[-1]
    table = as_published(read(path), found, "toy", 150)
    assert table.rows[0].kind == "baseline" and table.rows[0].cells[4].text == "150"
    assert [row.cells[3].text for row in table.rows[1:]] == ["0.761‡", "0.860†(3)§"]
    assert "not tested" in table.caption and any(note.startswith("§ another number of clips") for note in table.notes)


def test_all_mistakes_at_once_by_row(tmp_path):
    path = saved(tmp_path, "A,d,UF1,73.5,442,s,\n,d,UF1,0.5,many,s,\n")
    with pytest.raises(UserError) as caught:
        read(path)
    first, second = caught.value.problems
    assert "row 2: value '73.5'" in first and "0.735" in first
    assert "row 3: no method; clips 'many' is not a whole number" in second


def test_missing_columns(tmp_path):
    (tmp_path / "x.csv").write_text("method,value\n")
    with pytest.raises(UserError, match="columns missing: dataset, metric, clips, source, marks"):
        read(tmp_path / "x.csv")


def test_nothing_published_no_table(simulate):
    assert as_published((), None, "toy", 1) is None


@pytest.mark.parametrize("number", ["nan", "inf", "0", "-3", "1.5", "many"])
def test_clips_are_a_number_of_clips(number, tmp_path):
    with pytest.raises(UserError, match=r"row 2: clips .* is not a whole number of at least 1"):
        read(saved(tmp_path, f"A,d,UF1,0.5,{number},s,\n"))


def test_values_that_are_no_number(tmp_path):
    with pytest.raises(UserError) as caught:
        read(saved(tmp_path, "A,d,UF1,nan,,s,\nB,d,UF1,inf,,s,\nC,d,UF1,0.5,,s\nD,d,UF1\nE,d,UF1,0.5,,s,,\n"))
    problems = " | ".join(caught.value.problems)
    assert "row 2: value 'nan'" in problems and "row 3: value 'inf'" in problems
    assert all(f"row {n}: fewer fields than the header names" in problems for n in (4, 5))
    assert "row 6: more fields" in problems
