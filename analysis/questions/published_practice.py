"""Published practice: rows whose protocol or checkpoint no honest claim may rest on, and what is said of them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analysis.results.results import protocol_of

if TYPE_CHECKING:  # an ablation is made of this
    from analysis.questions.ablation import Ablation

DAGGER, DOUBLE_DAGGER = "†", "‡"  # epochs taken on the test clips; subjects on both sides
_NOTES = {
    DAGGER: f"{DAGGER}: each fold's epoch is the most accurate on the very clips that are scored: no number that a new "
    "subject would get. It is here to see what that practice is worth.",
    DOUBLE_DAGGER: f"{DOUBLE_DAGGER}: a random split of clips: the same subjects are trained and tested on. Nothing "
    "follows for a new subject, and there is no interval or test over subjects.",
}


def marks(levels: Mapping[str, Any]) -> str:
    """The daggers of a configuration, by the levels of its factors."""
    oracle = levels.get("checkpoint") == "test_oracle"
    return DAGGER * oracle + DOUBLE_DAGGER * (not protocol_of(levels).by_subject)


def apart(own: Mapping[str, Any], base: Mapping[str, Any], centre: str) -> str | None:
    """Why two configurations are not tested against each other; None where they are."""
    if "test_oracle" in (own.get("checkpoint"), base.get("checkpoint")):
        return "an epoch that was chosen on the test clips is no rival in a test"
    one, other = (protocol_of(levels).outer for levels in (own, base))
    if one != other:
        return f"its protocol is {one}, the {centre}'s {other}: other clips were in training"
    return None if protocol_of(own).by_subject else f"{one} has subjects on both sides: no test over subjects holds"


def notes(found: "Ablation") -> list[str]:
    """What the daggers of a table mean."""
    there = "".join(f.marks for f in found.findings)
    return [note for mark, note in _NOTES.items() if mark in there]


def warnings(stages: Sequence["Ablation"]) -> list[str]:
    """What a report opens with whose study, or baseline, is such a practice."""
    said = []
    for found in stages:
        base = found.baseline
        if base and DOUBLE_DAGGER in base.marks:
            said.append(
                f"The {found.centre}'s protocol is a random split of clips, so that the same subjects are trained and "
                "tested on: its scores say nothing of a new person's face, and no interval or test over subjects is "
                "given. Repeat it under loso before anything is claimed."
            )
        if base and DAGGER in base.marks:
            said.append(
                f"The {found.centre}'s epochs were chosen on the test clips (checkpoint: test_oracle): differences to "
                "it are no claim, and nothing is tested against it."
            )
    return list(dict.fromkeys(said))
