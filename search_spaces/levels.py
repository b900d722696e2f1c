"""Factors as they are written in a study file: pydantic models made from the fields of TrialConfig."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, create_model, model_validator

from search_spaces.config import ARCHITECTURES, BLOCKS, FACTORS


class Strict(BaseModel):
    """A part of a study file: a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Range(Strict):
    """A continuous factor of a search: both ends allowed, evenly drawn or on a log scale."""

    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def ordered(self) -> "Range":
        if not self.low < self.high:
            raise ValueError(f"low must be below high, but {self.low:g} is not below {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"a log scale needs low above 0, not {self.low:g}")
        return self


class Shorthand(Strict):
    """`architecture` names regions and fusion together: a file gives the one or the others, not both."""

    @model_validator(mode="after")
    def either(self) -> "Shorthand":
        both = {"regions", "fusion"} & self.model_fields_set
        if "architecture" in self.model_fields_set and both:
            raise ValueError(f"architecture already sets {' and '.join(sorted(both))}: give the one or the other")
        return self

    def given(self) -> dict[str, Any]:
        """The levels that the file gives, by name of the factor (or `architecture`), in the file's order."""
        return {name: getattr(self, name) for name in self.model_dump(exclude_unset=True)}


Architecture = Literal[tuple(ARCHITECTURES)]  # type: ignore[valid-type]


def _dotted(network: str) -> str:
    if network != BLOCKS and not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*", network):
        raise ValueError(f"expected: {BLOCKS}, or package.module:factory of your own")
    return network


Network = Annotated[str, AfterValidator(_dotted)]


def _level(name: str) -> Any:
    if name == "architecture":
        return Architecture
    if name == "network":
        return Network
    f = FACTORS[name]
    return Annotated[f.type, Field(ge=f.metadata["low"], le=f.metadata["high"])]


def _once(levels: list[Any]) -> list[Any]:
    if twice := {str(level): None for level in levels if levels.count(level) > 1}:
        raise ValueError(f"expected: each level once; given more than once: {', '.join(twice)}")
    return levels


def _levels(name: str) -> Any:
    return Annotated[list[_level(name)], Field(min_length=1), AfterValidator(_once)]  # type: ignore[misc]


def _space(name: str) -> Any:
    if name == "architecture" or FACTORS[name].type is not float:
        return _levels(name)
    levels, range_ = Annotated[_levels(name), Tag("levels")], Annotated[Range, Tag("range")]
    kind = Discriminator(lambda value: "range" if isinstance(value, dict | Range) else "levels")
    return Annotated[Union[levels, range_], kind]  # noqa: UP007


def _model(title: str, annotate: Callable[[str], Any]) -> type[Shorthand]:
    fields: dict[str, Any] = {name: (annotate(name), Field(default=None)) for name in ("architecture", *FACTORS)}
    return create_model(title, __base__=Shorthand, **fields)


if TYPE_CHECKING:  # the fields are those of TrialConfig; what a type checker needs is the base

    class Levels(Shorthand): ...

    class LevelLists(Shorthand): ...

    class Space(Shorthand): ...

else:
    Levels = _model("Levels", _level)  # factor: level
    LevelLists = _model("LevelLists", _levels)  # factor: [level, ...]
    Space = _model("Space", _space)  # factor: [level, ...] or {low, high, log}
