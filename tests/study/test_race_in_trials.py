"""The race inside a search: the same for any executor and any timing, stopped at the same subject, told as imputed."""

import json
import sqlite3
from pathlib import Path

import numpy as np

from study import race
from study.course import Course, Opponent
from study.ledger import ledger_path

RACED = {
    "design": "search",
    "proposals": 40,
    "startup": 6,
    "virtual_slots": 4,
    "factors": {
        "architecture": ["full_face", "fusion_intermediate", "fusion_late"],
        "frames": [4, 6, 8],
        "learning_rate": {"low": 1e-4, "high": 0.1, "log": True},
    },
}


def rows(*hits: int, wrong: int = 0) -> str:
    """A fold's predictions: clips of the classes a, b, c; those of `hits` are right."""
    names = "abc"
    return json.dumps([[f"c{i}", names[i], names[i if i in hits else (i + 1) % 3], [0.2] * 3] for i in range(3)])


COURSE = Course(tuple(f"s{i}" for i in range(10)), ("a", "b", "c"))
SURE, LOST = rows(0, 1, 2), rows()


def opponent(seeds=(1,)) -> Opponent:
    found = {(seed, subject): SURE for seed in seeds for subject in COURSE.subjects}
    return Opponent(1, 1.0, COURSE.counts(seeds, found, 10), 0.1, 4)


def test_blocks_are_4_4_8_in_a_race_and_all_at_once_without():
    assert [len(block) for block in COURSE.blocks(opponent())] == [4, 4, 2]
    assert COURSE.blocks(None) == [range(10)]


def test_only_whole_blocks_of_all_seeds_are_judged():
    seeds = (1, 2)
    found = {(1, subject): LOST for subject in COURSE.subjects} | {(2, f"s{i}"): LOST for i in range(3)}
    assert COURSE.decided(opponent(seeds), seeds, found) == 0
    assert COURSE.stop(opponent(seeds), seeds, found) is None
    found[2, "s3"] = LOST
    assert COURSE.decided(opponent(seeds), seeds, found) == 4
    stop = COURSE.stop(opponent(seeds), seeds, found)
    assert stop.subjects == 4
    assert stop.imputed < 1.0


def test_a_stop_is_the_first_hopeless_subject_whatever_came_after_it():
    found = {(1, f"s{i}"): LOST if i < 6 else SURE for i in range(10)} | {(1, "s0"): SURE}
    whole = COURSE.stop(opponent(), (1,), found)
    assert 4 < whole.subjects <= 8
    part = {key: own for key, own in found.items() if key[1] in COURSE.subjects[:8]}
    assert COURSE.stop(opponent(), (1,), part) == whole


def test_an_equal_trial_is_not_stopped_and_what_is_hopeless_only_at_the_end_is_complete():
    same = {(1, subject): SURE for subject in COURSE.subjects}
    assert COURSE.stop(opponent(), (1,), same) is None
    counts = COURSE.counts((1,), same, 10)
    late = counts.copy()
    late[6:] = np.roll(late[6:], 1, axis=2)
    assert race.signed_rank_p(race.differences(late, counts)) <= 0.1
    found = same | {(1, f"s{i}"): LOST for i in range(6, 10)}
    assert COURSE.stop(opponent(), (1,), found) is None


def outcomes(folder: Path) -> list[tuple]:
    db = sqlite3.connect(ledger_path(folder))
    try:
        return db.execute(
            "select number, key, levels, rejected, opponent, state, kept, value "
            "from proposal join outcome using (trial) order by number"
        ).fetchall()
    finally:
        db.close()
