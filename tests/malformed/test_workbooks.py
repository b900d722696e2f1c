"""Annotations in Excel's format that are damaged, unpack to gigabytes, or are no files."""

import io
import os
import zipfile

import pytest
from openpyxl import Workbook
from PIL import Image

import study.data.inspection.dataset_check  # noqa: F401 (in this process once, not in every fork of it)
from tests.malformed.command import refused, run

SHEET = "xl/worksheets/sheet1.xml"
NAME = "CASME2-coding-20140508.xlsx"
UNREADABLE = f"{NAME}: not readable as a table ("


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """CASME II: two subjects with a clip of three classes each; a test writes its own annotation."""
    root = tmp_path_factory.mktemp("casme2")
    for subject in (1, 2):
        for clip in (1, 2, 3):
            images = root / f"CASME2/sub{subject:02d}/EP{clip:02d}_{subject:02d}f"
            images.mkdir(parents=True)
            for frame in range(1, 4):
                Image.new("L", (16, 16), 20 * frame + 3 * clip + subject).save(images / f"img{frame}.png")
    return root


@pytest.fixture(scope="module")
def workbook():
    book, content = Workbook(), io.BytesIO()
    book.active.append(["Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Estimated Emotion"])
    for subject in (1, 2):
        for clip, emotion in enumerate(("disgust", "happiness", "surprise"), 1):
            book.active.append([f"{subject:02d}", f"EP{clip:02d}_{subject:02d}f", 1, 2, 3, emotion])
    book.save(content)
    return content.getvalue()


def changed(workbook: bytes, part: str, change) -> bytes:
    """The workbook with another content of a part of it; None leaves it out."""
    content = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook)) as old, zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if (data := change(old.read(name)) if name == part else old.read(name)) is not None:
                new.writestr(name, data)
    return content.getvalue()


def flipped(workbook: bytes) -> bytes:
    """With a byte changed amid the packed rows."""
    with zipfile.ZipFile(io.BytesIO(workbook)) as parts:
        place = parts.getinfo(SHEET).header_offset + 30 + len(SHEET) + 40
    return workbook[:place] + bytes([workbook[place] ^ 0xFF]) + workbook[place + 1 :]


def with_cell(old: bytes, new: bytes):
    """A change of the workbook: other text of its rows."""
    return lambda workbook: changed(workbook, SHEET, lambda part: part.replace(old, new))


DAMAGE = {
    "nothing": lambda book: b"",
    "half of it": lambda book: book[: len(book) // 2],
    "no archive": lambda book: b"PK\x03\x04" + b"junk" * 99,
    "an encrypted one": lambda book: bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600),
    "a byte of the rows": flipped,
    "rows that end": lambda book: changed(book, SHEET, lambda part: part[:400]),
    "rows that are no XML": lambda book: changed(book, SHEET, lambda part: b"\xff" * 99),
    "no rows": lambda book: changed(book, SHEET, lambda part: None),
    "no list of sheets": lambda book: changed(book, "xl/workbook.xml", lambda part: None),
    "another list of sheets": lambda book: changed(book, "xl/workbook.xml", lambda part: b"<x/>"),
    "a number of 5,000 digits": with_cell(b"<v>1<", b"<v>%b<" % (b"9" * 5000)),
    "a number that is a word": with_cell(b"<v>1<", b"<v>x<"),
    "a column beyond all": with_cell(b'"B2"', b'"ZZZZZZ2"'),
    "a cell of 64 MiB": with_cell(b"<t>Subject", b"<t>" + b"x" * 2**26),
    "64 MiB beside the rows": lambda book: changed(book, "docProps/core.xml", lambda part: bytes(2**26)),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_workbooks(folder, workbook, name):
    (folder / NAME).write_bytes(DAMAGE[name](workbook))
    refused("check", "casme2", folder, cwd=folder, tells=(UNREADABLE, "expected: .xlsx, or .csv in UTF-8"))


@pytest.mark.parametrize(("make", "kind"), [(os.mkfifo, "a named pipe"), (os.mkdir, "a folder")])
def test_workbooks_that_are_no_files(folder, make, kind):
    (folder / NAME).unlink(missing_ok=True)
    make(folder / NAME)
    try:
        refused("check", "casme2", folder, cwd=folder, tells=(f"{NAME}: is {kind}; expected: a workbook",))
    finally:
        (folder / NAME).rmdir() if kind == "a folder" else (folder / NAME).unlink()


def test_a_sheet_that_says_it_is_larger_than_it_is_is_read(folder, workbook):
    """As a sheet whose columns were formatted to the last says."""
    (folder / NAME).write_bytes(changed(workbook, SHEET, lambda part: part.replace(b"A1:F7", b"A1:XFD1048576")))
    ended = run("check", "casme2", folder, cwd=folder)
    assert ended.code == 0, ended.said
    assert ended.seconds < 5
