"""Fonts for figures: names in scripts that matplotlib's own font lacks are drawn with one of the machine's."""

from functools import cache

from matplotlib.figure import Figure
from matplotlib.font_manager import FontEntry, fontManager, get_font
from matplotlib.text import Text

USUAL = "DejaVu Sans"
_LIKELY = ("CJK", "Noto Sans", "Han", "Hei", "Gothic")  # parts of families' names that are asked first


def with_fallbacks(figure: Figure) -> Figure:
    """The same figure, its texts in families that together have their characters, where there are such."""
    for text in figure.findobj(Text):
        if families := fallbacks(text.get_text())[0]:
            text.set_fontfamily([*text.get_fontfamily(), *families])
    return figure


def without_font(words: str) -> str:
    """The characters of these words that no font here has."""
    return fallbacks(words)[1]


def fallbacks(words: str) -> tuple[tuple[str, ...], str]:
    """Families beside the usual one that these words need, and the characters that none has."""
    if words.isascii():
        return (), ""
    lacking = {c for c in words if c.isprintable() and not c.isspace()} - _characters(fontManager.findfont(USUAL))
    families: list[str] = []
    for entry in _others():
        if not lacking:
            break
        if has := lacking & _characters(entry.fname):
            families.append(entry.name)
            lacking -= has
    return tuple(families), "".join(sorted(lacking))


@cache
def _others() -> tuple[FontEntry, ...]:
    """Upright fonts of the usual weight, the likely ones first, in an order that only the machine's fonts decide."""
    plain = [
        entry for entry in fontManager.ttflist if entry.style == "normal" and str(entry.weight) in ("400", "normal")
    ]
    # A font of last resort has a box for every character.
    plain = [entry for entry in plain if entry.name != USUAL and not entry.name.startswith("Last Resort")]
    return tuple(sorted(plain, key=lambda f: (not any(part in f.name for part in _LIKELY), f.name, f.fname)))


@cache
def _characters(path: str) -> frozenset[str]:
    return frozenset(map(chr, get_font(path).get_charmap()))
