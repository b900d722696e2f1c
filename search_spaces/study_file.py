"""Reading a study file: every mistake in it at once, each with file, key, value and what is valid."""

import difflib
import re
from pathlib import Path
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from search_spaces import READY
from search_spaces.config import FACTORS
from search_spaces.designs import conflicts
from search_spaces.errors import UserError, first_of, shown
from search_spaces.factor_schema import Levels, Strict, range_of
from search_spaces.files import wrong_kind
from search_spaces.spec import (
    Dataset,
    Design,
    Factorial,
    Listed,
    OneAtATime,
    Race,
    Resources,
    Search,
    Stage,
    StudySpec,
    Top,
    tracking_place,
)
from search_spaces.yaml_file import read


def load_study(
    path: Path,
    parts: dict[str, Any] | None = None,
    *,
    data: Path | None = None,
    proposals: int | None = None,
    seeds: int | None = None,
) -> StudySpec:
    """The study in a YAML file, with some of its parts replaced: a value by key, `resources.cpu` for one below.

    `data` is where the dataset lies (a manifest, where the file would make a synthetic dataset); `proposals` replaces
    those of the search stages, `seeds` those of the fixed designs' arms.
    Raises UserError with every mistake: file, key, value, and what would be valid.
    """
    content = read(find_study(path), "a study file")
    if not isinstance(content, dict):
        raise UserError(f"{path}: a study file is a mapping of keys such as name, dataset, baseline and stages")
    if data is not None:
        content |= {"dataset": _elsewhere(content.get("dataset"), data)}
    content = _resized(_replaced(content, parts or {}), proposals, seeds)
    try:
        spec = StudySpec.model_validate(content)
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False)
        told = [_sentence(error) for error in errors[:_TOLD]]
        found = first_of(told + _conflicts(content, errors), len(errors) - len(told))
        raise UserError([f"{path}: {problem}" for problem in found]) from None
    found = conflicts(spec)
    is_search = [isinstance(design, Search) for design in spec.stages.values()]
    if proposals is not None and not any(is_search):
        found.append(f"has no search stage that could make {proposals} proposals")
    if seeds is not None and all(is_search):
        found.append(f"has no fixed design whose arms could have {seeds} seeds")
    try:
        tracking_place(spec.tracking_uri or "mlruns")
    except ValueError as problem:
        found.append(f"tracking_uri: {shown(spec.tracking_uri)}: {problem}")
    if found:
        raise UserError([f"{path}: {problem}" for problem in first_of(found)])
    return spec


