"""The live display: what it counts, and how well it knows what is left, on a clock of the test's own."""

import heapq
import random

import pytest
from rich.console import Console

from search_spaces.study_file import READY, load_study
from study.cli.progress_display import Display
from study.planning.cost_model import Costs, Size, Work, computed
from study.planning.plan import planned
from study.planning.remaining_work import Outlook
from study.trials.trial import Trial

SIZE = Size(subjects=8, clips=48, classes=3)
FORTY = {"design": "factorial", "seeds": 5, "factors": {"epochs": [10, 16], "crop": [16, 24, 32, 48]}}
BASELINE = {"architecture": "full_face", "frames": 8, "kernel_time": 3, "epochs": 10, "crop": 16}


def forty():
    """A plan of 40 trials whose costs spread 16-fold, and these trials, the dearest first."""
    plan = planned(
        load_study(READY / "default.yaml", {"stages": {"ablate": FORTY}, "baseline": BASELINE}), SIZE, Costs()
    )
    trials = [Trial(0, arm.stage, arm.name, arm.config, (seed,)) for arm, _ in plan.arms for seed in arm.seeds]
    trials.sort(key=lambda trial: -computed(Work(trial.config, SIZE)))
    return plan, [Trial(number, *list(vars(trial).values())[1:]) for number, trial in enumerate(trials)]


def estimates(slots: int, seed: int, unlike: float, before: float | None = None) -> list[tuple[float, float | None]]:
    """(clock, time left) after every block of a run on `slots` devices, on a machine that arithmetic does not know.

    A class's folds take exp(N(0, unlike)) times as long as computed, each a tenth more or less; a block has its own
    cost of 20 ms, in which the device idles. Where `before` is given, ledgers have timed each class, at so many times
    the cost that it has now.
    """
    draw, now, seen = random.Random(seed), 0.0, []
    plan, trials = forty()
    speed = {work.key: 3 * draw.lognormvariate(0, unlike) for work in (Work(t.config, SIZE) for t in trials)}
    works = {work.key: work for work in (Work(trial.config, SIZE) for trial in trials)}
    timed = Costs((work, before * computed(work) * speed[key]) for key, work in works.items()) if before else plan.costs
    display = Display(Console(quiet=True), Outlook(plan, Costs(expected=timed.seconds)), lambda: now)
    running: list[tuple[float, int, int]] = []  # end of the next fold, trial, folds left

    def block(trial: Trial) -> float:
        work = Work(trial.config, SIZE)
        return computed(work) * speed[work.key] * draw.lognormvariate(0, 0.1)

    waiting = iter(trials)
    lasts: dict[int, float] = {}

    def start() -> None:
        if trial := next(waiting, None):
            display.saw(trial, "started", 0)
            lasts[trial.number] = block(trial)
            heapq.heappush(running, (now + lasts[trial.number], trial.number, SIZE.subjects))

    for _ in range(slots):
        start()
    while running:
        now, number, left = heapq.heappop(running)
        display.saw(trials[number], "trained", 1, lasts[number])
        seen.append((now, display.time_left()))
        if left > 1:
            lasts[number] = block(trials[number])
            heapq.heappush(running, (now + 0.02 + lasts[number], number, left - 1))
        else:
            display.saw(trials[number], "complete", 0, 0.5)
            start()
    return seen


def right(seen: list[tuple[float, float | None]]) -> int:
    """Of the estimates at 50, 60, ... 90 % of the run, how many are within 30 % of the truth."""
    end = seen[-1][0]
    moments = [
        max((clock, left) for clock, left in seen if clock <= share * end) for share in (0.5, 0.6, 0.7, 0.8, 0.9)
    ]
    return sum(left is not None and abs(left - (end - clock)) <= 0.3 * (end - clock) for clock, left in moments)


@pytest.mark.slow
@pytest.mark.parametrize("slots", [1, 2, 6])
def test_time_left_is_known_within_30_percent_from_the_half_on(slots):
    """In four of five, though arithmetic misjudges classes by a quarter; small ones, which come last, are unseen."""
    found = [right(estimates(slots, seed, unlike=0.25)) for seed in range(20)]
    assert sum(number >= 4 for number in found) >= 16, found
    assert all(right(estimates(slots, seed, unlike=0.0)) == 5 for seed in range(5))


@pytest.mark.parametrize("before", [0.3, 3.0])
def test_time_left_is_that_of_the_machine_as_it_is_now(before):
    """Ledgers have timed every class on an emptier, or on a busier machine."""
    assert all(right(estimates(2, seed, unlike=0.25, before=before)) >= 4 for seed in range(10))


def test_forty_trials_spread_16_fold():
    plan, trials = forty()
    costs = [computed(Work(trial.config, SIZE)) for trial in trials]
    assert (len(trials), plan.folds) == (40, 320)
    assert 10 < costs[0] / costs[-1] < 24


def test_everything_is_counted_and_said():
    plan, trials = forty()
    now = 0.0
    console = Console(record=True, width=200, quiet=True)
    display = Display(console, Outlook(plan, plan.costs), lambda: now)
    assert display.time_left() is None
    with display:
        display.saw(trials[0], "reused", 8)
        display.saw(trials[0], "complete", 0, 0.4)
        display.saw(trials[1], "copied", 8, 900.0)
        display.saw(trials[1], "complete", 0, 0.6)
        display.saw(trials[2], "started", 0)
        now = 60.0
        display.saw(trials[2], "trained", 4, 9.0)
        for part in ("trials 2/40", "1 running", "folds 20/320", "8 from the ledger", "8 copied from other studies"):
            assert part in display.text()
        for part in ("4 folds/min", "best uf1 0.600", "left", "0.01 device-hours spent", "2.00 saved by reuse"):
            assert part in display.text()
        display.saw(trials[2], "failed", 0)
        assert "1 failed" in display.text()
        assert "running" not in display.text()


def test_a_lost_trial_is_still_to_do():
    plan, trials = forty()
    display = Display(Console(quiet=True), Outlook(plan, plan.costs), lambda: 0.0)
    before = sum(display.outlook.seconds())
    display.saw(trials[0], "started", 0)
    display.saw(trials[0], "lost", 0)
    assert sum(display.outlook.seconds()) == pytest.approx(before)
    display.saw(trials[0], "failed", 0)
    assert sum(display.outlook.seconds()) < before


def test_what_follows_from_a_search_is_counted_as_it_is_once_it_has_begun():
    search = {"design": "search", "proposals": 4, "factors": {"epochs": [10, 16], "crop": [16, 24]}}
    stages = {"search": search, "ablate": {"design": "one_at_a_time", "around": "winner", "seeds": 1}}
    given = load_study(READY / "default.yaml", {"stages": stages, "baseline": BASELINE})
    plan = planned(given, SIZE, Costs())
    display = Display(Console(quiet=True), Outlook(plan, plan.costs))
    assert display.text().startswith("trials 0/7 · folds 0/56")  # the winner, and at most two factors set back
    for _ in range(2):
        display.outlook.knows("ablate", 2)
        assert display.text().startswith("trials 0/6 · folds 0/48")
