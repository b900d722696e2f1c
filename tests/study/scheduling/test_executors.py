"""The same study gives the same bytes under every executor, however many workers, and after a kill."""

import signal
import time
from functools import partial

import pytest

from analysis.report.report import report
from analysis.results.load import load_results
from search_spaces.errors import UserError
from study.scheduling import serial_executor
from study.scheduling.ray_executor import RayTune
from study.trials.trial import run_trial
from tests.golden_digest import golden_digest
from tests.processes import MARK, TRIAL, kill

FOLDS = (12 + 4 * 2) * 5  # proposals and arms x seeds, by subjects


PROPOSALS = "select stage, number, arm, key, seeds, levels, rejected from proposal order by trial"


@pytest.fixture(scope="module")
def golden(unbroken) -> tuple[str, list[tuple]]:
    """The digest and the proposals of an unbroken run in one process."""
    study = unbroken()
    return golden_digest(study.folder), study.query(PROPOSALS)


@pytest.mark.parametrize(
    "executor",
    [
        pytest.param(serial_executor.serial, id="serial"),
        pytest.param(RayTune(slots=1), id="ray-1", marks=pytest.mark.slow),
        pytest.param(RayTune(slots=2), id="ray-2", marks=pytest.mark.slow),
    ],
)
def test_golden_digest_is_that_of_every_executor(small, golden, executor):
    folder = small.run(executor)
    assert small.query("select count(*), sum(state = 'complete') from outcome") == [(20, 20)]
    assert small.query("select count(*) from fold") == [(FOLDS,)]
    assert (golden_digest(folder), small.query(PROPOSALS)) == golden


def test_running_again_trains_nothing(small):
    small.run()
    before = small.query("select * from fold order by key"), small.query("select * from told order by trial")
    small.run()
    assert (
        small.query("select * from fold order by key"),
        small.query("select * from told order by trial"),
    ) == before
    assert small.query("select sum(trained) from attempt") == [(FOLDS,)]


@pytest.mark.slow
@pytest.mark.parametrize("options", [("--serial",), ("--slots", "2")], ids=["serial", "ray-2"])
def test_a_killed_driver_goes_on_and_repeats_no_finished_block(small, golden, options):
    driver = small.start(*options)
    deadline = time.monotonic() + 240
    try:
        while not small.folds() > FOLDS // 3:
            assert driver.poll() is None, driver.stdout.read()
            assert time.monotonic() < deadline, "no folds in time"
            time.sleep(0.02)
    finally:
        driver.kill()
        driver.communicate()
    finished = small.folds()
    assert finished < FOLDS, "it ended before it was killed"
    folder = small.run(RayTune(slots=2) if "--slots" in options else serial_executor.serial)
    assert small.query("select sum(trained), count(distinct trained) > 0 from attempt") == [(FOLDS, 1)]
    assert golden_digest(folder) == golden[0]


@pytest.mark.parametrize(
    "executor",
    [
        pytest.param(lambda run: partial(serial_executor.serial, run=run), id="serial"),
        pytest.param(lambda run: RayTune(slots=2, run=run), id="ray-2", marks=pytest.mark.slow),
    ],
)
def test_a_trial_that_raises_fails_alone_and_is_tried_again_on_request(small, executor):
    def run(trial, *arguments):
        if trial.config.input == "gray" and trial.config.control == "none":
            raise ArithmeticError("diverged")
        yield from run_trial(trial, *arguments)

    small.run(executor(run))
    failed = small.query("select arm, why from outcome join proposal using (trial) where state = 'failed'")
    assert [arm for arm, _ in failed] == ["input=gray"] * 2
    assert "diverged" in failed[0][1]
    small.run()
    assert small.query("select count(*) from outcome where state = 'failed'") == [(2,)]
    small.run(retry_failed=True)
    assert small.query("select count(*) from outcome where state = 'complete'") == [(20,)]


def test_a_study_whose_trials_all_fail_is_told_why(small):
    def run(*_):
        raise ArithmeticError("diverged")

    folder = small.run(partial(serial_executor.serial, run=run))
    with pytest.raises(UserError, match=r"none of 20 trials is complete \(ArithmeticError: diverged\)"):
        report(load_results(folder))


