"""What a race saves and what it costs, on simulated score tables (60 configurations x 26 subjects).

    python -m benchmarks.race [REPETITIONS]

Saved: share of the folds of all configurations that are never trained (blocks of 4, 4, 8, ... subjects unless named).
Regret: UF1 on all subjects of the best configuration of the table less that of the one chosen, which without a race is
0. True: the same of the configurations' true skills, as UF1 and relative to no race. Pruners of Optuna are asked after
every fold (they save most so) of trials that run at the same time; theirs and ASHA's scores are the UF1 of the clips so
far, for WilcoxonPruner the accuracy of the subject (ties broken at random: with ties scipy takes seconds a look).
"""

import heapq
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate, product

import numpy as np
import optuna

from analysis.stats.metrics import Floats, accuracy, uf1
from benchmarks.score_tables import POPULATION, SKILL, Counts, runs
from search_spaces.spec import Race
from study.search.virtual_clock import VirtualClock
from study.trials.race import block_sizes, looks

SEED = 20268
P, FIRST = Race().p, Race().first
CONFIGURATIONS, SUBJECTS = 60, 26
REPETITIONS = 200
SPREAD = {"a search's": 0.28, "close": 0.11, "equal": 0.0}  # SD of skills: true UF1 with an SD of .05, .02, 0
PS, FIRSTS, SLOTS = (0.05, 0.1, 0.2), (4, 5, 6, 8), (1, 8, 16)
COSTS = 0.9  # SD of the logarithm of a fold's cost


@dataclass
class Table:
    """What every configuration would predict for every subject: counts [M, N, 3, 3], skills and costs of a fold [M]."""

    counts: Counts
    skills: Floats
    costs: Floats
    found: dict[tuple[int, int], Floats] = field(default_factory=dict)

    @classmethod
    def draw(cls, repetition: int, spread: float) -> "Table":
        generator = np.random.default_rng([SEED, repetition])
        skills = SKILL + spread * generator.standard_normal(CONFIGURATIONS)
        costs = np.exp(COSTS * generator.standard_normal(CONFIGURATIONS))
        table = POPULATION[SUBJECTS][generator.permutation(len(POPULATION[SUBJECTS]))]
        people = table[generator.integers(0, len(table), SUBJECTS)]
        return cls(runs(people, generator, skills, 1)[:, :, 0], skills, costs)

    @property
    def scores(self) -> Floats:
        """UF1 on all subjects [M]."""
        return uf1(self.counts.sum(1))

    def looks(self, mine: int, opponent: int) -> Floats:
        key = mine, opponent
        if key not in self.found:
            self.found[key] = np.array(list(looks(self.counts[mine], self.counts[opponent])))
        return self.found[key]


@dataclass(frozen=True)
class Raced:
    """Subjects that each configuration keeps [M]; those that keep all of them are complete."""

    kept: list[int]

    @property
    def complete(self) -> list[int]:
        return [m for m, kept in enumerate(self.kept) if kept == SUBJECTS]

    def saved(self, ends: Sequence[int]) -> float:
        """Share of folds that are never trained if blocks end after these subjects."""
        trained = [next(end for end in ends if end >= kept) for kept in self.kept]
        return 1 - sum(trained) / (SUBJECTS * len(self.kept))


def race(table: Table, slots: int, p: float, first: int) -> Raced:
    """Our race: opponents are the best complete trials that the virtual clock lets a proposal know."""
    clock, kept, scores, best = VirtualClock(slots), [], table.scores, None
    for number in range(len(scores)):
        while (ended := clock.next_end()) is not None:
            if kept[ended] == SUBJECTS and (best is None or scores[ended] > scores[best]):
                best = ended
        stops = np.flatnonzero(table.looks(number, best)[first - 1 :] <= p) if best is not None else ()
        kept.append(first + int(stops[0]) if len(stops) else SUBJECTS)
        clock.begin(number)
        clock.finish(number, kept[number] * table.costs[number])
    return Raced(kept)


def by_optuna(table: Table, slots: int, pruner: optuna.pruners.BasePruner, by_subject: bool) -> Raced:
    """Optuna's pruners: they see every fold of every trial that is done by then, trials running side by side."""
    study = optuna.create_study(direction="maximize", pruner=pruner)
    untied = 1e-6 * np.random.default_rng(SEED).random(table.counts.shape[:2])
    reported = accuracy(table.counts) + untied if by_subject else uf1(table.counts.cumsum(1))
    total = reported.mean(1) if by_subject else table.scores
    trials, kept, numbers = [], [0] * len(total), iter(range(len(total)))
    queue: list[tuple[float, int]] = []

    def start(now: float) -> None:
        if (number := next(numbers, None)) is not None:
            trials.append(study.ask())
            heapq.heappush(queue, (now + table.costs[number], number))

    for _ in range(slots):
        start(0.0)
    while queue:
        now, number = heapq.heappop(queue)
        trials[number].report(float(reported[number, kept[number]]), kept[number])
        kept[number] += 1
        if kept[number] < SUBJECTS and not trials[number].should_prune():
            heapq.heappush(queue, (now + table.costs[number], number))
            continue
        if kept[number] < SUBJECTS:
            study.tell(trials[number], state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trials[number], float(total[number]))
        start(now)
    return Raced(kept)


