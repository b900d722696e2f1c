"""Datasets that are damaged or not what they seem: tables, truth.json, sources, names, and readers that are none."""

import json
import os

import av  # noqa: F401 (imported once here, and not in every command's fork)
import numpy as np
import pandas  # noqa: F401
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from PIL import Image

import study.data.inspection.dataset_check
import study.scheduling.driver  # noqa: F401
from study.data import readers
from tests.malformed.command import refused, run

HEADER = "clip_id,subject,label,onset,offset,source,fps"
ROWS = [f"c{k},s{k % 2},{'pos' if k < 2 else 'neg'},0,3,{k},25" for k in range(4)]
NFD = "jose\u0301"
STUDY = """
name: malformed
baseline: {architecture: full_face, frames: 3, kernel_time: 1}
stages: {ablate: {design: one_at_a_time, vary: {input: [frame_difference]}}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four sources of four images each, and a study of them. Each test writes its own clips.csv."""
    root = tmp_path_factory.mktemp("malformed")
    for k in range(4):
        (root / str(k)).mkdir()
        for n in range(4):
            Image.fromarray(np.full((8, 8), 10 * k + n, np.uint8)).save(root / str(k) / f"img{n}.png")
    os.mkfifo(root / "pipe.avi")
    (root / "study.yaml").write_text(STUDY)
    return root


@pytest.fixture(autouse=True)
def no_truth(folder):
    """truth.json is a test's own."""
    yield
    (folder / "truth.json").unlink(missing_ok=True)


def table(header=HEADER, rows=ROWS, first=None):
    """A table; `first` in the place of its first row."""
    return "\n".join([header, *([first] if first else rows[:1]), *rows[1:]]) + "\n"


