"""The ledger: a study's memory. One SQLite file, one writer, a block a transaction."""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from search_spaces.config import FACTORS, TrialConfig
from search_spaces.errors import UserError
from search_spaces.files import escaped
from study.ledger.fold_reuse import Copy
from study.ledger.lock import refuse_network, take
from study.ledger.schema import SCHEMA, check_version, is_blank, ledger_path, opened
from study.ledger.snapshot import trial_of
from study.trials.fold_identity import changed_code, code, provenance, read_arithmetic
from study.trials.trial import Done, FoldResult, Trial

# Errors of attempts: the trial's process was killed, or all that ran was left.
LOST, LEFT = "its process died", "left"
_OLDER_SOURCE = (
    "is that of the factory's module alone, as an older losolab kept it: folds of an edited helper module cannot be "
    "told from others; give the study a new name, and they are trained again, with all that the network is made of in "
    "their keys"
)


@dataclass(frozen=True)
class Proposal:
    """A trial as the ledger has it. `levels` and `rejected` are a search's asks, by factor; `opponent` is a trial."""

    trial: Trial
    number: int  # within its stage
    levels: dict[str, Any] | None
    rejected: tuple[dict[str, Any], ...]
    opponent: int | None


@dataclass(frozen=True)
class Outcome:
    """How a trial ended: complete, pruned or failed; `kept` folds count.

    value: UF1, mean over seeds; of a pruned trial what is imputed to it and told to Optuna, which is no result.
    """

    state: str
    kept: int
    value: float | None
    why: str | None = None


@dataclass(frozen=True)
class StudyRecord:
    """A study as the ledger keeps it: its file, what may not change in it, and what its readers have to know."""

    name: str
    file: str  # as given
    resolved: dict[str, Any]
    identity: dict[str, Any]
    description: dict[str, Any]


class _Writer(sqlite3.Connection):
    """A connection that says of a full disk what to do."""

    def execute(self, *statement: Any) -> sqlite3.Cursor:
        try:
            return super().execute(*statement)
        except sqlite3.OperationalError as problem:
            if problem.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
                raise
            raise UserError(
                f"the ledger cannot be written ({problem}); every block until now is in it: make space on its disk, "
                "and the same command goes on from there"
            ) from None