@lru_cache
def true_uf1() -> Callable[[Floats], Floats]:
    """UF1 of the expected confusion by skill, interpolated."""
    skills = SKILL + np.linspace(-1.5, 1.5, 13)
    total = sum(
        runs(POPULATION[SUBJECTS], np.random.default_rng([SEED, repeat, 1]), skills, 2).sum((1, 2))
        for repeat in range(60)
    )
    return lambda skill: np.interp(skill, skills, uf1(total))


def summary(tables: list[Table], raced: list[Raced], ends: Sequence[int]) -> tuple[float, float, float, float, float]:
    """Mean saved, regret with its standard error, true regret relative to no race, and share stopped."""
    saved, regret, true, stopped = [], [], [], []
    for table, one in zip(tables, raced, strict=True):
        scores = table.scores
        chosen, best = max(one.complete, key=scores.__getitem__), int(scores.argmax())
        saved.append(one.saved(ends))
        regret.append(scores[best] - scores[chosen])
        difference = true_uf1()(table.skills[[best, chosen]])
        true.append(difference[0] - difference[1])
        stopped.append(1 - len(one.complete) / len(one.kept))
    error = np.std(regret, ddof=1) / np.sqrt(len(regret))
    return tuple(map(float, (np.mean(saved), np.mean(regret), error, np.mean(true), np.mean(stopped))))


def ends(size: int | None = None) -> list[int]:
    """Subjects after which blocks end: 4, 8, 16, ... or every `size`."""
    return list(accumulate(block_sizes(SUBJECTS))) if size is None else [*range(size, SUBJECTS, size), SUBJECTS]


def line(name: str, tables: list[Table], raced: list[Raced], blocks: Sequence[int]) -> None:
    saved, regret, error, true, stopped = summary(tables, raced, blocks)
    shown = f"{100 * saved:5.1f} %  {regret:.4f} ±{error:.4f}  {true:+.4f}  {100 * stopped:5.1f} %"
    print(f"{name:<42} {shown}  {len(tables):4d}", flush=True)


def headed(title: str) -> None:
    print(f"\n{title:<42} {'saved':>7}  {'regret ± s.e.':>14}  {'true':>7}  {'stopped':>7}  {'repetitions':>4}")


def others() -> Iterator[tuple[str, float, bool, Callable[[], optuna.pruners.BasePruner]]]:
    """Name, share of the repetitions, whether it sees subjects one by one, and the pruner."""
    pruners = optuna.pruners
    yield "Optuna MedianPruner", 1.0, False, lambda: pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=3)
    yield "ASHA over folds, reduction 2", 1.0, False, lambda: pruners.SuccessiveHalvingPruner(FIRST, 2)
    yield "ASHA over folds, reduction 4", 1.0, False, lambda: pruners.SuccessiveHalvingPruner(FIRST, 4)
    yield "Optuna WilcoxonPruner, p .1", 0.1, True, lambda: pruners.WilcoxonPruner(p_threshold=0.1)


def equals(tables: list[Table], p: float, first: int) -> float:
    """Share of configurations stopped by an equal one that no race has chosen."""
    found = [table.looks(m, m + 1)[first - 1 :] <= p for table in tables for m in range(0, CONFIGURATIONS, 2)]
    return float(np.mean([stops.any() for stops in found]))


def our_race(tables: list[Table], settings: Iterable[tuple[float, int, int]]) -> None:
    headed("race: p, first look, virtual slots")
    for p, first, slots in settings:
        name = f"p {p:g}, first {first}, {slots} slots{' (default)' if (p, first) == (P, FIRST) else ''}"
        line(name, tables, [race(table, slots, p, first) for table in tables], ends())


def our_blocks(tables: list[Table]) -> None:
    headed(f"blocks of so many subjects (p {P}, first {FIRST}, 8 slots)")
    raced = [race(table, 8, P, FIRST) for table in tables]
    for size in (1, 4, 8, 16, SUBJECTS):
        line(f"{size}", tables, raced, ends(size))
    line("4, 4, 8, ...", tables, raced, ends())


def their_pruners(tables: list[Table]) -> None:
    headed("others, looked at after every fold")
    line("no race", tables, [Raced([SUBJECTS] * CONFIGURATIONS)] * len(tables), ends())
    for name, share, by_subject, pruner in others():
        some = tables[: max(2, round(share * len(tables)))]
        for slots in SLOTS:
            raced = [by_optuna(table, slots, pruner(), by_subject) for table in some]
            line(f"{name}, {slots} slots", some, raced, ends(1))


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    repetitions, began = int(sys.argv[1]) if len(sys.argv) > 1 else REPETITIONS, time.perf_counter()
    print(f"{CONFIGURATIONS} configurations x {SUBJECTS} subjects, {repetitions} repetitions, seed {SEED}")
    for kind, spread in SPREAD.items():
        tables = [Table.draw(repetition, spread) for repetition in range(repetitions)]
        best = np.mean([table.scores.max() for table in tables])
        apart = np.std(true_uf1()(np.concatenate([table.skills for table in tables])))
        print(f"\n== {kind} configurations: SD of true UF1 {apart:.3f}, best of a table {best:.3f}")
        if kind == "a search's":
            our_race(tables, product(PS, FIRSTS, SLOTS))
            our_blocks(tables)
            their_pruners(tables)
        else:
            our_race(tables, product(PS, FIRSTS, (8,)))
    shares = ", ".join(f"{100 * equals(tables, p, FIRST):.0f} % at p {p:g}" for p in PS)
    print(f"\na configuration that equals an opponent drawn at random is stopped in {shares} (first {FIRST})")
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
