"""The plan: what a study will train and what it will cost, before anything starts."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

from search_spaces.config import TrialConfig, deciding
from search_spaces.designs import Arm, Around, arms, arms_around, arms_of_best, follows
from search_spaces.errors import UserError
from search_spaces.spec import CARDS, UNNAMED, Fixed, Resources, Search, StudySpec, Top
from study.data.clips import ClipIndex
from study.models.geometry import infeasible
from study.models.sizes import fold_group, gpu_problem, known_size, network_size, trial_bytes
from study.planning.cost_model import Costs, Size, Work
from study.search.space import configuration, known_levels, outside, sample_space
from study.system import hardware
from study.system.hardware import multiplies_bfloat16

_SOME = 50  # configurations of a search's space that stand for it

_MEMORY_ALONE = tuple(name for name in deciding("memory") if name not in deciding("time"))


@dataclass(frozen=True)
class Cost:
    """What the folds of one arm, or of a search, take."""

    trials: int
    folds: int
    parameters: int
    seconds: float  # of one device, all folds
    memory: int  # bytes, of one trial


@dataclass(frozen=True)
class PlannedSearch:
    """A search stage: the mean cost over its space, and how much of it can be built."""

    stage: str
    design: Search
    cost: Cost
    feasible: int  # of `sampled` configurations
    sampled: int
    some: tuple[TrialConfig, ...]  # that it may propose


@dataclass(frozen=True)
class PlannedFollowing:
    """A stage that follows from a search: at most so many arms, at the mean cost over the search's space.

    comparisons: at most so many variants are compared.
    """

    stage: str
    design: Fixed
    comparisons: int
    cost: Cost
    some: tuple[TrialConfig, ...]  # that it may train


@dataclass(frozen=True)
class Plan:
    """The trials of a study and their cost. choosers: so many folds judge in its search; None: all."""

    spec: StudySpec
    size: Size
    costs: Costs
    choosers: int | None
    arms: list[tuple[Arm, Cost]]
    searches: list[PlannedSearch]
    following: list[PlannedFollowing]

    @property
    def open(self) -> list[PlannedSearch | PlannedFollowing]:
        """The stages whose configurations are not known beforehand."""
        return [*self.searches, *self.following]

    @property
    def testers(self) -> int:
        """About how many subjects had no vote in a search, under LOSO exactly; all where nothing was searched."""
        everybody, folds = self.size.subjects, self.size.folds(self.spec.baseline_config())
        return everybody - round(everybody * (self.choosers or 0) / folds)

    @property
    def trials(self) -> int:
        return sum(cost.trials for cost in self._costs())

    @property
    def folds(self) -> int:
        return sum(cost.folds for cost in self._costs())

    @property
    def memory(self) -> int:
        """Bytes that the largest trial needs."""
        return max(cost.memory for cost in self._costs())

    @property
    def warnings(self) -> list[str]:
        """What this machine is bad at: formats that its processor has no units for, trials larger than declared."""
        resources = _resources(self.spec)
        precisions = {config.precision for config in configurations(self.spec)} if not resources.gpu else set()
        found = []
        if "tf32" in precisions:
            found.append("precision: tf32 is a GPU's; on a CPU it is float32")
        if "bfloat16" in precisions and multiplies_bfloat16() is False:
            found.append("precision: bfloat16 takes longer than float32 on this processor, which has no units for it")
        if resources.gpu and not resources.memory and not resources.accelerator and not _card_here():
            found.append(
                f"resources: no GPU is here to ask, {UNNAMED} GiB are assumed; name its model: accelerator=H100"
            )
        if self.memory > resources.host_memory and not resources.gpu:
            need, have = self.memory / 2**30, resources.host_memory / 2**30
            found.append(
                f"resources.memory: a trial takes up to {need:.1f} GiB and is given {have:g}; declare {need:.1f}"
            )
        return found

    def _costs(self) -> list[Cost]:
        return [cost for _, cost in self.arms] + [stage.cost for stage in self.open]


def make_plan(spec: StudySpec, index: ClipIndex, costs: Costs, choosers: int | None = None) -> Plan:
    """The plan of a study on a dataset. Raises UserError with every arm that cannot be built, naming the factor."""
    from study.data.inspection import requirements  # with all readers: the status of a study plans without them

    subjects = set(zip(*(index.table[column].to_pylist() for column in ("dataset", "subject")), strict=True))
    configs = configurations(spec)
    unfit = _unfit_networks(configs, len(index.classes), bool(_resources(spec).gpu))
    if problems := unbuildable(spec) + unfit + requirements.problems(configs, index):
        raise UserError(problems)
    datasets = len({dataset for dataset, _ in subjects})
    size = Size(len(subjects), index.table.num_rows, len(index.classes), datasets)
    return planned(spec, size, costs, choosers)


def planned(spec: StudySpec, size: Size, costs: Costs, choosers: int | None = None) -> Plan:
    """The plan of a study that can be built, on data of this size."""
    return Plan(
        spec,
        size,
        costs,
        choosers,
        [(arm, _cost(arm.config, len(arm.seeds), len(arm.seeds), _resources(spec), size, costs)) for arm in arms(spec)],
        [_planned_search(spec, stage, design, size, costs, choosers) for stage, design in _searches(spec)],
        [
            _planned_following(spec, stage, d, size, costs)
            for stage, d in spec.stages.items()
            if isinstance(d, Fixed) and follows(d)
        ],
    )


def unbuildable(spec: StudySpec) -> list[str]:
    """Every arm whose network would shrink to nothing, and every search that could propose no other, by factor."""
    problems = [f"{arm.stage}, arm {arm.name}: {problem}" for arm in arms(spec) for problem in infeasible(arm.config)]
    problems += [problem for stage, design in _searches(spec) for problem in _search_problems(spec, stage, design)]
    return list(dict.fromkeys(problems))


def _unfit_networks(configs: Sequence[TrialConfig], n_classes: int, on_gpu: bool) -> list[str]:
    """What is wrong with the networks that are the user's own."""
    found = []
    for config in configs:
        try:
            if config.own_network:
                network_size(config, n_classes)
                found += [problem] if on_gpu and (problem := gpu_problem(config, n_classes)) else []
        except UserError as error:
            found += error.problems
    return list(dict.fromkeys(found))


