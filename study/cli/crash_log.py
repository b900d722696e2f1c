"""An error that nobody foresaw: one line on the screen, and a log to attach to a report of it, without secrets."""

import os
import platform
import re
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

EXIT_CODE = 70  # sysexits.h: an internal error of the software
_LOGIN = re.compile(r"//[^/\s]*@")  # of an address: scheme://user:password@host
_PARAMETER = re.compile(r"\b(password|token|secret|api_?key)=[^&\s'\"]+", re.IGNORECASE)
_SECRET = re.compile(r"TOKEN|PASSWORD|PASSWD|SECRET|KEY|CREDENTIAL", re.IGNORECASE)


def log_of(error: BaseException, arguments: Sequence[str]) -> Path | None:
    """Write what happened to a new file, in the study's folder that the command was given or the temporary one.

    None where neither can be written.
    """
    content = [
        f"losolab {_version()}, Python {platform.python_version()}, {platform.platform()}",
        f"losolab {' '.join(arguments)}",
        "".join(traceback.format_exception(error)),
    ]
    studies = [Path(argument) for argument in arguments if (Path(argument) / "ledger.sqlite").is_file()]
    for folder in [*studies, Path(tempfile.gettempdir())]:
        with suppress(OSError):
            handle, name = tempfile.mkstemp(prefix="losolab-crash-", suffix=".log", dir=folder)
            with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(without_secrets("\n".join(content)))
            return Path(name)
    return None


def kind(error: BaseException) -> str:
    """What an error is and says, on one line."""
    said = without_secrets(" ".join(str(error).split()))
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def without_secrets(text: str) -> str:
    """Text without the logins of addresses, and without what environment variables hold that are named like secrets."""
    for name, value in os.environ.items():
        if _SECRET.search(name) and len(value) >= 4:
            text = text.replace(value, "***")
    return _PARAMETER.sub(r"\1=***", _LOGIN.sub("//***@", text))


def _version() -> str:
    try:
        return version("losolab")
    except PackageNotFoundError:  # run from a folder of its source
        return "of a source folder"
