"""Malformed study files: YAML that is none, values out of bounds, readers that are none, files of another kind."""

import json
import os
from importlib import import_module

import pytest

from tests.malformed.command import refused

STUDY = """
name: malformed
dataset: {path: clips}
stages: {ablate: {design: listed, arms: {one: {depth: 2}}}}
"""
SEARCH = """
name: malformed
dataset: {path: clips}
stages: {search: {design: search, proposals: 4, factors: {depth: [1, 2]}}}
"""


def of(key: str, value: str) -> str:
    """The study with a value in the place of that of a key, or with a key more."""
    lines = [line for line in STUDY.splitlines() if not line.startswith(f"{key}:")]
    return "\n".join([*lines, f"{key}: {value}"])


def ablation(**parts: object) -> str:
    """The study with another design, as JSON, which is YAML."""
    return of("stages", json.dumps({"ablate": parts}))


def numbered(count: int, value: object = 1) -> dict[str, object]:
    return {f"k{n}": value for n in range(count)}


DEEP = "lists and mappings are nested more than 64 deep"
YAML = {
    # explicit tags
    "an int that is a word": (of("name", "!!int two"), "line 4, column 7: two is not a whole number in decimal digits"),
    "a float that is a word": (of("name", "!!float x"), "x is not a number in decimal digits"),
    "a bool that is a word": (of("name", "!!bool maybe"), "maybe is not true or false"),
    "a null that is a word": (of("name", "!!null none"), "none is not null"),
    "a date that is a word": (of("name", "!!timestamp x"), "x is read as a date"),
    "a mapping that is a word": (of("dataset", "!!map x"), "!!map is a tag of no plain value"),
    "a list of keys": (of("dataset", "!!seq {path: x}"), "!!seq is a tag of no plain list or mapping"),
    "a set": (of("dataset", "!!set {path, reader}"), "!!set is a tag of no plain list or mapping"),
    "an ordered mapping": (of("dataset", "!!omap [path: x]"), "!!omap is a tag of no plain list or mapping"),
    "pairs": (of("dataset", "!!pairs [path: x]"), "!!pairs is a tag of no plain list or mapping"),
    "bytes for a name": (of("name", "!!binary aGk="), "!!binary is a tag of no plain value"),
    "bytes for a key": (of("!!binary aGk=", "x"), "!!binary is a tag of no plain value"),
    "no base64": (of("name", "!!binary é"), "!!binary is a tag of no plain value"),
    "Python": (of("name", "!!python/object/apply:os.system [true]"), "python/object/apply:os.system"),
    "a tag of one's own": (of("name", "!mine x"), "!mine is a tag of no plain value"),
    "a list for a key": (of("? [a, b]\n", "x"), "a key is a list or mapping; expected: text"),
    # dates and times
    "the 30th of February": (of("name", "2024-02-30"), "2024-02-30 is read as a date, and no value here is one"),
    "the 13th month": (of("name", "2024-13-01"), "2024-13-01 is read as a date"),
    "day 0": (of("name", "2024-01-00"), "2024-01-00 is read as a date"),
    "25 o'clock": (of("name", "2024-01-01T25:00:00Z"), "is read as a date"),
    "an hour of 99 minutes": (of("name", "2024-01-01 10:99:00"), "is read as a date"),
    "a zone of 99 hours": (of("name", "2024-01-01T10:00:00+99:00"), "is read as a date"),
    "a date as a key": (of("2024-02-30", "x"), "2024-02-30 is read as a date"),
    "a time of base 60": (of("name", "12:30:45"), "12:30:45 is not a whole number in decimal digits"),
    # numbers
    "5,000 digits": (of("name", "9" * 5000), "… is a number of more than 300 digits"),
    "5,000 digits of a key": (of("? " + "9" * 5000 + "\n", "x"), "… is a number of more than 300 digits"),
    "5,000 digits of an option": (
        of("dataset", f"{{path: x, options: {{n: [{'1' * 5000}]}}}}"),
        "line 4, column 34: 1111",
    ),
    "5,000 digits, tagged": (of("name", f"!!int '{'7' * 5000}'"), "… is a number of more than 300 digits"),
    "5,000 hexadecimal digits": (of("name", "0x" + "f" * 5000), "is not a whole number in decimal digits"),
    "5,000 binary digits": (of("name", "0b" + "1" * 5000), "is not a whole number in decimal digits"),
    "5,000 decimals": (of("name", "." + "1" * 5000), "… is a number of more than 300 digits"),
    "5,000 parts of base 60": (of("name", "1" + ":59" * 5000), "is not a whole number in decimal digits"),
    # nesting
    "lists 1,000 deep": (of("name", "[" * 1000 + "]" * 1000), DEEP),
    "lists 100,000 deep": (of("name", "[" * 100_000 + "]" * 100_000), DEEP),
    "lists without end": (of("name", "[" * 100_000), DEEP),
    "mappings 1,000 deep": (of("dataset", "{a: " * 1000 + "1" + "}" * 1000), DEEP),
    "mappings 100,000 deep": (of("dataset", "{a: " * 100_000 + "1" + "}" * 100_000), DEEP),
    "blocks 1,000 deep": ("\n".join(" " * n + "a:" for n in range(1000)), DEEP),
    "dashes 100,000 deep": (of("name", "\n  " + "- " * 100_000 + "a"), DEEP),
    "aliases of aliases": (
        "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)),
        "more than 200000 values until here",
    ),
    "60,000 bad levels": (ablation(design="factorial", factors={"depth": ["x"] * 60_000}), "... and 59980 more"),
    "an alias of itself": ("a: &a [*a]", "alias a is part of what it stands for"),
    # keys
    "20,000 unknown keys": (of("k", "1\n" + "\n".join(f"k{n}: 1" for n in range(19_999))), "... and 19980 more"),
    "20,000 unknown keys of the dataset": (of("dataset", json.dumps(numbered(20_000))), "... and 19980 more"),
    "20,000 unknown stages": (of("stages", json.dumps(numbered(20_000))), "valid: search, confirm"),
    "20,000 unknown factors": (of("baseline", json.dumps(numbered(20_000))), "... and 19980 more"),
    "2,000 bad arms": (ablation(design="listed", arms=numbered(2000, {"d": 1})), "... and 1980 more"),
    "a key of 100,000 letters": (of("? " + "k" * 100_000 + "\n", "x"), "…: unknown key"),
    # what is no text, or no YAML
    "a tab": ("name:\n\tx: 1", "line 2, column 1: not valid YAML"),
    "no end": (of("name", '"x'), "not valid YAML"),
    "two documents": (STUDY + "---\n" + STUDY, "not valid YAML"),
    "a zero byte": (of("name", "a\0b"), "U+0000 is no character that can be printed"),
    "Latin-1": (of("question", "où").encode("latin-1"), "not UTF-8 text (byte 0xf9); expected: a study file"),
    "UTF-16": (STUDY.encode("utf-16"), "not UTF-8 text"),
    "8 MiB": ("# " + "x" * 2**23, "is larger than 4 MiB"),
    "nothing": ("", "a study file is a mapping of keys"),
    "a number": ("3", "a study file is a mapping of keys"),
}