class Ledger:
    """The one writer's view of a study folder. Use it as a context manager: it holds the study's lock for its life."""

    def __init__(self, folder: Path, choosers: int | None = None) -> None:
        refuse_network(folder)
        folder.mkdir(parents=True, exist_ok=True)
        opened.add(folder)
        self.folder, self.mixed = folder, False
        self.choosers = choosers  # how many of the first parts a search's trials hold out; None: all
        self._lock = take(folder)
        self.db: sqlite3.Connection = sqlite3.connect(
            ledger_path(folder), isolation_level=None, timeout=60, factory=_Writer
        )
        self.db.row_factory = sqlite3.Row
        try:
            blank = is_blank(self.db, ledger_path(folder))
            self.db.execute("pragma journal_mode = wal")
            self.db.execute("pragma synchronous = full")
            if blank:
                self.db.executescript(f"begin; {SCHEMA} commit;")
            check_version(self.db, ledger_path(folder))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.db.close()
        self._lock.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing of what is written inside."""
        self.db.execute("begin immediate")
        try:
            yield
        except BaseException:
            if self.db.in_transaction:  # a full disk ends it by itself
                self.db.execute("rollback")
            raise
        self.db.execute("commit")

    def begin(self, study: StudyRecord, *, accept_code: bool = False, mixed: bool = False) -> None:
        """Write the study down, or check that the one written down is this one. Raises UserError where it is not.

        `identity["data"]` holds digests by part of the data: arms that are added may see parts that no arm saw before.
        mixed: folds of several arithmetics may stand beside each other, now and later in this process.
        """
        self.mixed = mixed
        resolved, description = json.dumps(study.resolved), json.dumps(study.description)
        row = self.db.execute("select identity, code from study").fetchone()
        if row is None:
            made_by = {"code": json.dumps(code()), "provenance": json.dumps(provenance()), "began": time.time()}
            given = {"name": study.name, "file": study.file, "identity": json.dumps(study.identity)}
            self._insert("into study", **given, resolved=resolved, description=description, **made_by)
            return
        begun = json.loads(row["identity"])
        for name, own in begun["data"].items():
            if name.startswith("source of ") and isinstance(own, str):
                raise UserError(f"{self.folder}: {name} {_OLDER_SOURCE}")
        trained = self.db.execute("select arithmetic from fold limit 1").fetchone()
        if problems := differences(*_comparable(begun, study.identity, trained and trained["arithmetic"], mixed)):
            raise UserError([f"{self.folder}: {p}; {_remedy(p)}" for p in problems])
        if (changed := changed_code(json.loads(row["code"]))) and not accept_code:
            raise UserError(
                f"{self.folder}: the code that trains has changed since this study began and TRAINING_VERSION has not "
                f"({', '.join(changed)}); give the study a new name, or go on with --accept-code, which marks the folds"
            )
        kept = {"arithmetic": begun["arithmetic"]} if trained and "arithmetic" in begun else {}
        identity = json.dumps(study.identity | kept | {"data": begun["data"] | study.identity["data"]})
        values = (study.file, resolved, identity, description)
        self.db.execute("update study set file=?, resolved=?, identity=?, description=?", values)

    def add_sources(self, sources: dict[str, Any]) -> None:
        """Write down what networks are made of that the study did not know of when it began."""
        identity = json.loads(self.db.execute("select identity from study").fetchone()["identity"])
        if new := {name: own for name, own in sources.items() if name not in identity["data"]}:
            changed = identity | {"data": identity["data"] | new}
            self.db.execute("update study set identity=?", (json.dumps(changed),))

    def resolved(self) -> dict[str, Any] | None:
        """The study as it was last written down, None before it began."""
        row = self.db.execute("select resolved from study").fetchone()
        return json.loads(row["resolved"]) if row else None

    def added(self) -> list[str]:
        """What was added to the study after it had begun (scheduling.late_additions), as far as it is written down."""
        row = self.db.execute("select description from study").fetchone()
        return list(json.loads(row["description"]).get("added", [])) if row else []

    def propose(
        self,
        stage: str,
        arm: str | None,
        config: TrialConfig,
        seeds: tuple[int, ...],
        levels: dict[str, Any] | None = None,
        rejected: Iterable[dict[str, Any]] = (),
        opponent: int | None = None,
    ) -> Trial:
        """Write a trial down before it is handed out, at its stage's next number; one already there is returned."""
        row = self.db.execute(
            "select trial from proposal where stage=? and arm=? and key=? and seeds=?",
            (stage, arm, config.key(), json.dumps(seeds)),
        ).fetchone()
        first = self.choosers if arm is None else None
        if row:
            return Trial(row["trial"], stage, arm, config, seeds, parts=first)
        number = self.db.execute("select count(*) from proposal where stage=?", (stage,)).fetchone()[0]
        trial = self._insert(
            "into proposal",
            stage=stage,
            number=number,
            arm=arm,
            configuration=json.dumps(config.explicit()),
            key=config.key(),
            seeds=json.dumps(seeds),
            levels=None if levels is None else json.dumps(levels),
            rejected=json.dumps(list(rejected)),
            opponent=opponent,
        )
        return Trial(trial, stage, arm, config, seeds, parts=first)

    def proposals(self, stage: str) -> list[Proposal]:
        """The trials of a stage, by number."""
        rows = self.db.execute("select * from proposal where stage=? order by number", (stage,))
        return [_proposal(row, self.choosers) for row in rows]

    def trials(self) -> list[Trial]:
        """Every trial that was written down, in that order."""
        rows = self.db.execute("select * from proposal order by trial")
        return [trial_of(row, self.choosers) for row in rows]

    def attempt(self, trial: int) -> int:
        """Note that a trial starts; returns the attempt's id."""
        return self._insert("into attempt", trial=trial, provenance=json.dumps(provenance()), began=time.time())

    def losses(self, trial: int) -> int:
        """How often a trial's process died, in this run and before, since an attempt brought a new fold or failed."""
        query = """select count(*) from attempt where trial=? and error=? and id >
            (select ifnull(max(id), 0) from attempt where trial=? and (trained > 0 or error not in (?, ?)))"""
        return int(self.db.execute(query, (trial, LOST, trial, LOST, LEFT)).fetchone()[0])

    def end_attempt(self, attempt: int, error: str | None = None) -> None:
        said = None if error is None else escaped(error)
        self.db.execute("update attempt set ended=?, error=? where id=?", (time.time(), said, attempt))

    def end_attempts(self) -> None:
        """Note of attempts that have no end that they were left: their driver or its Ray died, or was stopped."""
        self.db.execute(
            "update attempt set error=?, "
            "ended=ifnull((select max(fold.ended) from fold where attempt=attempt.id), began) where ended is null",
            (LEFT,),
        )

    def add_folds(self, attempt: int, folds: Iterable[FoldResult]) -> None:
        """Remember finished folds; one that is already there stays as it is. Call it inside a transaction.

        Raises UserError when they come from another machine arithmetic than the study's first fold, unless mixed.
        """
        first = self.db.execute("select arithmetic from fold limit 1").fetchone()
        for fold in folds:
            self.db.execute("update attempt set trained = trained + 1, node=? where id=?", (fold.node, attempt))
            known = read_arithmetic(first["arithmetic"]) if first else fold.arithmetic
            if known.machine() != fold.arithmetic.machine() and not self.mixed:
                raise UserError(
                    f"{self.folder}: this study's folds were made by {known.machine()}, and these by "
                    f"{fold.arithmetic.machine()}: their last digits differ. Run it where it began, rename it, or go "
                    "on with --mixed, which marks it"
                )
            self._add(fold, attempt, None)

    def copy_folds(self, trial: int, copies: Iterable[Copy]) -> None:
        """Remember folds that another study trained. Call it inside a transaction."""
        for copy in copies:
            times = {"began": time.time(), "ended": time.time()}
            attempt = self._insert(
                "into attempt", trial=trial, node=copy.fold.node, provenance=copy.provenance, **times
            )
            self._add(copy.fold, attempt, copy.origin)

    def _add(self, fold: FoldResult, attempt: int, origin: str | None) -> None:
        names = ("key", "configuration", "seed", "held_out", "predictions", "seconds", "peak_memory")
        made = {"arithmetic": fold.arithmetic.to_json(), "attempt": attempt, "origin": origin}
        there = self.db.execute("select 1 from fold where key=?", (fold.key,)).fetchone()
        if there is None:
            self._insert("into fold", **{name: getattr(fold, name) for name in names}, **made, ended=time.time())

    def _insert(self, how: str, /, **values: Any) -> int:
        """Write a row, `how` and where as SQL says it; returns its number."""
        names = f"({', '.join(values)}) values ({', '.join(':' + name for name in values)})"
        number = self.db.execute(f"insert {how} {names}", values).lastrowid
        assert number is not None
        return number

    def done(self, trial: Trial) -> dict[str, Done]:
        """A trial's folds that the ledger has, by key, and what made them: None in a mixed study, where any counts."""
        rows = self._folds(trial, "key, arithmetic, predictions")
        made_by = (lambda row: None) if self.mixed else (lambda row: read_arithmetic(row["arithmetic"]))
        return {row["key"]: Done(made_by(row), row["predictions"]) for row in rows}

    def predictions(self, trial: Trial) -> dict[tuple[int, str], str]:
        """Predictions of a trial's folds, as FoldResult has them, by seed and held-out subject."""
        rows = self._folds(trial, "seed, held_out, predictions")
        return {(row["seed"], row["held_out"]): row["predictions"] for row in rows}

    def _folds(self, trial: Trial, columns: str) -> list[sqlite3.Row]:
        marks = ",".join("?" * len(trial.seeds))
        query = f"select {columns} from fold where configuration=? and seed in ({marks}) order by seed, held_out"
        return self.db.execute(query, (trial.config.key(), *trial.seeds)).fetchall()

    def settle(self, trial: int, outcome: Outcome) -> None:
        """Write down how a trial ended. A failed one that is tried again may end better."""
        why = None if outcome.why is None else escaped(outcome.why)
        values = asdict(outcome) | {"why": why}
        self._insert("or replace into outcome", trial=trial, **values, ended=time.time())

    def outcome(self, trial: int) -> Outcome | None:
        row = self.db.execute("select state, kept, value, why from outcome where trial=?", (trial,)).fetchone()
        return Outcome(*row) if row else None

    def is_open(self, trial: int) -> bool:
        """Whether a trial has not ended, or runs again."""
        query = "select 1 from attempt where trial=? and ended is null"
        return self.outcome(trial) is None or self.db.execute(query, (trial,)).fetchone() is not None

    def add_arms(self, arms: Iterable[dict[str, Any]], baseline: str | None) -> None:
        """Write down for the readers what the arms of a stage are that was not known when the study began."""
        row = self.db.execute("select description from study").fetchone()
        description = json.loads(row["description"])
        added = description | {"arms": [*description["arms"], *arms], "baseline": description["baseline"] or baseline}
        self.db.execute("update study set description=?", (json.dumps(added),))

    def told(self, trial: int) -> Outcome | None:
        """What Optuna was told of a trial, None before it was."""
        row = self.db.execute("select state, kept, value from told where trial=?", (trial,)).fetchone()
        return Outcome(*row) if row else None

    def tell(self, trial: int, outcome: Outcome) -> None:
        """Write down what Optuna is told of a trial. It never changes: what was told before stays."""
        values = (trial, outcome.state, outcome.kept, outcome.value)
        self.db.execute("insert or ignore into told values (?,?,?,?)", values)


