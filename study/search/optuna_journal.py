"""From the ledger to a journal of Optuna's, which `optuna-dashboard` opens."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from analysis.stats.metrics import uf1
from search_spaces.errors import UserError
from search_spaces.files import written_whole
from search_spaces.spec import Search
from study.ledger.snapshot import Snapshot, TrialRow, begun_study
from study.search.space import directions, distributions, values
from study.trials.race import scores
from study.trials.subject_order import Counts

STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


def write_journal(folder: Path) -> Path:
    """Write `optuna.log` into a study's folder anew: a study of Optuna's for each of its searches; returns its path.

    Raises UserError for a study without a search, or one that has not begun.
    """
    study = begun_study(folder, "its run never began: there is nothing to write")
    searches = {stage: design for stage, design in study.spec.stages.items() if isinstance(design, Search)}
    if not searches:
        raise UserError(f"{folder}: this study has no search, and only searches have a journal of Optuna's")
    counted = _Counted(study)
    path = folder / "optuna.log"
    with written_whole(path) as draft:
        storage = JournalStorage(JournalFileBackend(str(draft)))
        for stage, design in searches.items():
            name = f"{study.name} {stage}"
            rows = [row for row in study.trials if row.trial.stage == stage]
            optuna.logging.set_verbosity(optuna.logging.ERROR)
            made = optuna.create_study(study_name=name, storage=storage, directions=directions(design))
            made.add_trials([_trial(row, design, rows, counted) for row in rows])
    return path


class _Counted:
    """Confusions of the trials by subject, in the order in which they race."""

    def __init__(self, study: Snapshot) -> None:
        self.study, self.course = study, study.course.of_first(study.choosers)

    def of(self, row: TrialRow, parts: int) -> Counts:
        """Of the first parts, int64 [parts, K true, K predicted], summed over seeds."""
        predicted = {(fold.seed, fold.held_out): fold.predictions for fold in self.study.folds_of(row)}
        return self.course.counts(row.trial.seeds, predicted, parts)

    def whole(self, row: TrialRow) -> Counts:
        return self.of(row, len(self.course.parts))


def _trial(row: TrialRow, design: Search, rows: Sequence[TrialRow], counted: _Counted) -> FrozenTrial:
    """A proposal as Optuna has trials. A pruned one has the imputed UF1 for its value, and says so."""
    space, levels = distributions(design), row.levels or {}
    state = STATES.get(row.state or "", TrialState.WAITING if row.began is None else TrialState.RUNNING)
    about = {"trial": row.number, "kept": row.kept, "opponent": row.opponent, "why": row.why}
    classes = len(counted.course.classes)
    made = create_trial(
        state=state,
        values=None if row.value is None else values(design, row.trial.config, row.value, classes),
        params=levels,
        distributions={name: space[name] for name in levels},
        intermediate_values=_subject_scores(row, rows, counted),
        user_attrs={name: value for name, value in about.items() if value is not None}
        | ({"imputed": True} if state == TrialState.PRUNED else {}),
    )
    made.datetime_start = None if row.began is None else datetime.fromtimestamp(row.began)
    made.datetime_complete = None if row.ended is None else datetime.fromtimestamp(row.ended)
    return made


def _subject_scores(row: TrialRow, rows: Sequence[TrialRow], counted: _Counted) -> dict[int, float]:
    """UF1 by subject, in the order of the race: their mean over all subjects is the trial's UF1.

    These are pseudo-values, UF1 + N x score, at the pooled confusion of the trial itself; of a pruned one at its
    opponent's, where N subjects' differences from the opponent's are what the race has tested.
    """
    if row.state not in ("complete", "pruned") or row.kept is None:
        return {}
    judge = next(other for other in rows if other.number == row.opponent) if row.state == "pruned" else row
    pooled = counted.whole(judge).sum(0)
    own = counted.of(row, row.kept // len(row.trial.seeds))
    shown = float(uf1(pooled)) + len(counted.course.parts) * scores(own, pooled)
    return {subject: float(value) for subject, value in enumerate(shown, start=1)}
