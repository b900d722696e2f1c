import csv

import pyarrow.csv
import pyarrow.parquet
import pytest

from search_spaces.errors import UserError
from study.data.clips import CLIP_INDEX
from study.data.readers.manifest import read
from tests.films import film

GOOD = [
    {"clip_id": f"c{n}", "subject": f"s{n % 2}", "label": "ab"[n // 2], "onset": 1, "offset": 9, "source": f"c{n}.mp4"}
    for n in range(4)
]


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return film(tmp_path_factory.mktemp("video") / "video.mp4").read_bytes()


@pytest.fixture
def folder(tmp_path, video):
    for row in GOOD:
        (tmp_path / row["source"]).write_bytes(video)
    return tmp_path


def table(folder, rows):
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with (folder / "clips.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(rows)
    return folder


def changed(number, **cells):
    return [row | cells if n == number else row for n, row in enumerate(GOOD)]


def problems(path, **options):
    with pytest.raises(UserError) as error:
        read(path, options)
    return error.value.problems


def test_the_smallest_manifest(folder):
    index = read(table(folder, GOOD), {})
    assert index.table.schema.equals(CLIP_INDEX)
    assert index.table.column("clip_id").to_pylist() == ["c0", "c2", "c1", "c3"]  # by subject, then clip
    assert index.table.column("apex").null_count == index.table.column("face_left").null_count == 4
    assert (index.classes, index.root, index.name, index.truth) == (("a", "b"), folder, folder.name, None)
    assert set(index.table.column("dataset").to_pylist()) == {"manifest"}, "as in tables that were exported before"


def test_parquet_gives_the_same(folder):
    index = read(table(folder, GOOD), {})
    pyarrow.parquet.write_table(pyarrow.csv.read_csv(folder / "clips.csv"), folder / "other.parquet")
    assert read(folder / "other.parquet", {}).table.equals(index.table)


def test_real_clips(media, tmp_path):
    rows = [{**GOOD[n], "source": str(path), "offset": 40} for n, path in enumerate(sorted(media.glob("*.mkv"))[:4])]
    assert len(read(table(tmp_path, rows), {}).table) == 4


@pytest.mark.parametrize(
    "cells, words",
    [
        ({"label": ""}, "label is empty"),
        ({"subject": " "}, "subject is empty"),
        ({"onset": "x"}, "onset is 'x'; valid: a whole number"),
        ({"offset": "9.5"}, "offset is '9.5'; valid: a whole number"),
        ({"offset": "1e300"}, "offset is '1e300'; valid: a whole number below 2^31"),
        ({"face_left": "-1e20"}, "face_left is '-1e20'; valid: a whole number below 2^31"),
        ({"offset": "inf"}, "offset is 'inf'; valid: a whole number"),
        ({"onset": -1}, "onset is -1; frames are numbered from 0"),
        ({"onset": 10}, "onset 10 lies after offset 9"),
        ({"apex": 10}, "apex 10 does not lie between onset 1 and offset 9"),
        ({"fps": 0}, "fps is 0.0; valid: more than 0"),
        ({"source": "gone.mp4"}, "source gone.mp4 is missing"),
        ({"landmarks": "gone.csv"}, "landmarks gone.csv are missing"),
        ({"face_left": 3}, "the face box is incomplete"),
        ({"face_left": 3, "face_top": 3, "face_width": 0, "face_height": 9}, "width and height from 1"),
    ],
)
def test_a_bad_row_is_named_with_file_and_line(folder, cells, words):
    (problem,) = problems(table(folder, changed(2, **cells)))
    assert problem.startswith(f"{folder / 'clips.csv'}, line 4: ") and words in problem


def test_all_bad_rows_at_once(folder):
    rows = [row | {"onset": 99, "source": "none"} for row in GOOD]
    assert len(problems(table(folder, rows))) == 8


def test_the_table_as_a_whole(folder):
    assert any("c0 stands 2 times" in p for p in problems(table(folder, changed(1, clip_id="c0"))))
    (problem,) = problems(table(folder, [row | {"subject": "s0"} for row in GOOD]))
    assert "1 subject; leave-one-subject-out needs at least 2" in problem
    (problem,) = problems(table(folder, [row | {"label": "a"} for row in GOOD]))
    assert "1 class (a)" in problem


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("s1", "S01", True),
        ("sub_1", "sub-01", True),
        ("s１", "s1", True),  # a full-width digit
        ("1-1", "11", False),
        ("1-11", "11-1", False),
        ("李", "王", False),
        ("é1", "e1", False),
        ("+", "-", False),
    ],
)
def test_a_subject_spelt_two_ways(folder, one, other, same):
    rows = [row | {"subject": {"s0": one, "s1": other}[row["subject"]]} for row in GOOD]
    if same:
        assert any("one subject is spelt" in problem for problem in problems(table(folder, rows)))
    else:
        assert len(read(table(folder, rows), {}).table) == 4


def test_classes_may_be_demanded(folder):
    assert read(table(folder, GOOD), {"classes": ["b", "a"]}).classes == ("b", "a")
    assert any("class c has no clips" in p for p in problems(folder, classes=["a", "b", "c"]))
    assert sum("label is 'b'; valid: a, z" in p for p in problems(folder, classes=["a", "z"])) == 2


@pytest.mark.parametrize("classes", [5, "xy", ["a", 1], ["a", "b", "a"], {"a": "b"}, [["a"]]])
def test_classes_are_a_list_of_names(folder, classes):
    (problem,) = problems(table(folder, GOOD), classes=classes)
    assert "valid: a list of different labels" in problem


def test_two_datasets_may_share_clip_ids(folder):
    rows = [row | {"dataset": "one"} for row in GOOD] + [row | {"dataset": "two"} for row in GOOD]
    assert read(table(folder, rows), {}).name == "one+two"


def test_missing_columns_are_all_named(folder):
    rows = [{key: cell for key, cell in row.items() if key not in ("label", "onset")} for row in GOOD]
    assert ["label" in p or "onset" in p for p in problems(table(folder, rows))] == [True, True]


def test_places_without_a_table(folder):
    assert "expected: a folder with clips.csv or clips.parquet" in problems(folder)[0]
    assert "there is no such folder" in problems(folder / "none")[0]
    assert "no path is given" in problems(None)[0]
    (folder / "clips.csv").write_text(",".join(GOOD[0]) + "\n")
    assert "holds no clips" in problems(folder)[0]


def test_files_that_are_no_table(folder):
    (folder / "clips.csv").write_bytes(b"clip_id,\xff\xfe\n")
    assert "not readable as a table" in problems(folder)[0]
    (folder / "x.parquet").write_bytes(b"PAR1")
    assert "not readable as a table" in problems(folder / "x.parquet")[0]


def test_unknown_options_are_refused(folder):
    assert "option klasses is not one of a manifest; valid: classes" in problems(table(folder, GOOD), klasses=[])[0]
