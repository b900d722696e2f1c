"""The forecast of a plan: which of its folds are in ledgers already, and what the others will take."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cache
from typing import Any

from search_spaces.network_inputs import data_parts
from study.data.clips import ClipNames
from study.ledger.fold_reuse import Library
from study.ledger.schema import ledger_path
from study.ledger.snapshot import snapshot
from study.planning.cost_model import Work, makespan
from study.planning.plan import Plan, planned
from study.planning.prepared_study import Study, cached_clips
from study.planning.remaining_work import Outlook
from study.planning.timing import measure
from study.system import hardware
from study.trials.fold_identity import Arithmetic
from study.trials.trial import Trial, arithmetic_of, device_here, trial_keys


@dataclass(frozen=True)
class Forecast:
    """What is left to train of a plan. `seconds`: of device time; `wall`: on `slots` devices of this machine.

    slots: 0 where this machine does not hold one trial; `wall` is then that of one device.
    here: folds in this study's ledger, by (stage, arm). elsewhere: those that will be copied, by (stage, arm), then by
    study. never: folds of pruned trials, which nobody trains. timed, measured: cost classes that a ledger or a few
    steps here have timed, of `classes`.
    """

    plan: Plan
    here: Counter[tuple[str, str | None]]
    elsewhere: dict[tuple[str, str | None], Counter[str]]
    never: int
    seconds: float
    wall: float
    slots: int
    classes: int
    timed: int
    measured: int

    @property
    def copied(self) -> Counter[str]:
        """Folds to be copied, by study."""
        return sum(self.elsewhere.values(), Counter[str]())

    def there(self, stage: str, arm: str | None) -> int:
        """Folds of an arm, or of a search (None), that are not to be trained."""
        return self.here[stage, arm] + self.elsewhere.get((stage, arm), Counter()).total()

    def there_in(self, stage: str) -> int:
        """Folds of a stage that are not to be trained."""
        names = {name for name in [*self.here, *self.elsewhere] if name[0] == stage}
        return sum(self.there(*name) for name in names)

    @property
    def to_train(self) -> int:
        return self.plan.folds - self.here.total() - self.copied.total() - self.never


def forecast(study: Study, slots: int | None = None) -> Forecast:
    """What is left of a study and what it takes, as far as ledgers, the cache and a few steps here can tell."""
    here = hardware.here()
    resources = study.spec.resources.where(here.gpus > 0)
    costs, works = study.plan.costs, _works(study.plan)
    timed = sum(costs.timed(work) for work in works)
    measured = measure(costs, works, resources) if here.slots(resources) else 0  # as many threads may end the process
    plan = planned(study.spec, study.plan.size, costs, study.plan.choosers)  # the same, with what was measured
    there = _There(study)
    outlook = Outlook(plan, costs)
    never = 0
    for trial in there.trials():
        missing = outlook.folds(trial) - there.look_up(trial)
        pruned = trial.number in there.pruned
        never += missing * pruned
        outlook.saw(trial, missing * (not pruned))
    slots = slots or here.slots(resources)
    seconds = outlook.seconds()
    return Forecast(
        plan,
        there.here,
        there.elsewhere,
        never,
        sum(seconds),
        makespan(seconds, slots),
        slots,
        len(works),
        timed,
        measured,
    )


def _works(plan: Plan) -> dict[Work, float]:
    """One work of each cost class and its folds; a search's space is represented by some of its configurations."""
    planned = [(arm.config, float(cost.folds)) for arm, cost in plan.arms]
    planned += [(config, s.cost.folds / len(s.some)) for s in plan.open for config in s.some]
    one: dict[tuple[Any, ...], Work] = {}
    folds: dict[Work, float] = defaultdict(float)
    for config, number in planned:
        work = Work(config, plan.size)
        folds[one.setdefault(work.key, work)] += number
    return folds


class _There:
    """The folds of a study's trials that are in its ledger, and those that are in another's and will be copied."""

    def __init__(self, study: Study) -> None:
        self.study, self.library = study, Library(study.spec.storage, study.spec.name)
        self.record = snapshot(study.folder, folds="keys") if ledger_path(study.folder).is_file() else None
        self.clips = self._clips()
        self.pruned = {row.number for row in self.record.trials if row.state == "pruned"} if self.record else set()
        self.here: Counter[tuple[str, str | None]] = Counter()
        self.elsewhere: dict[tuple[str, str | None], Counter[str]] = defaultdict(Counter)
        self._device = cache(device_here)

    def trials(self) -> list[Trial]:
        """Those of the arms, those that a search has proposed, and those that followed from it."""
        arms = [arm for arm, _ in self.study.plan.arms]
        fixed = [Trial(0, arm.stage, arm.name, arm.config, (seed,)) for arm in arms for seed in arm.seeds]
        known = {arm.stage for arm in arms}
        begun = [row.trial for row in self.record.trials] if self.record else []
        return fixed + [trial for trial in begun if trial.stage not in known]

    def look_up(self, trial: Trial) -> int:
        """How many of its folds are there."""
        if self.clips is None or not {"index", *data_parts(trial.config)} <= self.clips.digests.keys():
            return 0
        keys = trial_keys(trial, self.clips)
        own = [key for key in keys if self.record and key in self.record.keys]
        others = [key for key in keys if key in self.library and key not in own]
        name = trial.stage, trial.arm
        self.here[name] += len(own)
        if others:
            arithmetic = self._arithmetic(trial)
            studies = [self.library.study(key, arithmetic) for key in others]
            self.elsewhere[name].update(study for study in studies if study)
            return len(own) + sum(study is not None for study in studies)
        return len(own)

    def _arithmetic(self, trial: Trial) -> Arithmetic:
        resources = self.study.spec.resources.where(hardware.here().gpus > 0)
        assert self.clips is not None
        return arithmetic_of(trial, self._device(resources), self.clips, resources)

    def _clips(self) -> ClipNames | None:
        """Ids and digests as the ledger or the cache knows them; None where the videos were never read."""
        if self.record is None:
            return cached_clips(self.study)
        return self.record.clips
