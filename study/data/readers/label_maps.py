"""Label maps: from the words of a dataset's annotation to the classes of a study, by name or of the user's own."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from search_spaces.errors import UserError
from search_spaces.spelling import spelt_twice

# Spellings of one label in the datasets' annotations (after lower case): SAMM writes Other, CAS(ME)^2 happyiness.
SPELLINGS = {"other": "others", "happyiness": "happiness"}
# Objective classes by their number: groups of action units (Davison et al. 2018, arXiv 1708.07549).
ROMAN = ("i", "ii", "iii", "iv", "v", "vi", "vii")

# The words that an annotation of each dataset may hold, by what they name. The first is what a user's own map reads.
WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "casme2": {
        "emotion": ("disgust", "fear", "happiness", "others", "repression", "sadness", "surprise"),
        "objective": ROMAN,
    },
    "samm": {
        "emotion": ("anger", "contempt", "disgust", "fear", "happiness", "others", "sadness", "surprise"),
        "objective": ROMAN,
    },
    "smic": {"emotion": ("negative", "positive", "surprise")},
    "smic_e": {"emotion": ("negative", "positive", "surprise")},
    "casme_squared": {
        "elicited": ("anger", "disgust", "happy"),
        "valence": ("negative", "others", "positive", "surprise"),
        "reported": (),  # any word: what the participant wrote
    },
    "megc2019": {"emotion": ("negative", "positive", "surprise")},
}


@dataclass(frozen=True)
class LabelMap:
    """Which of a dataset's labels are read (`kind`) and the class of each; a label without one is dropped."""

    name: str
    kind: str
    classes: tuple[str, ...]  # in the order of the networks' outputs
    to: Mapping[str, str]


def groups(name: str, kind: str, **members: str) -> LabelMap:
    """A map from classes and the words of each, separated by spaces."""
    return LabelMap(
        name, kind, tuple(members), {word: group for group, words in members.items() for word in words.split()}
    )


def same(name: str, kind: str, words: str) -> LabelMap:
    """A map that keeps these words as they are."""
    return groups(name, kind, **{word: word for word in words.split()})


_THREE = same("megc3", "emotion", "negative positive surprise")
# MEGC2018: objective classes I-V of VII, on CASME II and SAMM.
_OBJECTIVE5 = LabelMap("objective5", "objective", ("I", "II", "III", "IV", "V"), {w: w.upper() for w in ROMAN[:5]})

MAPS: dict[str, dict[str, LabelMap]] = {
    # The MEGC2019 composite's classes. Its official list has neither fear nor sadness of CASME II, although the
    # challenge's text counts both as negative.
    "megc3": {
        "casme2": groups("megc3", "emotion", negative="disgust repression", positive="happiness", surprise="surprise"),
        "samm": groups(
            "megc3",
            "emotion",
            negative="anger contempt disgust fear sadness",
            positive="happiness",
            surprise="surprise",
        ),
        "smic": _THREE,
        "smic_e": _THREE,
        "megc2019": _THREE,
        "casme_squared": same("megc3", "valence", "negative positive surprise"),
    },
    # What the film was to elicit, by the clip's name: nearest to the paper's task on CAS(ME)^2.
    "elicited3": {"casme_squared": same("elicited3", "elicited", "happy anger disgust")},
    "objective5": {"casme2": _OBJECTIVE5, "samm": _OBJECTIVE5},
    "casme2_5": {"casme2": same("casme2_5", "emotion", "happiness surprise disgust repression others")},
    "samm_5": {"samm": same("samm_5", "emotion", "anger contempt happiness surprise others")},
    "valence4": {"casme_squared": same("valence4", "valence", "negative positive surprise others")},
}


def label_map(labels: str | Mapping[str, str], kind: str | None, dataset: str) -> LabelMap:
    """The map of this name for a dataset, or the user's own {label: class} over labels of a kind.

    kind: which labels the user's own map reads, by default the dataset's first. Raises UserError when it does not fit.
    """
    kinds = WORDS[dataset]
    if isinstance(labels, str):
        fitting = [name for name, by_dataset in MAPS.items() if dataset in by_dataset]
        if labels not in fitting:
            known = "does not fit" if labels in MAPS else "is no label map of"
            raise UserError(
                f"dataset: option labels: {labels} {known} {dataset}; valid: {', '.join(fitting)}, or a mapping of "
                "your own, {label: class}"
            )
        if kind is not None:
            raise UserError(f"dataset: option labels_from belongs to a mapping of your own; {labels} names a map")
        return MAPS[labels][dataset]
    kind = kind or next(iter(kinds))
    if kind not in kinds:
        raise UserError(f"dataset: option labels_from is {kind!r}; valid for {dataset}: {', '.join(kinds)}")
    if twice := [*spelt_twice(labels.values()), *_of_one_word(labels)]:
        told = [" and ".join(map(ascii, names)) for names in twice]
        raise UserError([f"dataset: option labels: {names} are one name spelt two ways; keep one" for names in told])
    to = {normal(word): group for word, group in labels.items()}
    valid = ", ".join(kinds[kind])
    if unknown := [word for word in to if kinds[kind] and word not in kinds[kind]]:
        raise UserError(
            [f"dataset: option labels: {word!r} is no {kind} of {dataset}; valid: {valid}" for word in unknown]
        )
    return LabelMap("the study's own map", kind, tuple(dict.fromkeys(to.values())), to)


def _of_one_word(labels: Mapping[str, str]) -> list[list[str]]:
    """Labels of a mapping that are read as one word and yet get several classes, in groups."""
    groups: dict[str, list[str]] = {}
    for label in labels:
        groups.setdefault(normal(label), []).append(label)
    return [group for group in groups.values() if len({labels[label] for label in group}) > 1]


def normal(label: str) -> str:
    """A label as the maps spell it: plain letters in lower case, no spaces around it, one of several spellings."""
    word = unicodedata.normalize("NFKC", label).strip().casefold()
    return SPELLINGS.get(word, word)


def roman(number: str) -> str:
    """An objective class as the maps write it: '3' and 'III' are iii; anything else stays, and is found to be wrong."""
    return ROMAN[int(number) - 1] if number in ("1", "2", "3", "4", "5", "6", "7") else number