def _proposal(row: sqlite3.Row, choosers: int | None) -> Proposal:
    levels = None if row["levels"] is None else json.loads(row["levels"])
    rejected = tuple(json.loads(row["rejected"]))
    return Proposal(trial_of(row, choosers), row["number"], levels, rejected, row["opponent"])


def _remedy(difference: str) -> str:
    mixing = ", or go on with --mixed, which marks the folds" * difference.startswith("arithmetic.")
    return f"give the changed study a new name{mixing}"


def _comparable(
    begun: dict[str, Any], now: dict[str, Any], trained: str | None, mixed: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two identities whose resources are compared as far as they decided how folds were trained.

    trained: arithmetic of a fold, None where there is none: nothing was computed yet that would differ.
    """
    if trained is None or mixed or "arithmetic" not in begun:
        return begun, now | ({"arithmetic": begun["arithmetic"]} if "arithmetic" in begun else {})
    on_gpu = json.loads(trained)["device"] != "cpu"

    def resolved(given: dict[str, Any]) -> dict[str, Any]:
        gpu = float(on_gpu) if given["gpu"] is None else given["gpu"]
        return given | {"gpu": gpu, "memory": 2.0 if given["memory"] is None and not gpu else given["memory"]}

    return tuple(one | {"arithmetic": resolved(one["arithmetic"])} for one in (begun, now))  # type: ignore[return-value]


def differences(old: Any, new: Any, key: str = "") -> list[str]:
    """Where two identities differ, by key; parts of the data that only one of them has are no difference."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = [n for n in dict.fromkeys([*old, *new]) if key != "data" or (n in old and n in new)]
        return [c for n in names for c in differences(old.get(n), new.get(n), f"{key}.{n}".lstrip("."))]
    if old == new:
        return []
    return [f"{key} was {_level(key, old)} when this study began and is now {_level(key, new)}"]


def _level(key: str, value: Any) -> str:
    """A value as it is told; a factor that is not named has its default."""
    section, _, name = key.partition(".")
    if value is None and section == "baseline" and name in FACTORS:
        return f"{json.dumps(FACTORS[name].default)}, the default,"
    return json.dumps(value)