def test_an_error_that_names_no_text_is_kept_and_ends_no_study(small):
    """A file name that is not UTF-8, and half of a character."""

    def run(trial, *rest):
        if trial.number in (1, 2):
            raise OSError("no such file: " + ("\udcce\udcd2.avi" if trial.number == 1 else "\ud83d.avi"))
        yield from run_trial(trial, *rest)

    small.run(partial(serial_executor.serial, run=run))
    whys = [
        why.splitlines()[-1] for (why,) in small.query("select why from outcome where state = 'failed' order by trial")
    ]
    assert whys == ["OSError: no such file: \\xce\\xd2.avi", "OSError: no such file: \\ud83d.avi"]
    assert small.query("select count(*) from outcome where state = 'complete'") == [(18,)]


@pytest.mark.slow
def test_killed_workers_cost_the_block_they_were_in(small, golden):
    driver = small.start("--slots", "2", env={MARK: str(small.folder)})
    killed = 0
    try:
        while driver.poll() is None:
            if killed < 2 and small.folds() > killed * FOLDS // 3:
                killed += kill(str(small.folder), TRIAL)
            time.sleep(0.1)
    finally:
        driver.kill()
        output, _ = driver.communicate()
    assert driver.returncode == 0, output
    assert killed == 2
    (died,) = small.query("select count(*) from attempt where error in ('its process died', 'left')")[0]
    assert 1 <= died <= 2  # a worker may have been killed between two trials
    assert small.query("select sum(trained) from attempt") == [(FOLDS,)]
    assert golden_digest(small.folder) == golden[0]


@pytest.mark.slow
@pytest.mark.parametrize("options", [("--serial",), ("--slots", "2")], ids=["serial", "ray-2"])
def test_ctrl_c_ends_with_a_word_and_the_same_command_goes_on(small, golden, options):
    driver = small.start(*options)
    try:
        while driver.poll() is None and not small.folds() > FOLDS // 3:
            time.sleep(0.02)
        driver.send_signal(signal.SIGINT)
        output, _ = driver.communicate(timeout=180)
    finally:
        driver.kill()
        driver.communicate()
    assert driver.returncode == 130, output
    assert "the same command goes on from there" in " ".join(output.split())
    assert "Traceback" not in output
    assert small.folds() < FOLDS
    again = small.start(*options)
    output, _ = again.communicate()
    assert again.returncode == 0, output
    assert small.query("select sum(trained) from attempt") == [(FOLDS,)]
    assert golden_digest(small.folder) == golden[0]


@pytest.mark.slow
def test_what_the_ledger_refuses_is_told_under_ray_as_well(small, monkeypatch):
    from study.scheduling.scheduler import Scheduler

    def record(*_):
        raise UserError("refused for a test")

    monkeypatch.setattr(Scheduler, "record", record)
    with pytest.raises(UserError, match="refused for a test"):
        small.run(RayTune(slots=1))


@pytest.mark.slow
@pytest.mark.parametrize("resources", [{"memory": 5000}, {"cpu": 999}, {"gpu": 1}])
def test_a_trial_that_fits_nowhere_is_refused_and_does_not_wait(small, resources):
    with pytest.raises(UserError, match="no machine holds one trial"):
        small.run(RayTune(), resources=resources)


@pytest.mark.slow
def test_a_cluster_that_does_not_answer_is_told(small):
    with pytest.raises(UserError, match="no Ray answers there"):
        small.run(RayTune(address="127.0.0.1:9"))


@pytest.mark.slow
def test_ctrl_c_between_two_trials_is_no_success(small, monkeypatch):
    from study.scheduling.scheduler import Scheduler

    take, seen = Scheduler.take, []

    def interrupted(self):
        seen.append(1)
        if len(seen) == 4:
            signal.raise_signal(signal.SIGINT)
        return take(self)

    monkeypatch.setattr(Scheduler, "take", interrupted)
    with pytest.raises(KeyboardInterrupt):
        small.run(RayTune(slots=1))
    assert small.folds() < FOLDS
