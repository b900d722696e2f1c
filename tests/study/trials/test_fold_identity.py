"""What a fold's key and the guard of the code hold."""

import ast
from pathlib import Path

from search_spaces.digests import digest
from study.trials.fold_identity import ROOT, SAME_CODE, TRAINING_SOURCES, changed_code, code, same_code

# Modules that training imports and whose change is no change of what it does with what is in the key.
OUTSIDE = {
    "search_spaces/config.py": "its levels are in the key, and no default changes its meaning",
    "search_spaces/errors.py": "says what is wrong",
    "search_spaces/protocols.py": "what a protocol's name means is in the masks, which are in the key",
    "study/__init__.py": "is empty",
    "study/data/__init__.py": "is empty",
    "study/trials/__init__.py": "is empty",
    "study/system/__init__.py": "is empty",
    "study/data/clips.py": "what it holds is in the key by its digests",
    "study/system/dotted_path.py": "finds a user's own network, whose source is in the key",
    "study/trials/network_sources.py": "says what a user's own network is made of, which is in the key",
}


def imported(path: Path) -> set[Path]:
    """Files of the project that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    places = [ROOT / name.replace(".", "/") for name in names if name.split(".")[0] in ("study", "search_spaces")]
    return {file for place in places for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()}


def test_every_module_that_training_imports_is_guarded_or_named_with_the_reason():
    reached, left = set[Path](), [ROOT / "study/training/train.py"]
    while left:
        if (path := left.pop()) not in reached:
            reached.add(path)
            left += imported(path)
    names = {path.relative_to(ROOT).as_posix() for path in reached}
    assert {"search_spaces/network_inputs.py", "study/models/folded_network.py"} <= names
    assert names - code().keys() <= OUTSIDE.keys()
    assert all(list(ROOT.glob(pattern)) for pattern in TRAINING_SOURCES), "a pattern names no file"


def test_todays_code_is_among_those_that_are_proved_equal():
    """Where this fails, training changed: add the digest if the golden digests hold, else raise TRAINING_VERSION."""
    assert digest(code()) in SAME_CODE


def test_only_what_is_proved_equal_goes_on_without_a_word(monkeypatch):
    older = code() | {"study/training/train.py": "0" * 64}
    assert changed_code(older) == ["study/training/train.py"]
    monkeypatch.setattr("study.trials.fold_identity.SAME_CODE", SAME_CODE | {digest(older)})
    assert changed_code(older) == []
    assert not same_code(digest(code()), "1" * 64)
