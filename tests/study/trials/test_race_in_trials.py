"""The race inside a search: the same for any executor and any timing, stopped at the same subject, told as imputed."""

import json
import random
import shutil
import signal
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from study.scheduling.ray_executor import RayTune
from study.scheduling.scheduler import Scheduler
from study.scheduling.serial_executor import serial
from study.trials import race
from study.trials.subject_order import Course, Opponent
from study.trials.trial import run_trial
from tests.conftest import Small
from tests.golden_digest import golden_digest
from tests.processes import MARK, TRIAL, kill

EIGHT = {"reader": "synthetic", "options": {"subjects": 8, "clips": 5}}
RACED = {
    "design": "search",
    "proposals": 40,
    "startup": 6,
    "virtual_slots": 4,
    "factors": {
        "architecture": ["full_face", "fusion_intermediate", "fusion_late"],
        "frames": [5, 6, 8],
        "learning_rate": {"low": 1e-4, "high": 0.1, "log": True},
    },
}
STAGES = {"search": RACED}


def rows(*hits: int, wrong: int = 0) -> str:
    """A fold's predictions: clips of the classes a, b, c; those of `hits` are right."""
    names = "abc"
    return json.dumps([[f"c{i}", names[i], names[i if i in hits else (i + 1) % 3], [0.2] * 3] for i in range(3)])


COURSE = Course(tuple(f"s{i}" for i in range(10)), ("a", "b", "c"))
SURE, LOST = rows(0, 1, 2), rows()


def opponent(seeds=(1,)) -> Opponent:
    found = {(seed, subject): SURE for seed in seeds for subject in COURSE.parts}
    return Opponent(1, 1.0, COURSE.counts(seeds, found, 10), 0.1, 4)


def test_blocks_are_4_4_8_in_a_race_and_all_at_once_without():
    assert [len(block) for block in COURSE.blocks(opponent())] == [4, 4, 2]
    assert COURSE.blocks(None) == [range(10)]


def test_only_whole_blocks_of_all_seeds_are_judged():
    seeds = (1, 2)
    found = {(1, subject): LOST for subject in COURSE.parts} | {(2, f"s{i}"): LOST for i in range(3)}
    assert COURSE.decided(opponent(seeds), seeds, found) == 0
    assert COURSE.stop(opponent(seeds), seeds, found) is None
    found[2, "s3"] = LOST
    assert COURSE.decided(opponent(seeds), seeds, found) == 4
    stop = COURSE.stop(opponent(seeds), seeds, found)
    assert stop.parts == 4
    assert stop.imputed < 1.0


def test_a_stop_is_the_first_hopeless_subject_whatever_came_after_it():
    found = {(1, f"s{i}"): LOST if i < 6 else SURE for i in range(10)} | {(1, "s0"): SURE}
    whole = COURSE.stop(opponent(), (1,), found)
    assert 4 < whole.parts <= 8
    part = {key: own for key, own in found.items() if key[1] in COURSE.parts[:8]}
    assert COURSE.stop(opponent(), (1,), part) == whole


def test_an_equal_trial_is_not_stopped_and_what_is_hopeless_only_at_the_end_is_complete():
    same = {(1, subject): SURE for subject in COURSE.parts}
    assert COURSE.stop(opponent(), (1,), same) is None
    counts = COURSE.counts((1,), same, 10)
    late = counts.copy()
    late[6:] = np.roll(late[6:], 1, axis=2)
    assert race.signed_rank_p(race.differences(late, counts)) <= 0.1
    found = same | {(1, f"s{i}"): LOST for i in range(6, 10)}
    assert COURSE.stop(opponent(), (1,), found) is None


def outcomes(study: Small) -> list[tuple]:
    return study.query(
        "select number, key, levels, rejected, opponent, outcome.state, outcome.kept, outcome.value, told.state, "
        "told.value from proposal "
        "join outcome using (trial) left join told using (trial) order by number",
    )


def slowed():
    """The trial as it is, its groups held up for random times that no two runs share. (Local: pickled by value.)"""

    def run(trial, clips, done, resources):
        for folds in run_trial(trial, clips, done, resources):
            time.sleep(random.expovariate(20))
            yield folds

    return run


