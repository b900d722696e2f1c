"""Stages that follow from those before them: the best of a search on fresh seeds, and changes around the winner.

What they follow from is what was told when they began. It is written down then and never changes: a failed trial that
is run again later changes no arm. Where some of the subjects choose, a stage that trained them all is judged by these.
"""

from collections import defaultdict
from collections.abc import Callable
from statistics import fmean

from analysis.stats.metrics import uf1
from search_spaces.config import TrialConfig
from search_spaces.designs import Arm, Around, arms_around, arms_of_best
from search_spaces.spec import Search, StudySpec, Top
from study.ledger.writer import Ledger
from study.planning.plan import problems_of
from study.scheduling.scheduler import FixedDesign
from study.search.virtual_clock import Wait
from study.trials.subject_order import Course
from study.trials.trial import Trial

Planned = tuple[Arm, str | None]  # an arm, and why it cannot run if it cannot


class Following:
    """The trials of a stage whose arms are known when all trials of the stages before it have ended."""

    def __init__(
        self,
        stage: str,
        spec: StudySpec,
        ledger: Ledger,
        course: Course,
        cost: Callable[[TrialConfig], float],
        began: Callable[[list[Planned]], None],
    ) -> None:
        self.stage, self.spec, self.ledger, self.course = stage, spec, ledger, course
        self.cost, self.began = cost, began
        self.listed: FixedDesign | None = None

    def next(self) -> Trial | None:
        """The next trial that is not done; raises Wait while one before runs."""
        if self.listed is None:
            arms = arms_that_follow(self.stage, self.spec, self.ledger, self.course) or self._begin()
            self.listed = FixedDesign([arm for arm, problem in arms if problem is None], self.ledger, self.cost)
        return self.listed.next()

    def _begin(self) -> list[Planned]:
        """Write down what this stage follows from, and its trials."""
        before = [p.trial.number for name in self.spec.before(self.stage) for p in self.ledger.proposals(name)]
        if any(self.ledger.is_open(trial) for trial in before):
            raise Wait
        with self.ledger.transaction():
            for trial in before:
                if outcome := self.ledger.outcome(trial):
                    self.ledger.tell(trial, outcome)
            arms = _arms(self.stage, self.spec, self.ledger, self.course)
            for arm, problem in arms:
                for seed in arm.seeds if problem is None else ():
                    self.ledger.propose(self.stage, arm.name, arm.config, (seed,))
            self.began(arms)
        return arms


def arms_that_follow(stage: str, spec: StudySpec, ledger: Ledger, course: Course) -> list[Planned]:
    """The arms of such a stage; none before it has begun. course: what chooses."""
    return _arms(stage, spec, ledger, course) if ledger.proposals(stage) else []


def _arms(stage: str, spec: StudySpec, ledger: Ledger, course: Course) -> list[Planned]:
    design, baseline = spec.design(stage), spec.baseline_config()
    if isinstance(design, Top):
        arms = arms_of_best(stage, design, baseline, _best(stage, design, spec, ledger, course))
    else:
        assert isinstance(design, Around)
        arms = arms_around(stage, design, _winner(stage, spec, ledger, course), baseline)
    return [(arm, "; ".join(problems_of(arm.config)) or None) for arm in arms]


def _best(stage: str, design: Top, spec: StudySpec, ledger: Ledger, course: Course) -> dict[str, TrialConfig]:
    """The best configurations of the last search before a stage, the baseline left out, by the names of their arms."""
    search = [name for name, before in spec.before(stage).items() if isinstance(before, Search)][-1]
    scored = [
        (score, trial)
        for score, trial in _scores(search, spec, ledger, course)
        if trial.config != spec.baseline_config()
    ]
    return {f"trial {trial.number}": trial.config for _, trial in scored[: design.best]}


def _winner(stage: str, spec: StudySpec, ledger: Ledger, course: Course) -> TrialConfig:
    """The best configuration of the stage before one; the baseline where nothing was complete there."""
    scored = _scores(list(spec.before(stage))[-1], spec, ledger, course)
    return scored[0][1].config if scored else spec.baseline_config()


def _scores(stage: str, spec: StudySpec, ledger: Ledger, course: Course) -> list[tuple[float, Trial]]:
    """UF1 as judged, mean over seeds, and the first trial of each configuration that was complete, best first.

    Ties go to the lower number; none of them are the null arm, controls, and arms with a protocol of their own.
    """
    runs: dict[tuple[str | None, str], list[Trial]] = defaultdict(list)
    for trial in (proposal.trial for proposal in ledger.proposals(stage)):
        if trial.competes and trial.config.protocol == spec.protocol and ledger.told(trial.number):
            runs[trial.arm, trial.config.key()].append(trial)
    scores = ((_score(trials, ledger, course), trials[0]) for trials in runs.values())
    found = [(score, trial) for score, trial in scores if score is not None]
    return sorted(found, key=lambda pair: (-pair[0], pair[1].number))


def _score(trials: list[Trial], ledger: Ledger, course: Course) -> float | None:
    """Mean UF1 of these trials, of a search as it was told; None unless all are complete."""
    told = [(trial, outcome) for trial in trials if (outcome := ledger.told(trial.number))]
    values = [
        outcome.value if trial.arm is None or ledger.choosers is None else _judged(trial, ledger, course)
        for trial, outcome in told
        if outcome.state == "complete" and outcome.value is not None
    ]
    return fmean(values) if len(values) == len(trials) else None


def _judged(trial: Trial, ledger: Ledger, course: Course) -> float:
    """UF1 on the subjects that choose, of a trial of one seed that has trained all."""
    return float(uf1(course.counts(trial.seeds, ledger.predictions(trial), len(course.parts)).sum(0)))
