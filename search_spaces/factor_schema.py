"""Factors as they are written in a study file: pydantic models made from the fields of TrialConfig."""

import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    WrapValidator,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

from search_spaces.config import ARCHITECTURES, BLOCKS, CLASSICAL, FACTORS
from search_spaces.protocols import protocol_name

# A number that is given as text: an option's, or one such as 1e-3, which YAML reads as text.
_NUMERAL = re.compile(r"\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*")


class Strict(BaseModel):
    """A part of a study file: a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def whole(low: int, high: int) -> WrapValidator:
    """The check of a whole number from low to high, both allowed."""
    return _number(low, high, f"expected: a whole number from {low} to {high}")


def real(low: float, high: float, what: str = "a number", instead: str = "") -> WrapValidator:
    """The check of a number from low to high, both allowed; `what` it is, and what may stand `instead`, in words."""
    return _number(low, high, f"expected: {what} from {low:g} to {high:g}{instead}")


def _number(low: float, high: float, expected: str) -> WrapValidator:
    """The check of a number; whatever else is given, the error says what is `expected`."""

    def checked(given: Any, parsed: Callable[[Any], Any]) -> Any:
        if type(given) in (int, float) or (isinstance(given, str) and _NUMERAL.fullmatch(given)):
            try:
                value = parsed(given)
            except ValidationError:
                raise PydanticCustomError("number", expected) from None
            if low <= value <= high:
                return value
        raise PydanticCustomError("number", expected)  # a ValueError would keep its frames: gigabytes of 400,000

    return WrapValidator(checked)


class Range(Strict):
    """A factor of a search from low to high, both allowed: evenly drawn or on a log scale."""

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


class WholeRange(Range):
    """A range of whole numbers, in steps from low; on a log scale in steps of 1."""

    step: Annotated[int, whole(1, 100_000)] = 1

    @model_validator(mode="after")
    def stepped(self) -> "WholeRange":
        if self.log and self.step != 1:
            raise ValueError(f"a log scale has no step, but step is {self.step}: leave out the one or the other")
        if beyond := (self.high - self.low) % self.step:
            below = max(self.high - beyond, self.low + self.step)
            raise ValueError(f"high must be low and a number of steps, e.g. {below:g}; {self.high:g} is not")
        return self

    def levels(self) -> range:
        """The levels, lowest first."""
        return range(int(self.low), int(self.high) + 1, self.step)


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
    if network not in (BLOCKS, *CLASSICAL) and not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*", network):
        raise ValueError(f"expected: {', '.join((BLOCKS, *CLASSICAL))}, or package.module:factory of your own")
    return network


Network = Annotated[str, AfterValidator(_dotted)]
ProtocolName = Annotated[str, BeforeValidator(protocol_name)]


def _level(name: str) -> Any:
    if name == "architecture":
        return Architecture
    if name == "network":
        return Network
    if name == "protocol":
        return ProtocolName
    f = FACTORS[name]
    if f.type not in (int, float):
        return f.type
    return Annotated[f.type, (whole if f.type is int else real)(f.metadata["low"], f.metadata["high"])]


def _once(levels: list[Any]) -> list[Any]:
    if twice := [str(level) for level, times in Counter(levels).items() if times > 1]:
        raise ValueError(f"expected: each level once; given more than once: {', '.join(twice)}")
    return levels


def _levels(name: str) -> Any:
    return Annotated[list[_level(name)], Field(min_length=1), AfterValidator(_once)]  # type: ignore[misc]


@cache
def range_of(name: str) -> type[Range]:
    """The ranges that a search may have of a factor of numbers, their ends within the factor's own."""
    base = WholeRange if FACTORS[name].type is int else Range
    return create_model(f"Range of {name}", __base__=base, low=(_level(name), ...), high=(_level(name), ...))


def _space(name: str) -> Any:
    if name == "architecture" or FACTORS[name].type not in (int, float):
        return _levels(name)
    levels, range_ = Annotated[_levels(name), Tag("levels")], Annotated[range_of(name), Tag("range")]
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
    Space = _model("Space", _space)  # factor: [level, ...] or {low, high, log}, of whole numbers with step