def configurations(spec: StudySpec) -> list[TrialConfig]:
    """Every configuration of the fixed designs, and those of each search's space (a sample where it is large)."""
    baseline = spec.baseline_config()
    searched = [configuration(baseline, levels) for _, design in _searches(spec) for levels in sample_space(design)]
    followed = [config for stage, design in spec.stages.items() if follows(design) for config in _possible(spec, stage)]
    return [arm.config for arm in arms(spec)] + searched + followed


def problems_of(config: TrialConfig) -> list[str]:
    """Why a configuration cannot be built; empty when it can."""
    return config.conflicts() or infeasible(config)


def fold_cost(config: TrialConfig, n_clips: int, n_classes: int) -> float:
    """Multiply-adds of training one fold, forward passes only: the unit of the virtual clock."""
    return float(network_size(config, n_classes).multiply_adds * n_clips * config.epochs)


def _searches(spec: StudySpec) -> list[tuple[str, Search]]:
    return [(stage, design) for stage, design in spec.stages.items() if isinstance(design, Search)]


def _search_problems(spec: StudySpec, stage: str, design: Search) -> list[str]:
    baseline = spec.baseline_config()
    problems = [f"baseline: {problem}" for problem in infeasible(baseline)]
    strange = outside(design, baseline)
    for name, levels in () if strange else known_levels(design, baseline).items():
        if name != "the baseline":
            strange += [f"{name}: {problem}" for problem in problems_of(configuration(baseline, levels))]
    problems += [f"stages.{stage}.{problem}" for problem in strange]
    if not any(not problems_of(configuration(baseline, levels)) for levels in sample_space(design)):
        problems.append(f"stages.{stage}.factors: no combination of the levels can be built")
    return problems


def _planned_search(
    spec: StudySpec, stage: str, design: Search, size: Size, costs: Costs, choosers: int | None
) -> PlannedSearch:
    sampled = [configuration(spec.baseline_config(), levels) for levels in sample_space(design)]
    feasible = [config for config in sampled if not problems_of(config)]
    each = _cost_of_each(feasible, design.seeds, _resources(spec), size, costs, choosers)
    mean = sum(cost.seconds for cost in each) / len(each)
    whole = Cost(
        design.proposals,
        design.proposals * each[0].folds,
        max(cost.parameters for cost in each),
        design.proposals * mean,
        max(cost.memory for cost in each),
    )
    return PlannedSearch(stage, design, whole, len(feasible), len(sampled), tuple(feasible[:_SOME]))