@pytest.fixture(scope="module")
def golden(unbroken) -> tuple[list[tuple], str]:
    """The outcomes and the digest of an unbroken run in one process."""
    study = unbroken(dataset=EIGHT, stages=STAGES)
    return outcomes(study), golden_digest(study.folder)


@pytest.mark.parametrize(
    "executor",
    [
        pytest.param(serial, id="serial"),
        *(
            pytest.param(RayTune(slots=n, run=slowed(), block_seconds=0.05), id=f"ray-{n}", marks=pytest.mark.slow)
            for n in (1, 2, 4)
        ),
    ],
)
def test_a_raced_search_is_the_same_for_any_executor_and_any_timing(small, golden, executor):
    folder = small.run(executor, dataset=EIGHT, stages=STAGES)
    found = outcomes(small)
    states = [row[5] for row in found]
    assert len(found) == 40
    assert states.count("pruned") >= 4, "the case tests too little"
    assert {row[6] for row in found if row[5] == "pruned"} - {4, 8}, "none stopped inside a block"
    exported = pq.read_table(folder / "predictions.parquet", columns=["trial", "held_out"]).to_pandas()
    kept = exported.groupby("trial").held_out.nunique().to_dict()
    assert kept == dict(small.query("select trial, kept from outcome"))
    assert (found, golden_digest(folder)) == golden


@pytest.mark.slow
def test_whatever_is_killed_a_search_proposes_prunes_and_predicts_the_same(small, golden):
    """Processes are killed at so many folds in the ledger, and the study is run again when its driver was."""
    study = yaml.safe_load(small.file.read_text()) | {"dataset": EIGHT, "stages": STAGES}
    small.file.write_text(yaml.safe_dump(study))
    mark = str(small.folder)
    victims = [(30, TRIAL), (60, ("study/run.py",)), (100, ("raylet/raylet",)), (150, TRIAL)]
    driver = small.start("--slots", "2", env={MARK: mark})
    try:
        while victims or driver.poll() is None:
            if driver.poll() is not None:
                assert driver.returncode == -signal.SIGKILL, driver.stdout.read()
                driver = small.start("--slots", "2", env={MARK: mark})
            if victims and small.folds() >= victims[0][0] and kill(mark, victims[0][1]):
                victims.pop(0)
            time.sleep(0.05)
        assert driver.returncode == 0, driver.stdout.read()
    finally:
        driver.kill()
        driver.communicate()
    assert (outcomes(small), golden_digest(small.folder)) == golden


@pytest.mark.slow
def test_failed_trials_that_are_run_again_change_no_later_proposal(small, tmp_path, monkeypatch):
    """Trials fail until half of the search is proposed; it goes on with and without them run again."""
    import study.training.train

    stages, real, doomed, takes = {"search": RACED | {"proposals": 16}}, study.training.train.train, set(), []

    def train(config, *arguments):
        if len(takes) < 8 and config.frames == 5:
            doomed.add(config.key())
        if config.key() in doomed:
            raise ArithmeticError("diverged")
        return real(config, *arguments)

    def stopped(scheduler):
        takes.append(1)
        if len(takes) == 8:
            raise KeyboardInterrupt
        return take(scheduler)

    take = Scheduler.take
    monkeypatch.setattr(study.training.train, "train", train)
    monkeypatch.setattr(Scheduler, "take", stopped)
    with pytest.raises(KeyboardInterrupt):
        small.run(dataset=EIGHT, stages=stages)
    assert doomed
    (tmp_path / "again").mkdir()
    again = Small(tmp_path / "again", small.storage)
    shutil.copytree(small.folder, again.folder)
    small.run(dataset=EIGHT, stages=stages)
    monkeypatch.undo()
    again.run(dataset=EIGHT, stages=stages, retry_failed=True)
    failed = "select count(*) from outcome where state = 'failed'"
    assert (small.query(failed), again.query(failed)) == ([(len(doomed),)], [(0,)])
    told = "select number, key, levels, rejected, opponent, told.* from proposal left join told using (trial)"
    assert small.query(told) == again.query(told)
