"""From the ledger to a journal of Optuna's, which `optuna-dashboard` opens."""

import json
import sqlite3
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from analysis.stats.metrics import uf1
from search_spaces.config import TrialConfig
from search_spaces.errors import UserError
from search_spaces.files import written_whole
from search_spaces.spec import Search, StudySpec
from study.ledger.damage import damage
from study.ledger.schema import read_only
from study.ledger.snapshot import choosers, course
from study.search.space import directions, distributions, values
from study.trials.race import scores
from study.trials.subject_order import Counts, Course

Row = dict[str, Any]

STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
QUERY = """
    select p.*, o.state, o.kept, o.value, o.why, o.ended,
        (select min(began) from attempt where trial = p.trial) as began
    from proposal p left join outcome o using (trial) where stage = ? order by number"""


def write_journal(folder: Path) -> Path:
    """Write `optuna.log` into a study's folder anew: a study of Optuna's for each of its searches; returns its path.

    Raises UserError for a study without a search, or one that has not begun.
    """
    db = read_only(folder)
    with db:
        study = db.execute("select name, resolved, identity, description from study").fetchone()
        if study is None:
            raise UserError(damage(folder) or f"{folder}: its run never began: there is nothing to write")
        spec = StudySpec.model_validate(json.loads(study["resolved"]))
        searches = {stage: design for stage, design in spec.stages.items() if isinstance(design, Search)}
        trials = {stage: [dict(row) for row in db.execute(QUERY, (stage,))] for stage in searches}
        folds = db.execute("select configuration, seed, held_out, predictions from fold").fetchall()
    db.close()
    if not searches:
        raise UserError(f"{folder}: this study has no search, and only searches have a journal of Optuna's")
    description = json.loads(study["description"])
    counted = _Counted(folds, course(description, json.loads(study["identity"])).of_first(choosers(description)))
    path = folder / "optuna.log"
    with written_whole(path) as draft:
        storage = JournalStorage(JournalFileBackend(str(draft)))
        for stage, design in searches.items():
            name = f"{study['name']} {stage}"
            optuna.logging.set_verbosity(optuna.logging.ERROR)
            made = optuna.create_study(study_name=name, storage=storage, directions=directions(design))
            made.add_trials([_trial(row, design, trials[stage], counted) for row in trials[stage]])
    return path


class _Counted:
    """Confusions of the trials by subject, in the order in which they race."""

    def __init__(self, folds: list[sqlite3.Row], course: Course) -> None:
        self.course = course
        self.found: dict[str, dict[tuple[int, str], str]] = defaultdict(dict)
        for fold in folds:
            self.found[fold["configuration"]][fold["seed"], fold["held_out"]] = fold["predictions"]

    def of(self, trial: Row, subjects: int) -> Counts:
        """Of the first subjects, int64 [subjects, K true, K predicted], summed over seeds."""
        return self.course.counts(json.loads(trial["seeds"]), self.found[trial["key"]], subjects)

    def whole(self, trial: Row) -> Counts:
        return self.of(trial, len(self.course.subjects))


def _trial(row: Row, design: Search, trials: list[Row], counted: _Counted) -> FrozenTrial:
    """A proposal as Optuna has trials. A pruned one has the imputed UF1 for its value, and says so."""
    space, levels = distributions(design), json.loads(row["levels"])
    config = TrialConfig(**json.loads(row["configuration"]))
    state = STATES.get(row["state"], TrialState.WAITING if row["began"] is None else TrialState.RUNNING)
    told = {"trial": row["trial"], "kept": row["kept"], "opponent": row["opponent"], "why": row["why"]}
    made = create_trial(
        state=state,
        values=None if row["value"] is None else values(design, config, row["value"], len(counted.course.classes)),
        params=levels,
        distributions={name: space[name] for name in levels},
        intermediate_values=_subject_scores(row, trials, counted),
        user_attrs={name: value for name, value in told.items() if value is not None}
        | ({"imputed": True} if state == TrialState.PRUNED else {}),
    )
    made.datetime_start = None if row["began"] is None else datetime.fromtimestamp(row["began"])
    made.datetime_complete = datetime.fromtimestamp(row["ended"]) if state.is_finished() else None
    return made


def _subject_scores(row: Row, trials: list[Row], counted: _Counted) -> dict[int, float]:
    """UF1 by subject, in the order of the race: their mean over all subjects is the trial's UF1.

    These are pseudo-values, UF1 + N x score, at the pooled confusion of the trial itself; of a pruned one at its
    opponent's, where N subjects' differences from the opponent's are what the race has tested.
    """
    if row["state"] not in ("complete", "pruned"):
        return {}
    pruned = row["state"] == "pruned"
    judge = next(trial for trial in trials if trial["trial"] == row["opponent"]) if pruned else row
    pooled = counted.whole(judge).sum(0)
    own = counted.of(row, row["kept"] // len(json.loads(row["seeds"])))
    shown = float(uf1(pooled)) + len(counted.course.subjects) * scores(own, pooled)
    return {subject: float(value) for subject, value in enumerate(shown, start=1)}
