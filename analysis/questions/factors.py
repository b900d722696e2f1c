"""Levels of factors as tables compare them: a factor without effect in a configuration has no level there."""

from collections.abc import Mapping, Sequence
from typing import Any

from search_spaces.config import FACTORS, TrialConfig

NOT_APPLICABLE = "n/a"


def effective(factors: Mapping[str, Any]) -> Mapping[str, Any]:
    """The levels of those factors that have an effect beside the others: no momentum under AdamW.

    Factors of predictions made elsewhere all have one, as far as is known here.
    """
    if not factors or not factors.keys() <= FACTORS.keys():
        return factors
    config = TrialConfig(**factors)
    return {name: level for name, level in factors.items() if config.is_active(FACTORS[name])}


def varied(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The factors of which two of these configurations have other levels, in the order in which they come."""
    levels: dict[str, set[str]] = {}
    for setting in settings:
        for name, level in setting.items():
            levels.setdefault(name, set()).add(str(level))
    return [name for name, own in levels.items() if len(own) > 1]


def shown(level: Any) -> str:
    """A level in words and tables for people: of a number that a search drew, the digits that matter."""
    return f"{level:.4g}" if isinstance(level, float) else str(level)