@pytest.mark.parametrize("name", YAML)
def test_yaml(name, tmp_path):
    text, told = YAML[name]
    (tmp_path / "study.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    said = refused("plan", "study.yaml", cwd=tmp_path, tells=("error: study.yaml: ", told))
    assert len(said.splitlines()) <= 21
    assert len(said) < 40_000


NUMBERS = {
    "processors of 1e30": (of("resources", "{cpu: 1e30}"), "resources.cpu: '1e30'", "a number from 0.01 to 4096"),
    "processors of inf": (of("resources", "{cpu: .inf}"), "resources.cpu: inf", "from 0.01 to 4096"),
    "processors of NaN": (of("resources", "{cpu: .nan}"), "resources.cpu: nan", "from 0.01 to 4096"),
    "processors below 0": (of("resources", "{cpu: -1}"), "resources.cpu: -1", "from 0.01 to 4096"),
    "processors that are true": (of("resources", "{cpu: true}"), "resources.cpu: True", "from 0.01 to 4096"),
    "memory of inf": (of("resources", "{memory: .inf}"), "resources.memory: inf", "a number from 1e-06 to 100000"),
    "memory of NaN": (of("resources", "{memory: .NaN}"), "resources.memory: nan", "from 1e-06 to 100000"),
    "memory of 1e300": (of("resources", "{memory: 1e300}"), "resources.memory: '1e300'", "from 1e-06 to 100000"),
    "memory of -inf": (of("resources", "{memory: -.inf}"), "resources.memory: -inf", "from 1e-06 to 100000"),
    "memory of 0": (of("resources", "{memory: 0}"), "resources.memory: 0", "from 1e-06 to 100000"),
    "a tracking server without a host": (
        of("tracking_uri", "http://"),
        "tracking_uri: 'http://': expected: the address",
    ),
    "a GPU of 1e30": (of("resources", "{gpu: 1e30}"), "resources.gpu: '1e30'", "from 0 to 1024"),
    "a GPU and a half": (of("resources", "{gpu: 1.5}"), "resources.gpu: 1.5", "a share of a GPU from 0.001 to 1"),
    "proposals of 10^30": (SEARCH.replace("4", f"1{'0' * 30}"), "search.proposals: 1000", "number from 1 to 50000"),
    "proposals of 10^8": (SEARCH.replace("4", f"1{'0' * 8}"), "search.proposals: 1000", "number from 1 to 50000"),
    "proposals of 1e30": (SEARCH.replace("4", "1e30"), "search.proposals: ", "a whole number from 1 to 50000"),
    "proposals of inf": (SEARCH.replace("4", ".inf"), "search.proposals: inf", "a whole number from 1 to 50000"),
    "half a proposal": (SEARCH.replace("4", "0.5"), "search.proposals: 0.5", "a whole number from 1 to 50000"),
    "startup of 10^8": (SEARCH.replace("4", "4, startup: 100000000"), "search.startup", "from 1 to 50000"),
    "10^8 slots": (SEARCH.replace("4", "4, virtual_slots: 100000000"), "search.virtual_slots", "from 1 to 10000"),
    "10^8 seeds": (SEARCH.replace("4", "4, seeds: 100000000"), "search.seeds", "from 1 to 999"),
    "10^8 of the best": (of("stages", "{confirm: {design: top, best: 100000000}}"), "confirm.best", "from 1 to 1000"),
    "28,672 cells": (
        ablation(design="factorial", factors={"epochs": [*range(1, 57)], "filters": [*range(1, 257)], "grid": [1, 2]}),
        "at most 20000 combinations; these make 28672",
    ),
    "20,001 levels": (
        ablation(design="one_at_a_time", vary={"epochs": [*range(1, 20_002)]}),
        "at most 20000 arms; these make 20001",
    ),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(name, tmp_path):
    text, *tells = NUMBERS[name]
    (tmp_path / "study.yaml").write_text(text)
    refused("plan", "study.yaml", cwd=tmp_path, tells=("error: study.yaml: ", *tells))


READERS = ["os:system", "json:loads", "os:abort", "os:_exit", "shutil:rmtree", "time:sleep", "builtins:exec", "os:fork"]


@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_reader_is_not_called(reader, tmp_path):
    import_module("study.scheduling.driver")  # in this process once, not in every fork of it
    (tmp_path / "clips").mkdir()
    (tmp_path / "study.yaml").write_text(of("dataset", f"{{reader: '{reader}', path: clips}}"))
    refused("plan", "study.yaml", cwd=tmp_path, tells=(reader, "expected: a function of path and options"))
    assert (tmp_path / "clips").is_dir()


MODULES = {
    "raise SystemExit(3)": "own cannot be imported: SystemExit: 3",
    "1 / 0": "own cannot be imported: ZeroDivisionError",
    "def (": "own cannot be imported: SyntaxError",
    "from own import read": "own cannot be imported: ImportError",
    "import nowhere.at.all": "there is no module nowhere",
    "def read(path): ...": "is not called as a reader is (too many positional arguments)",
    "read = 3": "is no function; expected: a function of path and options",
    "def read(path, options): return path": "returned PosixPath; expected: study.data.clips.ClipIndex",
    "def read(path, options): raise SystemExit(3)": "failed: SystemExit: 3",
}


@pytest.mark.parametrize("source", MODULES)
def test_modules_of_a_readers_own_that_fail(source, tmp_path):
    import_module("study.scheduling.driver")
    (tmp_path / "clips").mkdir()
    (tmp_path / "own.py").write_text(source)
    (tmp_path / "study.yaml").write_text(of("dataset", "{reader: 'own:read', path: clips}"))
    refused("plan", "study.yaml", cwd=tmp_path, tells=("reader 'own:read'", MODULES[source]))


def test_files_of_another_kind(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    for name, told in {
        "pipe.yaml": "is a named pipe; expected: a study file",
        "folder.yaml": "is a folder; expected: a study file",
        "zero.yaml": "is a device; expected: a study file",
        "/dev/stdin": "expected: a study file",
        "/dev/full": "is a device; expected: a study file",
        "loop.yaml": "there is no such study file",
        "none.yaml": "there is no such study file",
    }.items():
        for command in ("plan", "run"):
            refused(command, name, cwd=tmp_path, tells=(name, told))
