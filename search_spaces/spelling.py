"""Names that a person reads as one and a computer as two: `s1` and `S01`, two spellings of `josé`, `1` and `1.0`."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

_DIGITS = re.compile(r"\d+")
_NUMBER = re.compile(r"([+\-−]?)(\d+)(?:\.(\d*))?")


def spelling(name: str) -> str:
    """A form that two names share where a person would take them for one name.

    Compatibility forms (full-width letters, ligatures) and composed accents become one (NFKC), case, the space around
    words, characters that are not seen and zeros before a number do not count (`S01`, `s1`); a name that is a number
    counts by value (`1`, `1.0`).
    """
    seen = name if name.isascii() else "".join(one for one in name if unicodedata.category(one) != "Cf")
    folded = " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", seen).casefold()).split())
    if number := _NUMBER.fullmatch(folded):
        decimals = _plain(number[3] or "").rstrip("0")
        value = _whole(number[2]) + ("." + decimals if decimals else "")
        return "-" + value if number[1] in ("-", "−") and value != "0" else value
    return _DIGITS.sub(lambda digits: _whole(digits[0]), folded)


def spelt_twice(names: Iterable[str]) -> list[list[str]]:
    """Groups of different names that share a spelling, sorted."""
    groups: dict[str, set[str]] = defaultdict(set)
    for name in names:
        groups[spelling(name)].add(name)
    return sorted(sorted(group) for group in groups.values() if len(group) > 1)


def _whole(digits: str) -> str:
    return _plain(digits).lstrip("0") or "0"


def _plain(digits: str) -> str:
    """Decimal digits of any script as 0 to 9."""
    return "".join(str(unicodedata.decimal(digit)) for digit in digits)
