"""Reading a study file: every mistake in it at once, each with file, key, value and what is valid."""

import difflib
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from search_spaces import READY
from search_spaces.config import FACTORS
from search_spaces.designs import conflicts
from search_spaces.errors import UserError
from search_spaces.levels import Range, Strict
from search_spaces.spec import Dataset, Factorial, Listed, OneAtATime, Race, Resources, Search, StudySpec, Top


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
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)
    except FileNotFoundError:
        ready = ", ".join(sorted(p.name for p in READY.glob("*.yaml")))
        raise UserError(f"{path}: there is no such study file; the ready ones are {ready}") from None
    except OSError as error:
        raise UserError(f"{path}: not readable as a study file: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: a study file is a mapping of keys such as name, dataset, baseline and stages")
    try:
        if data is not None:
            content |= {"dataset": _elsewhere(content.get("dataset"), data)}
        spec = StudySpec.model_validate(_resized(_replaced(content, parts or {}), proposals, seeds))
    except ValidationError as invalid:
        raise UserError([f"{path}: {_sentence(error)}" for error in invalid.errors()]) from None
    found = [f"{path}: {problem}" for problem in conflicts(spec)]
    is_search = [isinstance(design, Search) for design in spec.stages.values()]
    if proposals is not None and not any(is_search):
        found.append(f"{path}: has no search stage that could make {proposals} proposals")
    if seeds is not None and all(is_search):
        found.append(f"{path}: has no fixed design whose arms could have {seeds} seeds")
    if found:
        raise UserError(found)
    return spec


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a key given twice is an error and not a silent loss of the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        self.flatten_mapping(node)
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if twice := sorted({str(key) for key in keys if keys.count(key) > 1}):
            line = node.start_mark.line + 1
            problem = f"key given twice: {', '.join(twice)}, below line {line}"
            raise yaml.constructor.ConstructorError(None, None, problem)
        return super().construct_mapping(node, deep=deep)


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


_TAGS = {"listed", "factorial", "one_at_a_time", "top", "search", "levels", "range", "raced", "none"}


def _sentence(error: Any) -> str:
    """A pydantic error as: key: value: what is wrong, and what would be valid."""
    loc = [part for i, part in enumerate(error["loc"]) if not (part in _TAGS and i > 1)]
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".") or "study"
    if error["type"] == "extra_forbidden":
        valid = _valid_keys(error["loc"])
        near = difflib.get_close_matches(str(loc[-1]), valid, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        return f"{key}: unknown key; {hint}valid here: {', '.join(valid)}"
    if error["type"] == "missing":
        return f"{key}: is missing"
    message = error["msg"].removeprefix("Value error, ")
    if isinstance(error["input"], dict):  # of a whole section, the message says what is wrong in it
        return f"{key}: {message}"
    return f"{key}: {error['input']!r} is not valid: {message[0].lower()}{message[1:]}"


def _valid_keys(loc: tuple[Any, ...]) -> list[str]:
    """Keys that the section around an unknown key knows."""
    around = [part for part in loc[:-1] if isinstance(part, str)]
    designs: dict[str, type[Strict]] = {
        "listed": Listed,
        "factorial": Factorial,
        "one_at_a_time": OneAtATime,
        "top": Top,
        "search": Search,
    }
    last = around[-1] if around else ""
    if not around:
        return list(StudySpec.model_fields)
    if last in ("range", "raced"):
        return list((Range if last == "range" else Race).model_fields)
    if len(around) == 3 and around[0] == "stages" and last in designs:
        return list(designs[last].model_fields)
    sections: dict[str, type[Strict]] = {"dataset": Dataset, "resources": Resources}
    if last in sections:
        return list(sections[last].model_fields)
    return ["architecture", *FACTORS]
