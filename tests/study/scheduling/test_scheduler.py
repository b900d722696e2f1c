"""The agenda: what is given out, and what becomes of a trial."""

import dataclasses

import pytest

from search_spaces.config import TrialConfig
from search_spaces.designs import Arm
from search_spaces.errors import UserError
from study.ledger.fold_reuse import Library
from study.ledger.writer import Ledger
from study.scheduling.scheduler import Agenda, Listed
from study.trials.trial import Done, MixedArithmetic, run_trial


@pytest.fixture
def seen() -> list[tuple[str, int]]:
    return []


@pytest.fixture
def agenda(tmp_path, small, seen):
    with Ledger(tmp_path / "study") as ledger:
        config = small.prepared().spec.baseline_config()
        source = Listed([Arm("ablate", "baseline", config, (1, 2), {})], ledger, lambda config: 1)
        clips = small.clips()
        library = Library(tmp_path, "study")
        yield Agenda([source], ledger, clips, lambda trial, event, n, uf1=None: seen.append((event, n)), library)


def test_a_trial_is_complete_with_its_last_fold(agenda, small, seen):
    trial = agenda.take()
    groups = list(run_trial(trial, agenda.clips, {}, small.prepared().spec.resources))
    for folds in groups[:-1]:
        agenda.record(trial, folds)
        assert agenda.ledger.outcome(trial.number) is None
    agenda.record(trial, groups[-1])
    outcome = agenda.ledger.outcome(trial.number)
    assert (outcome.state, outcome.kept) == ("complete", 5)
    assert 0 <= outcome.value <= 1
    assert ("complete", 0) in seen
    assert sum(n for event, n in seen if event == "trained") == 5


def test_a_trial_whose_folds_are_all_there_is_settled_and_not_given_out(agenda, small):
    trial = agenda.take()
    for folds in run_trial(trial, agenda.clips, {}, small.prepared().spec.resources):
        agenda.record(trial, folds)
    agenda.sources = [Listed([Arm("ablate", "twin", trial.config, trial.seeds, {})], agenda.ledger, lambda config: 1)]
    assert agenda.take() is None
    twin = agenda.ledger.trials()[-1]
    assert twin.arm == "twin"
    assert agenda.ledger.outcome(twin.number).state == "complete"


def test_a_lost_trial_is_given_out_again_but_not_for_ever(agenda):
    first = agenda.take()
    for _ in range(2):
        agenda.lost(first)
        assert agenda.take() == first
    agenda.lost(first)
    assert agenda.ledger.outcome(first.number).state == "failed"
    assert "died 3 times without a new fold" in agenda.ledger.outcome(first.number).why
    assert agenda.take().seeds == (2,)


def test_a_block_of_another_machine_is_refused_whole(agenda, small):
    trial = agenda.take()
    first, second = list(run_trial(trial, agenda.clips, {}, small.prepared().spec.resources))
    agenda.record(trial, first)
    other = [dataclasses.replace(f, arithmetic=dataclasses.replace(f.arithmetic, torch="0.1")) for f in second]
    with pytest.raises(UserError, match=r"0\.1"):
        agenda.record(trial, other)
    assert len(agenda.ledger.done(trial)) == len(first)


def test_folds_made_by_another_arithmetic_are_not_mixed(agenda, small):
    trial = agenda.take()
    first = next(run_trial(trial, agenda.clips, {}, small.prepared().spec.resources))
    done = {f.key: Done(dataclasses.replace(f.arithmetic, group=1), f.predictions) for f in first}
    with pytest.raises(MixedArithmetic, match="group=1"):
        list(run_trial(trial, agenda.clips, done, small.prepared().spec.resources))


def test_the_config_of_a_ledger_comes_back(agenda):
    assert agenda.take().config == agenda.ledger.trials()[0].config
    assert isinstance(agenda.ledger.trials()[0].config, TrialConfig)


def test_the_longest_is_given_out_first_and_numbers_stay_the_plans(agenda, small):
    config = small.prepared().spec.baseline_config()
    arms = [
        Arm("confirm", f"depth {depth}", dataclasses.replace(config, depth=depth), (1, 2), {}) for depth in (1, 3, 2)
    ]
    source = Listed(arms, agenda.ledger, lambda config: config.depth)
    given = [source.next() for _ in range(6)]
    assert [(trial.config.depth, trial.seeds[0]) for trial in given] == [(3, 1), (3, 2), (2, 1), (2, 2), (1, 1), (1, 2)]
    assert [p.trial.config.depth for p in agenda.ledger.proposals("confirm")] == [1, 1, 3, 3, 2, 2]
    assert source.next() is None


def test_a_trial_that_failed_is_given_out_again_on_request_alone(agenda):
    first = agenda.take()
    agenda.fail(first, "diverged")
    again = [Arm("ablate", "baseline", first.config, first.seeds, {})]

    def taken(retry_failed: bool):
        source = Listed(again, agenda.ledger, lambda config: 1)
        return Agenda(
            [source], agenda.ledger, agenda.clips, agenda.watch, agenda.library, retry_failed=retry_failed
        ).take()

    assert taken(False) is None
    assert taken(True) == first


def test_a_trial_tried_again_may_lose_its_process_anew(agenda):
    first = agenda.take()
    for _ in range(3):
        agenda.lost(first)
        agenda.take()
    assert agenda.ledger.outcome(first.number).state == "failed"
    agenda.waiting = [first]
    assert agenda.take() == first
    agenda.lost(first)
    assert agenda.take() == first, "the losses before it failed count no more"


def test_what_a_killed_driver_left_is_closed_and_counts_as_no_loss(agenda):
    first = agenda.take()
    for _ in range(5):
        Agenda(agenda.sources, agenda.ledger, agenda.clips, agenda.watch, agenda.library)
        agenda.ledger.attempt(first.number)
    errors = agenda.ledger.db.execute("select error, ended >= began from attempt order by id").fetchall()
    assert [tuple(row) for row in errors] == [("left", 1)] * 5 + [(None, None)]
    assert agenda.ledger.losses(first.number) == 0


def test_a_trial_for_which_no_process_began_is_given_out_again_and_not_blamed(agenda):
    first = agenda.take()
    for _ in range(5):
        agenda.returned(first)
        assert agenda.take() == first
    assert agenda.ledger.losses(first.number) == 0