def _planned_following(spec: StudySpec, stage: str, design: Fixed, size: Size, costs: Costs) -> PlannedFollowing:
    some = _possible(spec, stage)
    arms = _followed(spec, stage)
    most = max(sum(len(arm.seeds) for arm in own) for own in arms)
    comparisons = max(sum(arm.name != "null" and arm.config.control == "none" for arm in own[1:]) for own in arms)
    each = _cost_of_each(some, 1, _resources(spec), size, costs)
    seconds = most * sum(cost.seconds for cost in each) / len(each)
    parameters, memory = max(cost.parameters for cost in each), max(cost.memory for cost in each)
    cost = Cost(most, most * each[0].folds, parameters, seconds, memory)
    return PlannedFollowing(stage, design, comparisons, cost, some[:_SOME])


def _possible(spec: StudySpec, stage: str) -> tuple[TrialConfig, ...]:
    """Configurations that a stage may train which follows from a search."""
    found = {arm.config.key(): arm.config for arms in _followed(spec, stage) for arm in arms}
    return tuple(config for config in found.values() if not problems_of(config))


def _followed(spec: StudySpec, stage: str) -> list[list[Arm]]:
    """The arms of such a stage for some results that the search may have."""
    design, baseline = spec.design(stage), spec.baseline_config()
    search = [before for before in spec.before(stage).values() if isinstance(before, Search)][-1]
    sampled = (configuration(baseline, levels) for levels in sample_space(search))
    found = list(islice((config for config in sampled if not problems_of(config)), _SOME))
    if isinstance(design, Top):
        best = {str(number): config for number, config in enumerate(found) if config != baseline}
        return [arms_of_best(stage, design, baseline, dict(islice(best.items(), design.best)))]
    assert isinstance(design, Around)
    return [arms_around(stage, design, winner, baseline) for winner in found]


def _cost_of_each(
    configs: Sequence[TrialConfig],
    seeds: int,
    resources: Resources,
    size: Size,
    costs: Costs,
    choosers: int | None = None,
) -> list[Cost]:
    """Of a trial of each. A thousand configurations fall into a few classes of cost, each of which is priced once."""
    known: dict[Any, Cost] = {}
    priced = []
    for config in configs:
        # What the optimiser keeps of every weight takes memory, but no time: whether it is there at all.
        like = Work(config, size).key, *(bool(getattr(config, name)) for name in _MEMORY_ALONE)
        if like not in known:
            known[like] = _cost(config, 1, seeds, resources, size, costs, choosers)
        priced.append(known[like])
    return priced


def _resources(spec: StudySpec) -> Resources:
    return spec.resources.where(hardware.here().gpus > 0)


@cache
def _card_here() -> int:
    """Bytes of this machine's GPU; 0 where it has none."""
    if not hardware.here().gpus:
        return 0
    import torch

    cards = range(torch.cuda.device_count())
    return max((torch.cuda.get_device_properties(number).total_memory for number in cards), default=0)


def _card(resources: Resources) -> float:
    """Bytes of the GPU that a plan is for: the model that is named, this machine's, or one that is assumed."""
    if resources.accelerator:
        return CARDS[resources.accelerator] * 2**30
    return _card_here() or UNNAMED * 2**30


def _cost(
    config: TrialConfig,
    trials: int,
    seeds: int,
    resources: Resources,
    size: Size,
    costs: Costs,
    choosers: int | None = None,
) -> Cost:
    held_out = choosers or size.folds(config)
    folds = seeds * held_out
    seconds = folds * costs.seconds(Work(config, size))
    network = known_size(config, size.classes)
    if network is None:  # `status` beside a study whose own network is not at hand
        return Cost(trials, folds, 0, seconds, 0)
    device, given = (
        ("cuda", resources.card_memory(_card(resources))) if resources.gpu else ("cpu", resources.host_memory)
    )
    group = fold_group(config, size.classes, given, device, held_out)
    memory = trial_bytes(config, size.classes, group, size.clips, device)
    return Cost(trials, folds, network.parameters, seconds, memory)
