"""Reader of the synthetic dataset: its index without rendering anything, and the same index with videos on disk."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from search_spaces.digests import digest
from search_spaces.errors import UserError
from study.data.clips import ClipIndex
from study.data.readers import manifest
from study.data.readers.findings import classes_of_one_subject
from study.data.synthetic.dataset import Synthetic, index_of
from study.data.synthetic.planted_answer import truth
from study.data.synthetic.renderer import RENDERER
from study.data.synthetic.writer import make

PLANNED = Path("<synthetic, not written yet>")  # root of an index whose videos need not be there


def read(path: Path | None, options: Mapping[str, Any]) -> ClipIndex:
    """The index that these options give, from parameters alone; a path is not needed and not looked at."""
    spec = from_options(options)
    index = index_of(spec, PLANNED, {"options": spec.options()})
    return replace(index, notes=tuple(classes_of_one_subject(index.table.to_pylist(), index.classes)))


def from_options(options: Mapping[str, Any]) -> Synthetic:
    """Options of a study file or the command line -> the dataset's parameters. Raises UserError for each bad one."""
    defaults = asdict(Synthetic())
    problems = [
        f"dataset: option {name} is not one of synthetic data; valid: {', '.join(defaults)}"
        for name in options
        if name not in defaults
    ]
    for name, value in options.items():
        whole = isinstance(defaults.get(name), int)
        if name in defaults and (isinstance(value, bool) or not isinstance(value, int if whole else int | float)):
            problems.append(f"dataset: option {name} is {value!r}; valid: {'a whole number' if whole else 'a number'}")
    if problems:
        raise UserError(problems)
    return Synthetic(**{name: type(defaults[name])(value) for name, value in options.items()})


def is_planned(index: ClipIndex) -> bool:
    """Whether this is an index that `read` gave, whose videos need not be there."""
    return index.root == PLANNED


def materialise(index: ClipIndex, folder: Path, progress: Callable[[int, int], None] | None = None) -> ClipIndex:
    """A planned index with its videos, which are rendered into `folder`/synthetic-DIGEST unless they are there."""
    make(target(index, folder), _options(index), progress)
    return manifest.read(target(index, folder), {})


def target(index: ClipIndex, folder: Path) -> Path:
    """Where the videos of a planned index are rendered to."""
    return folder / f"synthetic-{digest([RENDERER, planted(index)])[:12]}"


def planted(index: ClipIndex) -> dict[str, object]:
    """What `truth.json` will hold of a planned index: computed when it is asked for, not at every read."""
    return truth(_options(index))


def _options(index: ClipIndex) -> Synthetic:
    assert index.truth is not None
    return from_options(index.truth["options"])  # type: ignore[arg-type]