TABLES = {
    "decimal comma": (table(first="c0,s0,pos,0,3,0,29,97"), "line 2: has 8 cells, the header has 7: write numbers"),
    "decimal comma in semicolons": (
        table(first="c0,s0,pos,0,3,0,29.97").replace(",", ";").replace("29.97", "29,97"),
        "line 2: fps is '29,97'; valid: a number with a decimal point",
    ),
    "a cell too few": (table(first="c0,s0,pos,0,3,0"), "line 2: has 6 cells, the header has 7"),
    "a cell too few in tabs": (table(first="c0,s0,0,3,0,25").replace(",", "\t"), "line 2: has 6 cells"),
    "column twice": (table(HEADER.replace("fps", "label")), "the column label stands in the header twice"),
    "extra column twice": (table(HEADER + ",x,x", [r + ",1,2" for r in ROWS]), "the column x stands in the header"),
    "column with spaces twice": (table(HEADER.replace("fps", " onset")), "the column onset stands in the header twice"),
    "no column": (table(HEADER.replace("onset", "begin")), "the column onset is missing; there are: clip_id"),
    "quote without end": (table(first='c0,s0,"pos,0,3,0,25'), "not readable as a table (unexpected end of data)"),
    "UTF-16": (table().encode("utf-16"), "not readable as a table"),
    "Latin-1": (table(first="c0,josé,pos,0,3,0,25").encode("latin-1"), "expected: CSV in UTF-8"),
    "underscores": (table(first="c0,s0,pos,0,1_0,0,25"), "line 2: offset is '1_0'; valid: a whole number"),
    "Arabic-Indic digits": (table(first="c0,s0,pos,٠,3,0,25"), "line 2: onset is '٠'; valid: a whole number"),
    "full-width digits": (table(first="c0,s0,pos,0,３,0,25"), "line 2: offset is '３'"),
    "5,000 digits": (table(first=f"c0,s0,pos,0,{'9' * 5000},0,25"), "line 2: offset is '999"),
    "not finite": (table(first="c0,s0,pos,0,3,0,inf"), "line 2: fps is 'inf'"),
    "no value for a label": (table(first="c0,s0,NA,0,3,0,25"), "line 2: label is 'NA', no value"),
    "beyond the last frame": (table(first="c0,s0,pos,0,4,0,25"), "has 4 frames, clip c0 needs 5 (offset 4"),
    "a pipe": (table(first="c0,s0,pos,0,3,pipe.avi,25"), "source pipe.avi is a named pipe; expected: a video"),
    "a path of Windows": (table(first=r"c0,s0,pos,0,3,C:\clips\0,25"), r"source C:\clips\0 is missing (write it rel"),
    "a name of 5,000 letters": (table(first=f"c0,s0,pos,0,3,{'x' * 5000},25"), "is missing"),
    "a zero byte": (table(first="c0,s\0,pos,0,3,0,25"), r"line 2: subject is 's\x00': U+0000 is no character that can"),
    "a bell": (table(first="c0,s0,pos\a,0,3,0,25"), "line 2: label is 'pos\\x07': U+0007 is no character that can be"),
    "colours of a terminal": (table(first="\x1b[31mc0,s0,pos,0,3,0,25"), "clip_id is '\\x1b[31mc0': U+001B is no"),
    "a backspace in a path": (table(first="c0,s0,pos,0,3,\b0,25"), "source is '\\x080': U+0008 is no character"),
    "a name on two lines": (table(first='c0,"s\n0",pos,0,3,0,25'), "subject is 's\\n0': it has several lines"),
    "two spellings": (table(first="c0,S01,pos,0,3,0,25"), "one subject is spelt S01 and s1; held out as two"),
    "two forms of an accent": (
        table(rows=[r.replace("s0", "josé" if "c0" in r else NFD) for r in ROWS]),
        r"one subject is spelt jos",
    ),
    "full-width letters": (table(first="c0,ｓ１,pos,0,3,0,25"), "one subject is spelt s1 and ｓ１"),
    "numbers by value": (
        table(rows=[r.replace("s0", "1.0" if "c0" in r else "1") for r in ROWS]),
        "one subject is spelt 1 and 1.0",
    ),
    "a sign that is not seen": (table(first="c0,s1\u200b,pos,0,3,0,25"), "one subject is spelt s1 and s1"),
    "one name of two datasets": (
        table(
            HEADER + ",dataset",
            [r.replace("s0", ("b/c", "c")[k // 2]) + f",{('a', 'a/b')[k // 2]}" for k, r in enumerate(ROWS)],
        ),
        "a/b/c is a subject of two datasets",
    ),
    "two labels by value": (
        table(rows=[r.replace("pos", ("-1", "-1.0")[k % 2]) for k, r in enumerate(ROWS)]),
        "one class is spelt -1 and -1.0",
    ),
    "two labels": (table(first="c0,s0,Pos,0,3,0,25"), "one class is spelt Pos and pos"),
    "two datasets": (
        table(HEADER + ",dataset", [f"{r},{'SMIC' if k else 'smic'}" for k, r in enumerate(ROWS)]),
        "one dataset is spelt SMIC and smic",
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_refused_with_place_and_remedy(folder, name):
    text, words = TABLES[name]
    (folder / "clips.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert words in " ".join(refused("check", "manifest", folder, cwd=folder).split())


@pytest.mark.parametrize("name", ["decimal comma", "beyond the last frame", "two labels", "two forms of an accent"])
def test_a_plan_says_it_too(folder, name):
    text, words = TABLES[name]
    (folder / "clips.csv").write_text(text, encoding="utf-8")
    assert words in " ".join(refused("plan", "study.yaml", "--data", folder, cwd=folder).split())


@pytest.mark.parametrize("count", [1, 3, 5, 8])
@pytest.mark.parametrize("form", ["csv", "npy"])
def test_landmarks_of_another_length_are_found_without_decoding(folder, form, count):
    """Of a folder of files, tests/study/data/video/test_landmarks.py."""
    file = folder / f"points{count}.{form}"
    if form == "npy":
        np.save(file, np.ones((count, 68, 2)))
    else:
        header = ["frame", *(f"{axis}_{point}" for axis in "xy" for point in range(68))]
        rows = [[frame, *range(136)] for frame in range(1, count + 1)]
        file.write_text("\n".join(",".join(map(str, row)) for row in [header, *rows]))
    (folder / "clips.csv").write_text(table(HEADER + ",landmarks", [f"{row},{file.name}" for row in ROWS]))
    for command in (("check", "manifest", folder), ("plan", "study.yaml", "--data", folder)):
        refused(*command, cwd=folder, tells=(f"{file.name}: has landmarks of {count} frames, ", "has 4; make them"))


COLUMNS = {
    "bytes": ("label", [b"x", b"x", b"y", b"y"], "the column label holds binary; expected: text or numbers"),
    "bytes that are no text": ("subject", [b"\xff", b"y"] * 2, "the column subject holds binary"),
    "lists": ("label", [["x"], ["x"], ["y"], ["y"]], "the column label holds list<"),
    "mappings": ("clip_id", [{"x": 1}] * 4, "the column clip_id holds struct<"),
    "nothing": ("label", [None] * 4, "row 1: label is empty"),
    "true and false": ("onset", [False] * 4, "row 1: onset is 'False'; valid: a whole number"),
    "halves": ("onset", [0.5] * 4, "row 1: onset is '0.5'; valid: a whole number"),
    "no numbers": ("offset", [float("nan")] * 4, "row 1: offset is 'nan', no value"),
    "2^62": ("offset", [2**62] * 4, "row 1: offset is '4611686018427387904'; valid: a whole number below 2^31"),
    "a column twice": ("fps", [25.0] * 4, "the column fps stands in the header twice; leave one"),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_parquet_tables(folder, tmp_path, kind):
    name, cells, words = COLUMNS[kind]
    names = HEADER.split(",")
    columns = dict(zip(names, zip(*(row.split(",") for row in ROWS), strict=True), strict=True)) | {name: cells}
    columns["source"] = [str(folder / source) for source in columns["source"]]
    several = [*names, name] if kind == "a column twice" else names
    table = pa.Table.from_arrays([pa.array(columns[one]) for one in several], names=several)
    pq.write_table(table, tmp_path / "t.parquet")
    refused("check", "manifest", tmp_path / "t.parquet", cwd=folder, tells=("t.parquet", words))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" * 99, b"c,s\n", None])
def test_files_that_are_no_parquet_tables(tmp_path, content):
    whole = pa.BufferOutputStream()
    pq.write_table(pa.table({"clip_id": ["c0"] * 99}), whole)
    (tmp_path / "t.parquet").write_bytes(whole.getvalue().to_pybytes()[:-40] if content is None else content)
    refused("check", "manifest", tmp_path / "t.parquet", cwd=tmp_path, tells=("t.parquet: not readable as a table (",))


def header_of(shape: str) -> bytes:
    """The header of an array of NumPy's, without its numbers."""
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00v\x00" + text.encode()


POINT_FILES = {
    "a pipe": (os.mkfifo, "is a named pipe"),
    "a folder": (os.mkdir, "is a folder"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "is a device"),
    "nothing": (lambda path: path.touch(), "not readable as an array"),
    "half a header": (lambda path: path.write_bytes(header_of("(68, 2)")[:40]), "not readable as an array"),
    "more than there is": (
        lambda path: path.write_bytes(header_of("(10000000000, 68, 2)")),
        "not readable as an array",
    ),
    "an archive": (lambda path: np.savez(path.open("wb"), np.ones((68, 2))), "holds no array"),
    "pickles": (lambda path: np.save(path, np.full((68, 2), None)), "not readable as an array"),
    "words": (lambda path: np.save(path, np.full((68, 2), "x")), "expected: numbers [68, 2]"),
    "another shape": (lambda path: np.save(path, np.ones((5, 2))), "expected: numbers [68, 2]"),
}


@pytest.mark.parametrize("kind", POINT_FILES)
def test_files_of_landmarks_that_are_none(folder, tmp_path, kind):
    make, words = POINT_FILES[kind]
    for number in range(4):
        np.save(tmp_path / f"{number}.npy", np.ones((68, 2)))
    (tmp_path / "2.npy").unlink()
    make(tmp_path / "2.npy")
    (folder / "clips.csv").write_text(table(HEADER + ",landmarks", [f"{row},{tmp_path}" for row in ROWS]))
    refused("check", "manifest", folder, "--decode", cwd=folder, tells=("2.npy: ", words))


@pytest.mark.parametrize("kind", ["a named pipe", "a folder", "a device"])
@pytest.mark.parametrize("name", ["clips.csv", "clips.parquet", "truth.json"])
def test_files_of_a_dataset_that_are_none(tmp_path, name, kind):
    (tmp_path / "clips.csv").write_text(table())
    (tmp_path / name).unlink(missing_ok=True)
    {"a named pipe": os.mkfifo, "a folder": os.mkdir, "a device": lambda path: path.symlink_to("/dev/zero")}[kind](
        tmp_path / name
    )
    if name == "clips.parquet":
        (tmp_path / "clips.csv").unlink()
    refused("check", "manifest", tmp_path, cwd=tmp_path, tells=(f"{name}: is {kind}; expected: ",))


SHAPED = {"options": {}, "ideal_uf1": {"regions": {"face": {"balanced": 1, "actual": 1, "limit": 1}}}, "planted": []}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not readable as JSON in UTF-8"),
        (b'{"options": {', "not readable as JSON in UTF-8"),
        (b"\xff\xfe{\x00}\x00", "not readable as JSON in UTF-8"),
        (b"[" * 100_000, "not readable as JSON in UTF-8"),
        (b"9" * 5000, "not readable as JSON in UTF-8"),
        (b"[]", "it is no mapping"),
        (b"{}", "options is no dict"),
        (json.dumps(SHAPED | {"ideal_uf1": 3}).encode(), "ideal_uf1 is no mapping"),
        (
            json.dumps(SHAPED | {"ideal_uf1": {"regions": {"face": {"limit": "1"}}}}).encode(),
            "face.balanced is no number",
        ),
        (json.dumps(SHAPED | {"planted": [{"factor": 1}]}).encode(), "planted.0.factor is no str"),
    ],
)
def test_a_truth_of_another_kind(folder, content, words):
    (folder / "clips.csv").write_text(table())
    (folder / "truth.json").write_bytes(content)
    refused(
        "check", "manifest", folder, cwd=folder, tells=("truth.json: ", words, "`losolab data synthesize` writes it")
    )


@pytest.mark.parametrize("reader", ["os:system", "json:loads", "os:abort", "os:rename", "antigravity:x"])
def test_what_is_no_reader(folder, reader):
    refused("check", reader, folder, cwd=folder, tells=(reader, "expected: a function of path and options"))
    assert folder.is_dir()


@pytest.mark.parametrize("name", ["[/nope]", "[red]", "[bold]x[/bold]", "[link=a]b", ":smile:", r"\[red]", "[[x]]"])
def test_names_that_look_like_markup_are_printed_as_they_are(folder, name):
    """Clips, subjects, classes, columns, files, arms and names of studies."""
    odd = [f"c{name},{name}A,{name}B,0,3,{name}.avi,25", f"d{name},{name}a,{name}b,0,4,1,25", *ROWS[2:]]
    (folder / "clips.csv").write_text(table(rows=odd))
    tells = (f"{name}A and {name}a", f"{name}B and {name}b", f"clip d{name} needs 5", f"source {name}.avi is missing")
    refused("check", "manifest", folder, cwd=folder, tells=tells)
    (folder / "clips.csv").write_text(table(f"{HEADER},{name},{name}", [f"{row},1,2" for row in ROWS]))
    refused("check", "manifest", folder, cwd=folder, tells=(f"the column {name} stands in the header twice",))
    arms = {name: {"depth": 9}, f"{name}2": {name: 1}}
    file = f"{name.replace('/', '')}.yaml"
    (folder / file).write_text(json.dumps({"stages": {"ablate": {"design": "listed", "arms": arms}}}))
    tells = (f"error: {file}: ", f"arms.{name}.depth: 9", f"arms.{name}2.{name}: unknown key")
    refused("plan", file, cwd=folder, tells=tells)


def test_many_rows(folder):
    """Time and memory grow with the rows: of each source so many clips, and each clip twice."""
    rows = [f"c{k},s{k % 4},{'pn'[k % 4 // 2]},0,3,{k % 4},25" for k in range(50_000)]
    (folder / "clips.csv").write_text(table(rows=rows))
    refused("check", "manifest", folder, cwd=folder, tells=("have the same content", "4 problems"))


def test_a_table_as_spreadsheets_write_it_is_read_whole(folder):
    text = table(first=r"c0,s0,pos,0,3,.\0,NA") + ",,,,,,\n,,,,,,\n"
    for written in (text, text.replace(",", ";"), text.replace(",", "\t"), "\ufeff" + text):
        (folder / "clips.csv").write_text(written, encoding="utf-8")
        ended = run("check", "manifest", folder, "--json", cwd=folder)
        assert ended.code == 0, ended.said
        known = json.loads(ended.said)
        assert (known["clips"], known["subjects"], known["frame_rates"]) == (4, 2, {"unknown": 1, "25": 3})


def test_a_class_of_one_subject_alone_is_told(folder):
    """By check; the plan and the report print the index's notes."""
    (folder / "clips.csv").write_text(table(first="c0,s0,rare,0,3,0,25"))
    ended = run("check", "manifest", folder, cwd=folder)
    assert ended.code == 0, ended.said
    (note,) = readers.read("manifest", folder, {}).notes
    for told in (note, " ".join(ended.said.split())):
        assert "classes that one subject alone shows: pos (subject s1 of manifest), rare (subject s0 of" in told
        assert "its F1 is 0, and UF1 at most 0.33." in told
