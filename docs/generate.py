"""Tables of the docs that are the code's: factors, readers and commands. `make docs` writes them, a test holds them.

A page marks where one stands: `<!-- generated: NAME -->` above it, `<!-- end -->` below.
"""

import re
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from typer.main import get_command

from search_spaces.config import BLOCKS, FACTORS, choices
from study.cli.app import app
from study.data import readers
from study.data.readers.label_maps import MAPS
from study.data.readers.options import Options

DOCS = Path(__file__).parent


def factors() -> str:
    """What a study can vary, in the order of TrialConfig."""
    lines = ["| factor | levels | default | |", "|---|---|---|---|"]
    for name, f in FACTORS.items():
        levels = ", ".join(map(str, choices(f)))
        if f.type in (int, float):
            levels = f"{f.metadata['low']:g} to {f.metadata['high']:g}"
        if name == "network":
            levels = f"{BLOCKS}, package.module:factory"
        unit = f" {f.metadata['unit']}" if f.metadata["unit"] else ""
        lines.append(f"| `{name}` | {levels}{unit} | {f.default} | {f.metadata['doc']} |")
    return "\n".join(lines)


def reader_table() -> str:
    """The readers, by their modules' first sentences, label maps and options."""
    titles = (
        "| reader | dataset | label maps, the first by default | images, the first that is there | its own options |"
    )
    lines = [titles, "|---|---|---|---|---|"]
    for name in [*readers.SURVEYS, "synthetic"]:
        module = import_module(f"study.data.readers.{name}")
        what = (module.__doc__ or "").split("\n")[0].removeprefix("Reader of ").rstrip(".")
        maps, own = [], []
        if model := getattr(module, "Options", None):
            default = model.model_fields["labels"].default
            maps = sorted((m for m, sets in MAPS.items() if name in sets), key=lambda known: known != default)
            own = [field for field in model.model_fields if field not in Options.model_fields]
        options = ", ".join(f"`{field}`: {_levels(model.model_fields[field])}" for field in own)
        lines.append(
            f"| `{name}` | {what} | {', '.join(maps) or '-'} | {', '.join(_images(module)) or '-'} | {options or '-'} |"
        )
    return "\n".join(lines)


def _images(module: Any) -> list[str]:
    """The kinds of images that a dataset ships, the preferred first."""
    layout = getattr(module, "LAYOUT", None) or (module.layout("HS") if hasattr(module, "layout") else None)
    return list(layout.kinds) if layout else []


def _levels(field: Any) -> str:
    """The values of an option, its default first."""
    values = getattr(field.annotation, "__args__", ())
    named = [value for value in values if isinstance(value, str)]
    if not named:
        return "a folder"
    return ", ".join(sorted(named, key=lambda value: value != field.default))


def commands() -> str:
    """Every command with its arguments and options, as `losolab -h` has them."""
    return "\n\n".join(_command(name, command) for name, command in _leaves("losolab", get_command(app)))


def _leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield name, command
        return
    for own in command.list_commands(None):
        if not command.commands[own].hidden:
            yield from _leaves(f"{name} {own}", command.commands[own])


def _command(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.name != "help"]
    usage = " ".join([name, *map(_usage, arguments)])
    lines = [f"## {name}", "", f"`{usage}`", "", " ".join(command.help.split())]
    rows = [(f"`{' '.join([*p.opts, *p.secondary_opts])}`", p) for p in options]
    rows = [(f"`{p.name.upper()}`", p) for p in arguments] + rows
    if rows:
        lines += ["", "| | |", "|---|---|"]
        lines += [f"| {shown} | {p.help or ''}{_default(p)} |" for shown, p in rows]
    return "\n".join(lines)


def _usage(argument: Any) -> str:
    shown = argument.name.upper() + "..." * (argument.nargs == -1)
    return shown if argument.required else f"[{shown}]"


def _default(parameter: Any) -> str:
    default = parameter.default
    if default in (None, False, [], ()) or parameter.required or isinstance(default, Path):
        return ""
    return f" ({default})"


PARTS: dict[str, tuple[str, Callable[[], str]]] = {
    "factors": ("studies.md", factors),
    "readers": ("datasets.md", reader_table),
    "commands": ("commands.md", commands),
}


def page(name: str) -> tuple[Path, str, str]:
    """The page of a part, as it is and as it should be. Raises ValueError where its marks are not in it."""
    path, made = DOCS / PARTS[name][0], PARTS[name][1]()
    there = path.read_text(encoding="utf-8")
    marks = f"(<!-- generated: {name} -->\n).*?(\n<!-- end -->)"
    if not re.search(marks, there, re.S):
        raise ValueError(f"{path}: has no <!-- generated: {name} --> with an <!-- end -->")
    return path, there, re.sub(marks, lambda found: found[1] + made + found[2], there, count=1, flags=re.S)


def main() -> None:
    for name in PARTS:
        path, there, wanted = page(name)
        if there != wanted:
            path.write_text(wanted, encoding="utf-8")
            print(f"{path}: {name} written", file=sys.stderr)


if __name__ == "__main__":
    main()
