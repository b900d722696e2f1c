"""A user's own reader by dotted path: the one that the docs show, as a function and as a class, and mistakes in it."""

import re
from pathlib import Path

import pytest
from PIL import Image

from search_spaces.errors import UserError
from study.data import readers

DOCS = Path(__file__).parents[4] / "docs/datasets.md"
(EXAMPLE,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.S)
ALONE = (
    "classes that one subject alone shows: sad (subject s1 of mylab). When the subject is held out, nothing of the "
    "class is left to train on: its F1 is 0, and UF1 at most 0.50."
)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module and gives its name."""
    monkeypatch.syspath_prepend(tmp_path)
    names = iter(f"own_reader_{tmp_path.name}_{number}" for number in range(9))

    def write(text: str) -> str:
        name = next(names).replace("-", "_")
        (tmp_path / f"{name}.py").write_text(text)
        return name

    return write


@pytest.fixture
def data(tmp_path):
    for number, name in enumerate(("s1/happy/a", "s1/sad/b", "s2/happy/a")):
        for frame in (8, 9, 10):
            path = tmp_path / "data" / name / f"f{frame}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (4, 4), 9 * number + frame).save(path)
    return tmp_path / "data"


def refused(reader, path) -> list[str]:
    with pytest.raises(UserError) as error:
        readers.read(reader, path, {})
    return error.value.problems


def test_the_docs_reader(module, data):
    assert len(EXAMPLE.splitlines()) < 40
    index = readers.read(f"{module(EXAMPLE)}:read", data, {"fps": 50})
    assert index.table["clip_id"].to_pylist() == ["s1/a", "s1/b", "s2/a"]
    assert index.table["offset"].to_pylist() == [2, 2, 2]
    assert (index.classes, index.notes) == (("happy", "sad"), ("apexes are unknown", ALONE))


def test_a_class(module, data):
    reader = module(
        EXAMPLE + "\n\nclass Mine:\n    def read(self, path, options):\n        return read(path, options)\n"
    )
    assert readers.read(f"{reader}:Mine", data, {}).name == "mylab"


def test_its_problems_are_the_users(module, data):
    for image in (data / "s2/happy/a").iterdir():
        image.unlink()
    (problem,) = refused(f"{module(EXAMPLE)}:read", data)
    assert "holds no images" in problem


def test_what_it_returns_is_checked(module, data):
    reader = module(EXAMPLE.replace('"onset": 0', '"onset": 5').replace("{subject}/{name}", "{name}"))
    told = refused(f"{reader}:read", data)
    assert sum("onset 5 lies after offset 2" in problem for problem in told) == 3
    assert any("clip_id a stands 2 times" in problem for problem in told)
    assert all(problem.startswith(f"dataset reader '{reader}:read': ") for problem in told)
    nothing = module("def read(path, options): pass")
    assert "returned NoneType; expected: study.data.clips.ClipIndex" in refused(f"{nothing}:read", data)[0]


def test_a_reader_that_is_not_there(module, data):
    assert "there is no module nowhere; install it, or put its folder on PYTHONPATH" in refused("nowhere:read", data)[0]
    name = module(EXAMPLE)
    assert f"{name} has no reed" in refused(f"{name}:reed", data)[0]
    assert "is no function" in refused(f"{name}:CLIP_INDEX", data)[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("from os import system as read", "of Python's own library"),
        ("from shutil import rmtree as read", "of Python's own library"),
        ("from functools import partial\nfrom os import truncate\nread = partial(truncate)", "of Python's own library"),
        ("from io import BytesIO as read", "of Python's own library"),
        ("from collections import Counter as read", "is a class without a method read"),
        ("def read(path): {}", "too many positional arguments"),
        ("def read(path, options, more): {}", "missing a required argument: 'more'"),
        ("def read(*, path, options): {}", "too many positional arguments"),
        ("class read:\n    def __init__(self, path): {}\n    def read(self, path, options): {}", "missing a required"),
        ("class read:\n    def read(self): {}", "too many positional arguments"),
    ],
)
def test_what_is_no_reader_is_not_called(module, data, text, words):
    told = refused(f"{module(text.replace('{}', 'raise SystemExit'))}:read", data)[0]
    assert words in told and "expected: a function of path and options that returns a ClipIndex" in told
    assert all(path.exists() for path in (data, *data.glob("*/*/*/*.png")))


@pytest.mark.parametrize("body", ["{}['gone']", "import sys; sys.exit(0)", "open(path / 'gone')"])
def test_a_reader_that_fails_is_named_with_its_line(module, data, body):
    name = module(f"def read(path, options):\n    {body}\n")
    assert re.search(rf"'{name}:read' failed: \w+: .*{name}\.py, line 2\)", refused(f"{name}:read", data)[0])
