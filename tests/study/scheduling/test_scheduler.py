"""The scheduler: what is given out, and what becomes of a trial."""

import dataclasses

import pytest

from search_spaces.config import TrialConfig
from search_spaces.designs import Arm
from search_spaces.errors import UserError
from study.ledger.fold_reuse import Library
from study.ledger.writer import Ledger
from study.scheduling.scheduler import FixedDesign, Scheduler
from study.trials.trial import Done, MixedArithmetic, run_trial


@pytest.fixture
def seen() -> list[tuple[str, int]]:
    return []


class Seen:
    """A watch that keeps what it sees."""

    def __init__(self, events):
        self.events = events

    def saw(self, trial, event, number, value=None):
        self.events.append((event, number))


@pytest.fixture
def scheduler(tmp_path, small, seen):
    with Ledger(tmp_path / "study") as ledger:
        config = small.prepared().spec.baseline_config()
        source = FixedDesign([Arm("ablate", "baseline", config, (1, 2), {})], ledger, lambda config: 1)
        clips = small.clips()
        library = Library(tmp_path, "study")
        yield Scheduler([source], ledger, clips, Seen(seen), library)


def test_a_trial_is_complete_with_its_last_fold(scheduler, small, seen):
    trial = scheduler.take()
    groups = list(run_trial(trial, scheduler.clips, {}, small.prepared().spec.resources))
    for folds in groups[:-1]:
        scheduler.record(trial, folds)
        assert scheduler.ledger.outcome(trial.number) is None
    scheduler.record(trial, groups[-1])
    outcome = scheduler.ledger.outcome(trial.number)
    assert (outcome.state, outcome.kept) == ("complete", 5)
    assert 0 <= outcome.value <= 1
    assert ("complete", 0) in seen
    assert sum(n for event, n in seen if event == "trained") == 5


def test_a_trial_whose_folds_are_all_there_is_settled_and_not_given_out(scheduler, small):
    trial = scheduler.take()
    for folds in run_trial(trial, scheduler.clips, {}, small.prepared().spec.resources):
        scheduler.record(trial, folds)
    scheduler.sources = [
        FixedDesign([Arm("ablate", "twin", trial.config, trial.seeds, {})], scheduler.ledger, lambda config: 1)
    ]
    assert scheduler.take() is None
    twin = scheduler.ledger.trials()[-1]
    assert twin.arm == "twin"
    assert scheduler.ledger.outcome(twin.number).state == "complete"


def test_a_lost_trial_is_given_out_again_but_not_for_ever(scheduler):
    first = scheduler.take()
    for _ in range(2):
        scheduler.lost(first)
        assert scheduler.take() == first
    scheduler.lost(first)
    assert scheduler.ledger.outcome(first.number).state == "failed"
    assert "died 3 times without a new fold" in scheduler.ledger.outcome(first.number).why
    assert scheduler.take().seeds == (2,)


def test_a_block_of_another_machine_is_refused_whole(scheduler, small):
    trial = scheduler.take()
    first, second = list(run_trial(trial, scheduler.clips, {}, small.prepared().spec.resources))
    scheduler.record(trial, first)
    other = [dataclasses.replace(f, arithmetic=dataclasses.replace(f.arithmetic, torch="0.1")) for f in second]
    with pytest.raises(UserError, match=r"0\.1"):
        scheduler.record(trial, other)
    assert len(scheduler.ledger.done(trial)) == len(first)


def test_folds_made_by_another_arithmetic_are_not_mixed(scheduler, small):
    trial = scheduler.take()
    first = next(run_trial(trial, scheduler.clips, {}, small.prepared().spec.resources))
    done = {f.key: Done(dataclasses.replace(f.arithmetic, group=1), f.predictions) for f in first}
    with pytest.raises(MixedArithmetic, match="group=1"):
        list(run_trial(trial, scheduler.clips, done, small.prepared().spec.resources))


def test_the_config_of_a_ledger_comes_back(scheduler):
    assert scheduler.take().config == scheduler.ledger.trials()[0].config
    assert isinstance(scheduler.ledger.trials()[0].config, TrialConfig)


def test_the_longest_is_given_out_first_and_numbers_stay_the_plans(scheduler, small):
    config = small.prepared().spec.baseline_config()
    arms = [
        Arm("confirm", f"depth {depth}", dataclasses.replace(config, depth=depth), (1, 2), {}) for depth in (1, 3, 2)
    ]
    source = FixedDesign(arms, scheduler.ledger, lambda config: config.depth)
    given = [source.next() for _ in range(6)]
    assert [(trial.config.depth, trial.seeds[0]) for trial in given] == [(3, 1), (3, 2), (2, 1), (2, 2), (1, 1), (1, 2)]
    assert [p.trial.config.depth for p in scheduler.ledger.proposals("confirm")] == [1, 1, 3, 3, 2, 2]
    assert source.next() is None


def test_a_trial_that_failed_is_given_out_again_on_request_alone(scheduler):
    first = scheduler.take()
    scheduler.fail(first, "diverged")
    again = [Arm("ablate", "baseline", first.config, first.seeds, {})]

    def taken(retry_failed: bool):
        source = FixedDesign(again, scheduler.ledger, lambda config: 1)
        return Scheduler(
            [source], scheduler.ledger, scheduler.clips, scheduler.watch, scheduler.library, retry_failed=retry_failed
        ).take()

    assert taken(False) is None
    assert taken(True) == first


def test_a_trial_tried_again_may_lose_its_process_anew(scheduler):
    first = scheduler.take()
    for _ in range(3):
        scheduler.lost(first)
        scheduler.take()
    assert scheduler.ledger.outcome(first.number).state == "failed"
    scheduler.waiting = [first]
    assert scheduler.take() == first
    scheduler.lost(first)
    assert scheduler.take() == first, "the losses before it failed count no more"


def test_what_a_killed_driver_left_is_closed_and_counts_as_no_loss(scheduler):
    first = scheduler.take()
    for _ in range(5):
        Scheduler(scheduler.sources, scheduler.ledger, scheduler.clips, scheduler.watch, scheduler.library)
        scheduler.ledger.attempt(first.number)
    errors = scheduler.ledger.db.execute("select error, ended >= began from attempt order by id").fetchall()
    assert [tuple(row) for row in errors] == [("left", 1)] * 5 + [(None, None)]
    assert scheduler.ledger.losses(first.number) == 0


def test_a_trial_for_which_no_process_began_is_given_out_again_and_not_blamed(scheduler):
    first = scheduler.take()
    for _ in range(5):
        scheduler.returned(first)
        assert scheduler.take() == first
    assert scheduler.ledger.losses(first.number) == 0
