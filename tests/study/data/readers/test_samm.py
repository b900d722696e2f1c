"""SAMM: prose above the sheet, text subjects, two paddings, a known wrong offset, and damage."""

import pytest

from search_spaces.errors import UserError
from study.data import readers
from study.data.readers import samm

HEADER = [
    "Subject",
    "Filename",
    "Inducement Code",
    "Onset Frame",
    "Apex Frame",
    "Offset Frame",
    "Duration",
    "Micro",
    "Action Units",
    "Estimated Emotion",
    "Objective Classes",
    "Notes",
]
ROWS = [
    ["006", "006_1_2", 1, 562, 588, 595, 34, "Micro - 1/2", "R14A or 17A", "Anger", 3, None],
    ["006", "006_1_3", 1, 95, 98, 104, 10, "Micro - 1/2", "R12", "Happiness", 1, "seen"],
    ["013", "013_1_9", 4, 50, 55, 20, 9, "Micro - 1/2", "(R6 or R12)+R15", "Surprise", 2, None],
    [28, "028_4_1", 4, 10, 0, 19, 10, "Micro - 1/2", 4, "Contempt", 4, None],
    ["028", "028_4_2", 4, 9990, 9995, 10003, 14, "Micro - 1/2", 4, "Other", 7, None],
]
PROSE = [[f"line {number} of prose"] for number in range(13)]


@pytest.fixture
def dataset(tree):
    tree.sheet("SAMM_Micro_FACS_Codes_v2.xlsx", [["about"]], "READ_ME", MICRO_ONLY=[*PROSE, HEADER, *ROWS])
    tree.images("SAMM/006/006_1_2", range(562, 596), "006_{:05d}.jpg")
    tree.images("SAMM/006/006_1_3", range(95, 105), "006_{:04d}.jpg")  # four digits
    tree.images("SAMM/013/013_1_9", range(50, 61), "013_{:05d}.jpg")
    tree.images("SAMM/028/028_4_1", range(10, 20), "028_0{:04d}.jpg")
    tree.images("SAMM/028/028_4_2", range(9990, 10004), "28-{}.jpg")  # padded nowhere: 9999 comes before 10000
    return tree


def problems(tree, **options) -> list[str]:
    with pytest.raises(UserError) as error:
        readers.read("samm", tree.root, options)
    return error.value.problems


def test_the_index_is_as_expected(dataset):
    index = readers.read("samm", dataset.root, {})
    assert [
        (r["clip_id"], r["subject"], r["label"], r["onset"], r["apex"], r["offset"]) for r in index.table.to_pylist()
    ] == [
        ("006_1_2", "006", "negative", 0, 26, 33),
        ("006_1_3", "006", "positive", 0, 3, 9),
        ("013_1_9", "013", "surprise", 0, 5, 10),
        ("028_4_1", "028", "negative", 0, None, 9),
    ]
    assert index.table["fps"][0].as_py() == 200.0
    notes = "\n".join(index.notes)
    assert "offset known to be wrong, taken from the last image: 1 (013_1_9)" in notes
    assert "megc3 drops 1 of 5 clips: others 1" in notes
    assert "/SAMM); without landmarks the whole frame stands for the face" in notes


def test_a_sheet_that_somebody_corrected_is_believed(dataset):
    rows = [list(row) for row in ROWS]
    rows[2][5] = 58
    dataset.sheet("SAMM_Micro_FACS_Codes_v2.xlsx", [HEADER, *rows])  # the header in the first row, another sheet
    survey = samm.survey(dataset.root, {})
    assert survey.rows[2]["offset"] == 8
    assert not any("known to be wrong" in note for note in survey.notes)


def test_five_emotions_and_objective_classes(dataset):
    five = samm.survey(dataset.root, {"labels": "samm_5"})
    assert [row["label"] for row in five.rows] == ["anger", "happiness", "surprise", "contempt", "others"]
    assert (five.rows[4]["onset"], five.rows[4]["offset"]) == (0, 13)
    objective = samm.survey(dataset.root, {"labels": "objective5"})
    assert [row["label"] for row in objective.rows] == ["III", "I", "II", "IV"]
    assert any("objective5 drops 1 of 5 clips: vii 1" in note for note in objective.notes)
    assert {problem.text for problem in objective.problems} == {"class V has no clips"}


def test_damage_is_named_with_file_and_row(dataset):
    rows = [list(row) for row in ROWS]
    rows[0][0] = "007"
    rows[1][9] = "Happy?"
    rows[3][3] = 25
    dataset.sheet("SAMM_Micro_FACS_Codes_v2.xlsx", [*PROSE, HEADER, *rows], "MICRO_ONLY")
    dataset.images("SAMM/028/028_4_9", [1])
    told = problems(dataset)
    where = f"{dataset.root / 'SAMM_Micro_FACS_Codes_v2.xlsx'}, row"
    assert sorted(told) == sorted(
        [
            f"{where} 15: 006_1_2: subject is '007', the name says another",
            f"{where} 15: 006_1_2: there are neither images nor a video of it; copy them again from where they came, "
            "or set the option missing: leave_out",
            f"{where} 16: 006_1_3: the emotion is 'Happy?'; valid: anger, contempt, disgust, fear, happiness, others, "
            "sadness, surprise; correct it by the option corrections: {006_1_3: {label: ...}}",
            f"{where} 18: 028_4_1: onset 25 lies after offset 19; correct it by the option corrections: "
            "{028_4_1: {offset: ...}}",
        ]
    )
    assert [out.clip for out in samm.survey(dataset.root, {}).left_out if "without an annotation" in out.reason] == [
        "006_1_2",
        "028_4_9",
    ]


def test_a_second_expression_in_one_folder(dataset):
    second = [*ROWS[1][:3], 99, 100, 104, *ROWS[1][6:]]
    dataset.sheet("SAMM_Micro_FACS_Codes_v2.xlsx", [HEADER, *ROWS, second], "MICRO_ONLY")
    found = samm.survey(dataset.root, {})
    own = [(row["clip_id"], row["onset"]) for row in found.rows if "006_1_3" in row["clip_id"]]
    assert own == [("006_1_3@95", 0), ("006_1_3@99", 4)] and not found.problems
