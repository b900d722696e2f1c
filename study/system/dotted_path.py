"""What a study file names by a dotted path, `package.module:name`: a reader or a network of the user's own."""

from importlib import import_module
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
    except (Exception, SystemExit) as error:
        raise UserError(f"{what} {path!r}: {module} cannot be imported: {type(error).__name__}: {error}") from error
    if not hasattr(imported, name):
        raise UserError(f"{what} {path!r}: {module} has no {name}")
    return getattr(imported, name)
