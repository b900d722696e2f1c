"""Protocols: by which rule clips are divided into folds, as a study file says it and as tables name it."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args

Kind = Literal["loso", "subject_kfold", "leave_one_dataset_out", "holdout", "nested_loso"]
LOSO = "loso"
_NUMBER: dict[str, tuple[str, type, float, float, float]] = {  # its key, type, range and default, where a kind has one
    "subject_kfold": ("folds", int, 2, 1000, 5),
    "holdout": ("share", float, 0.05, 0.5, 0.2),
    "nested_loso": ("inner", int, 2, 20, 5),
}
_EXPECTED = (
    "expected: loso, leave_one_dataset_out, {kind: subject_kfold, folds: 2 to 1000}, "
    "{kind: holdout, share: 0.05 to 0.5} or {kind: nested_loso, inner: 2 to 20}"
)


@dataclass(frozen=True)
class Protocol:
    """number: how many folds subjects are dealt to (of nested_loso within each), or a split's share of the clips."""

    kind: Kind
    number: float = 0

    def __str__(self) -> str:
        """Its name in study files and tables, from which `protocol` makes it again."""
        return f"{self.kind}({self.number:g})" if self.kind in _NUMBER else self.kind

    @property
    def by_subject(self) -> bool:
        """Whether no subject is both trained and tested on: intervals and tests over subjects need that."""
        return self.kind != "holdout"

    @property
    def outer(self) -> str:
        """The name of the protocol by whose folds its scores are: a nested one chooses within those of LOSO."""
        return LOSO if self.kind == "nested_loso" else str(self)

    @property
    def raced(self) -> bool:
        """Whether there are enough folds, each of some subjects, to judge a proposal by the first of them."""
        return self.kind in ("loso", "subject_kfold")

    @property
    def words(self) -> str:
        """For captions."""
        return {
            "loso": "leave-one-subject-out",
            "subject_kfold": f"{self.number:g} folds of whole subjects",
            "leave_one_dataset_out": "leave-one-dataset-out",
            "nested_loso": f"leave-one-subject-out, within each the choice by {self.number:g} folds of the others",
            "holdout": f"a random split of the clips for every seed, {100 * self.number:g} % held out, "
            "subjects on both sides",
        }[self.kind]


@cache
def protocol(name: str) -> Protocol:
    """The protocol of this name. Raises ValueError where there is none."""
    match = re.fullmatch(r"(\w+)(?:\((.*)\))?", name)
    kind, number = match.groups() if match else ("", None)
    return _made(kind, number)


def protocol_name(given: Any) -> str:
    """The name of a protocol that a study file gives by it, or as a mapping. Raises ValueError with what is right."""
    if isinstance(given, str):
        return str(protocol(given))
    if not isinstance(given, dict):
        raise ValueError(_EXPECTED)
    key, *_ = _NUMBER.get(str(given.get("kind")), ("kind",))
    if unknown := given.keys() - {"kind", key}:
        raise ValueError(f"{', '.join(sorted(map(str, unknown)))}: unknown key; {_EXPECTED}")
    return str(_made(given.get("kind"), given.get(key) if key != "kind" else None))


def _made(kind: Any, number: Any) -> Protocol:
    if kind not in get_args(Kind) or (number is not None and kind not in _NUMBER):
        raise ValueError(_EXPECTED)
    if kind not in _NUMBER:
        return Protocol(kind)
    _, of, low, high, default = _NUMBER[kind]
    try:
        value = of(str(default if number is None else number))
    except ValueError:
        raise ValueError(_EXPECTED) from None
    if not low <= value <= high:
        raise ValueError(_EXPECTED)
    return Protocol(kind, value)
