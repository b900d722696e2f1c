"""YAML that a user writes: text, numbers, true and false, null, lists and mappings, and nothing else.

What YAML would read as something that a person did not mean (010 as 8, 12:30 as 750, a key given twice as its last
value) is a mistake, and so is a text that grows past all bounds. Every mistake is told with its line and column.
"""

import itertools
import re
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from search_spaces.errors import UserError
from search_spaces.files import require_file

_MOST_BYTES = 4 * 2**20
_MOST_VALUES = 200_000  # counted where they are repeated by an alias, too: ten aliases of ten aliases are many
_DEEPEST = 64  # levels of lists and mappings, one in another
_MOST_DIGITS = 300
_TOO_MANY = f"more than {_MOST_VALUES} values until here, aliases followed"
_TOO_DEEP = f"lists and mappings are nested more than {_DEEPEST} deep, aliases followed"

_YAML = "tag:yaml.org,2002:"
_TEXT, _LIST, _MAPPING = _YAML + "str", _YAML + "seq", _YAML + "map"
# What a file of text may hold; no control characters, and no surrogates, which are half a character.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WRITTEN = {
    _YAML + "null": (re.compile(r"~|null|Null|NULL|"), "null"),
    _YAML + "bool": (re.compile(r"(?i:yes|no|true|false|on|off)"), "true or false"),
    _YAML + "int": (re.compile(r"[-+]?(0|[1-9][0-9]*)"), "a whole number in decimal digits"),
    _YAML + "float": (
        re.compile(r"[-+]?(([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|\.(?i:inf))|\.(?i:nan)"),
        "a number in decimal digits",
    ),
    _YAML + "merge": (re.compile("<<"), "<<"),
}


def read(path: Path, expected: str) -> Any:
    """The content of a YAML file; `expected` says what file it should be. Raises UserError with the place."""
    require_file(path, expected)
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"{path}: not readable as {expected}: {error.strerror}") from None
    if len(content) > _MOST_BYTES:
        raise UserError(f"{path}: is larger than {_MOST_BYTES // 2**20} MiB; expected: {expected}")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}: line {line}: not UTF-8 text (byte 0x{content[error.start]:02x}); expected: {expected}, in UTF-8"
        ) from None
    return parse(text, str(path))


def parse(text: str, source: str) -> Any:
    """The value that a YAML text holds. Raises UserError, which begins with `source` and the place in the text."""
    if wrong := _UNPRINTABLE.search(text):
        line, column = text.count("\n", 0, wrong.start()) + 1, wrong.start() - text.rfind("\n", 0, wrong.start())
        raise UserError(f"{source}: line {line}, column {column}: {unprintable(text)}")
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        why = error.problem if isinstance(error, _Mistake) else f"not valid YAML: {_said(error)}"
        raise UserError(f"{source}: {place}{why}") from None
    finally:
        loader.dispose()


def unprintable(text: str) -> str | None:
    """What of a text cannot be printed, or written in UTF-8; None where all of it can."""
    wrong = _UNPRINTABLE.search(text)
    return f"U+{ord(wrong[0]):04X} is no character that can be printed; expected: text without it" if wrong else None


def _said(error: yaml.MarkedYAMLError) -> str:
    """What YAML's own parser says, on one line."""
    return ", ".join(said for said in (error.context, error.problem) if said)


class _Mistake(yaml.MarkedYAMLError):
    """What is YAML and not what a user's file may hold."""

    def __init__(self, problem: str, mark: Any) -> None:
        super().__init__(None, None, problem, mark)


if yaml.__with_libyaml__:  # its parser is several times as fast, and in every wheel of PyYAML
    from yaml.cyaml import CParser  # type: ignore[attr-defined]

    class _SafeLoader(Composer, CParser, SafeConstructor, Resolver):
        """PyYAML's safe loader with libyaml's parser, whose nodes are made in Python, one by one."""

        def __init__(self, text: str) -> None:
            CParser.__init__(self, text)
            Composer.__init__(self)
            SafeConstructor.__init__(self)
            Resolver.__init__(self)

else:
    from yaml import SafeLoader as _SafeLoader  # type: ignore[assignment]


class _Loader(_SafeLoader):
    """A loader of plain values that refuses the rest while it reads, before memory or time are spent on it."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._grown: dict[yaml.Node, tuple[int, int]] = {}  # by node that is read whole; aliases followed

    def compose_node(self, parent: yaml.Node | None, index: Any) -> Any:
        event: Any = self.peek_event()
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _Mistake(_TOO_DEEP, event.start_mark)
        node: Any = super().compose_node(parent, index)
        if not isinstance(event, yaml.AliasEvent):
            _check(node)
            self._grown[node] = self._growth(node)
        elif node not in self._grown:
            raise _Mistake(f"alias {event.anchor} is part of what it stands for", event.start_mark)
        values, levels = self._grown[node]
        if max(values, len(self._grown)) > _MOST_VALUES:
            raise _Mistake(_TOO_MANY, event.start_mark)
        if self._depth + levels > _DEEPEST:
            raise _Mistake(_TOO_DEEP, event.start_mark)
        self._depth -= 1
        return node

    def _growth(self, node: yaml.Node) -> tuple[int, int]:
        """Values in a node, itself included, and levels below it."""
        if isinstance(node, yaml.ScalarNode):
            return 1, 0
        parts = itertools.chain(*node.value) if isinstance(node, yaml.MappingNode) else node.value
        below = [self._grown[part] for part in parts]
        return 1 + sum(values for values, _ in below), 1 + max((levels for _, levels in below), default=0)


def _check(node: yaml.Node) -> None:
    """Raise the mistake of a value that is not plain, or not what its tag says."""
    if node.tag == _YAML + "value":  # YAML's name for `=`, which is text like any other
        node.tag = _TEXT
    if isinstance(node, yaml.ScalarNode):
        _check_scalar(node)
    elif node.tag != (_MAPPING if isinstance(node, yaml.MappingNode) else _LIST):
        problem = f"{_named(node.tag)} is a tag of no plain list or mapping; expected: a list, or keys with values"
        raise _Mistake(problem, node.start_mark)
    elif isinstance(node, yaml.MappingNode):
        _check_keys(node)


def _check_scalar(node: yaml.ScalarNode) -> None:
    written = f"{node.value[:40]}…" if len(node.value) > 40 else node.value
    if node.tag in _WRITTEN:
        pattern, expected = _WRITTEN[node.tag]
        if not pattern.fullmatch(node.value):
            raise _Mistake(f"{written} is not {expected}; put text in quotes", node.start_mark)
        if len(node.value) > _MOST_DIGITS:
            raise _Mistake(f"{written} is a number of more than {_MOST_DIGITS} digits", node.start_mark)
    elif node.tag == _YAML + "timestamp":
        raise _Mistake(f"{written} is read as a date, and no value here is one; put text in quotes", node.start_mark)
    elif node.tag != _TEXT:
        raise _Mistake(
            f"{_named(node.tag)} is a tag of no plain value; expected: text, a number, true, false or null",
            node.start_mark,
        )
    elif wrong := unprintable(node.value):
        raise _Mistake(wrong, node.start_mark)


def _check_keys(node: yaml.MappingNode) -> None:
    seen = set[tuple[str, str]]()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _Mistake("a key is a list or mapping; expected: text", key.start_mark)
        if (key.tag, key.value) in seen:
            raise _Mistake(f"key given twice: {key.value}", key.start_mark)
        seen.add((key.tag, key.value))


def _named(tag: str) -> str:
    return tag.replace(_YAML, "!!")
