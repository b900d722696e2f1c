"""What a ledger says of its study, fetched at once: for readers that then take their time."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from search_spaces.config import TrialConfig
from search_spaces.digests import digest
from search_spaces.spec import StudySpec
from study.data.clips import Clips
from study.ledger.schema import read_only
from study.trials.subject_order import Course
from study.trials.trial import Trial


@dataclass(frozen=True)
class Record:
    """A study, its trials in the order of the ledger, and the keys of its folds.

    clips: names and digests alone, without pixels and labels: what the key of a fold is made of.
    """

    spec: StudySpec
    identity: dict[str, Any]
    description: dict[str, Any]
    clips: Clips
    trials: tuple[Trial, ...]
    pruned: frozenset[int]  # of them, by number
    keys: frozenset[str]


def recorded(folder: Path) -> Record | None:
    """None where the ledger has no study yet. Raises UserError where there is no ledger, or one of another version."""
    db = read_only(folder)
    study = db.execute("select resolved, identity, description from study").fetchone()
    proposals = db.execute("select * from proposal order by trial").fetchall()
    pruned = frozenset(row["trial"] for row in db.execute("select trial from outcome where state = 'pruned'"))
    keys = frozenset(row["key"] for row in db.execute("select key from fold"))
    db.close()
    if study is None:
        return None
    identity, description = json.loads(study["identity"]), json.loads(study["description"])
    trials = (
        Trial(
            row["trial"],
            row["stage"],
            row["arm"],
            TrialConfig(**json.loads(row["configuration"])),
            tuple(json.loads(row["seeds"])),
            subjects=choosers(description) if row["arm"] is None else None,
        )
        for row in proposals
    )
    spec = StudySpec.model_validate(json.loads(study["resolved"]))
    clips = named_clips(description, identity["data"])
    return Record(spec, identity, description, clips, tuple(trials), pruned, keys)


def course(description: dict[str, Any], identity: dict[str, Any]) -> Course:
    """A study's subjects as its folds hold them out, in the order in which every trial takes them; and its classes."""
    return Course.of(named_clips(description, identity["data"]))


def choosers(description: dict[str, Any]) -> int | None:
    """So many of the first subjects a search's trials hold out; None: all."""
    return len(description.get("chosen_by", ())) or None


def named_clips(description: dict[str, Any], digests: dict[str, Any]) -> Clips:
    """The clips that a ledger's folds were trained on, without what it does not keep: pixels, frames and labels."""
    rows = description["clips"]
    several = len({dataset for _, dataset, _, _ in rows}) > 1
    count = len(rows)
    return Clips(
        ids=np.array([clip for clip, *_ in rows]),
        subjects=np.array([f"{dataset}/{subject}" if several else subject for _, dataset, subject, _ in rows]),
        labels=np.zeros(count, np.int64),
        classes=tuple(description["classes"]),
        first=np.zeros(count, np.int64),
        frames=np.zeros(count, np.int64),
        apex=np.full(count, -1),
        fps=np.full(count, np.nan),
        pixels={},
        digests={name: own if isinstance(own, str) else digest(own) for name, own in digests.items()},
    )
