"""What a study file names by a dotted path, `package.module:name`: a reader or a network of the user's own."""

import hashlib
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from search_spaces.errors import UserError


def found(what: str, path: str) -> Any:
    """What a dotted path names. Raises UserError, which begins with `what`, where it cannot be imported."""
    module, _, name = path.partition(":")
    if not (module and name) or module.startswith("."):
        raise UserError(f"{what} {path!r} names no module; expected: package.module:name")
    try:
        imported = import_module(module)
    except ModuleNotFoundError as error:
        advice = "install it, or put its folder on PYTHONPATH"
        raise UserError(f"{what} {path!r}: there is no module {error.name}; {advice}") from error
    except Exception as error:
        raise UserError(f"{what} {path!r}: {module} cannot be imported: {type(error).__name__}: {error}") from error
    if not hasattr(imported, name):
        raise UserError(f"{what} {path!r}: {module} has no {name}")
    return getattr(imported, name)


def place(path: str) -> str:
    """The folder of the package that a dotted path leads into, or the file of its module."""
    spec = find_spec(path.partition(":")[0].split(".")[0])
    assert spec is not None and spec.origin is not None, path  # it was imported
    return str(Path(spec.origin).parent if spec.submodule_search_locations else spec.origin)


@cache  # what was imported stays as it is, whatever becomes of the files
def source_digest(path: str) -> str:
    """SHA-256 of the source behind a dotted path: the module's file, or every .py of the package that it is in.

    Raises UserError where there is none.
    """
    top = path.partition(":")[0].split(".")[0]
    spec = None if top == "__main__" else find_spec(top)  # a script is no module in the processes that train
    if spec is None:
        raise UserError(f"network {path!r}: there is no module {top}; install it, or put its folder on PYTHONPATH")
    if spec.origin in ("built-in", "frozen"):
        raise UserError(f"network {path!r}: {top} is Python's own, and no network's module")
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    files = [(file.relative_to(folder), file) for folder in folders for file in folder.rglob("*.py")]
    if not files and spec.origin:
        files = [(Path(Path(spec.origin).name), Path(spec.origin))]
    content = b"".join(name.as_posix().encode() + file.read_bytes() for name, file in sorted(files))
    return hashlib.sha256(content).hexdigest()