def find_study(path: Path) -> Path:
    """The file of a study: the path itself, or the ready study of that name where no file has it.

    Raises UserError where there is neither.
    """
    ready = READY / f"{path}.yaml"
    if path.name == str(path) and ready.is_file() and (not path.exists() or path.is_dir()):
        return ready
    if wrong_kind(path) is None and not path.exists():
        names = sorted(file.stem for file in READY.glob("*.yaml"))
        near = difflib.get_close_matches(path.stem, names, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UserError(f"{path}: there is no such study file; {hint}the ready ones are {', '.join(names)}")
    return path


def _conflicts(content: dict[str, Any], errors: list[Any]) -> list[str]:
    """What contradicts itself in the parts of a study file that are valid, though others are not."""
    wrong = {error["loc"][:2] for error in errors}
    stages = content.get("stages")
    if any(loc[0] == "baseline" for loc in wrong) or not isinstance(stages, dict):
        return []
    # What follows from a search that is wrong would be told to follow from none.
    left = {name: stages[name] for name in get_args(Stage) if name in stages and ("stages", name) not in wrong}
    if any(isinstance(stages[name], dict) and stages[name].get("design") == "search" for name in stages.keys() - left):
        left = {name: design for name, design in left.items() if not _follows(design)}
    valid = {name: _DESIGN.validate_python(design) for name, design in left.items()}
    baseline = Levels.model_validate(content.get("baseline", {}))
    return conflicts(StudySpec.model_construct(baseline=baseline, stages=valid))


def _follows(design: dict[str, Any]) -> bool:
    return design["design"] == "top" or design.get("around") == "winner"


def _replaced(content: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    """The file with other parts; `resources.cpu` is a part of a part."""
    changed = dict(content)
    for path, value in parts.items():
        key, _, below = path.partition(".")
        section = changed.get(key)
        changed[key] = _replaced(section if isinstance(section, dict) else {}, {below: value}) if below else value
    return changed


def _elsewhere(dataset: Any, path: Path) -> dict[str, Any]:
    """The file's dataset, found at another path."""
    read = isinstance(dataset, dict) and dataset.get("reader") != "synthetic"
    return {**(dataset if read else {"reader": "manifest"}), "path": str(path)}


def _resized(content: dict[str, Any], proposals: int | None, seeds: int | None) -> dict[str, Any]:
    """The file with other numbers of proposals in its searches and of seeds in its fixed designs."""
    stages = content.get("stages")
    if not isinstance(stages, dict):
        return content  # validation says so
    sizes = {stage: _size(design, proposals, seeds) for stage, design in stages.items() if isinstance(design, dict)}
    return content | {
        "stages": {stage: design | sizes[stage] if stage in sizes else design for stage, design in stages.items()}
    }


def _size(design: dict[str, Any], proposals: int | None, seeds: int | None) -> dict[str, int]:
    name, number = ("proposals", proposals) if design.get("design") == "search" else ("seeds", seeds)
    return {} if number is None else {name: number}


_TOLD = 20  # problems that get a sentence; the rest is counted
_LONGEST_KEY = 200  # characters of a key in a sentence
_DESIGN: TypeAdapter[Any] = TypeAdapter(Design)
_DESIGNS: dict[str, type[Strict]] = {
    "listed": Listed,
    "factorial": Factorial,
    "one_at_a_time": OneAtATime,
    "top": Top,
    "search": Search,
}
_SECTION = "expected: keys with values"
_EXPECTED = {  # in place of pydantic's words, by its name for the mistake
    "string_type": "expected: text; put it in quotes",
    "string_pattern_mismatch": "expected: up to 100 letters, digits, _ and -, a letter or digit first",
    "list_type": "expected: a list",
    "bool_type": "expected: true or false",
    "bool_parsing": "expected: true or false",
    "path_type": "expected: the name of a file or folder, as text",
    "dict_type": _SECTION,
    "model_type": _SECTION,
    "model_attributes_type": _SECTION,
}


def _sentence(error: Any) -> str:
    """A pydantic error as: key: value: what is wrong, and what would be valid."""
    loc = [part for part in _without_tags(error["loc"]) if part != "[key]"]
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".") or "study"
    key = key if len(key) <= _LONGEST_KEY else f"{key[:_LONGEST_KEY]}…"
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return f"{key}: unknown key; {_hint(loc[-1], _valid_keys(error['loc']), 'valid here')}"
    if kind == "missing":
        return f"{key}: is missing"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        wrong = f"{shown(given['design'])} is not valid" if "design" in given else "is missing"
        return f"{key}.design: {wrong}; {_hint(given.get('design'), list(_DESIGNS))}"
    if kind == "literal_error":
        return f"{key}: {shown(given)} is not valid; {_hint(given, _levels_in(context['expected']))}"
    message = _EXPECTED.get(kind) or error["msg"].removeprefix("Value error, ")
    if isinstance(given, dict) and kind not in _EXPECTED:  # of a whole section, the message says what is wrong in it
        return f"{key}: {message}"
    mark = ";" if message.startswith("expected") else ":"
    return f"{key}: {shown(given)} is not valid{mark} {message[0].lower()}{message[1:]}"


def _hint(given: Any, valid: list[str], words: str = "valid") -> str:
    """The name that was meant, where one is near, and all that are valid."""
    near = difflib.get_close_matches(given, valid, 1) if isinstance(given, str) and len(given) < _LONGEST_KEY else []
    return f"{f'did you mean {near[0]}? ' if near else ''}{words}: {', '.join(valid)}"


def _levels_in(expected: str) -> list[str]:
    """The names in pydantic's words for them: 'a', 'b' or 'c'."""
    return re.findall(r"'([^']*)'", expected)


def _without_tags(loc: tuple[Any, ...]) -> tuple[Any, ...]:
    """The place of an error as the file has it: pydantic names the kind of a design, of levels and of a race, too."""
    match loc:
        case ("stages", stage, design, "factors", factor, "levels" | "range", *rest) if design in _DESIGNS:
            return "stages", stage, "factors", factor, *rest
        case ("stages", stage, design, "chosen_by", "share" | "all", *rest) if design in _DESIGNS:
            return "stages", stage, "chosen_by", *rest
        case ("stages", stage, design, "race", "raced" | "none", *rest) if design in _DESIGNS:
            return "stages", stage, "race", *rest
        case ("stages", stage, design, *rest) if design in _DESIGNS:
            return "stages", stage, *rest
    return loc


def _valid_keys(loc: tuple[Any, ...]) -> list[str]:
    """Keys that the section around an unknown key knows."""
    match loc[:-1]:
        case ():
            return list(StudySpec.model_fields)
        case ("dataset",):
            return list(Dataset.model_fields)
        case ("resources",):
            return list(Resources.model_fields)
        case ("stages", _, str(design)):
            return list(_DESIGNS[design].model_fields)
        case ("stages", _, _, "race", _):
            return list(Race.model_fields)
        case ("stages", _, _, "factors", str(factor), "range"):
            return list(range_of(factor).model_fields)
    return ["architecture", *FACTORS]
