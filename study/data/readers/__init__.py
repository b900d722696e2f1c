"""Readers: a dataset as its owner ships it -> ClipIndex."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from search_spaces.errors import UserError
from study.data.clips import ClipIndex
from study.data.readers import manifest, synthetic

READERS: dict[str, Callable[[Path | None, Mapping[str, Any]], ClipIndex]] = {
    "manifest": manifest.read,
    "synthetic": synthetic.read,
}


def read(reader: str, path: Path | None, options: Mapping[str, Any]) -> ClipIndex:
    """The clips of a dataset: reader `manifest` needs a path, `synthetic` takes sizes and difficulty as options.

    Raises UserError with every problem found.
    """
    if reader not in READERS:
        raise UserError(f"dataset reader {reader!r} is not known; valid: {', '.join(READERS)}")
    return READERS[reader](path, options)


def materialise(index: ClipIndex, folder: Path, progress: Callable[[int, int], None] | None = None) -> ClipIndex:
    """The index with its videos there: synthetic data are rendered once into a folder of their own beneath `folder`.

    Any other index is returned as it is. The table does not change.
    """
    return synthetic.materialise(index, folder, progress) if synthetic.is_planned(index) else index
