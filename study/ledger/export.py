"""From the ledger to predictions.parquet and trials.parquet, which the analysis reads."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.results.results import METADATA_KEY, PREDICTIONS, TRIALS
from search_spaces.files import written_whole
from study.ledger.audit import marks
from study.ledger.damage import NOT_EXPORTED
from study.ledger.nested_choices import nested_choices
from study.ledger.snapshot import Snapshot, TrialRow, begun_study
from study.models.sizes import known_size

_TRIALS = 100  # whose predictions are Python objects at a time


def export(folder: Path) -> None:
    """Write both files, and the study's file as it was given, into its folder. Rows are in the order of the ledger.

    Raises UserError where the ledger has no study yet.
    """
    study = begun_study(folder, "its run never began: there is nothing to write")
    description = {key: part for key, part in study.description.items() if key not in NOT_EXPORTED}
    places = {clip: (dataset, subject, name) for clip, dataset, subject, name in study.description["clips"]}
    of_subject = {
        held_out: places[clip][:2]
        for clip, held_out in zip(study.clips.ids.tolist(), study.clips.subjects.tolist(), strict=True)
    }
    parts = [
        pa.Table.from_pylist([line for row in some for line in _predictions(study, row, places)], PREDICTIONS)
        for some in (study.trials[i : i + _TRIALS] for i in range(0, max(1, len(study.trials)), _TRIALS))
    ]
    notes = [*description["notes"], *marks(study.folds)]
    inside = [[stage, seed, *of_subject[subject], arm] for stage, seed, subject, arm in nested_choices(study)]
    metadata = (
        description | {"chosen_inside": inside} | {"notes": notes, "name": study.name, "provenance": study.provenance}
    )
    table = pa.Table.from_pylist([_trial(study, row) for row in study.trials], TRIALS)
    (folder / "study.yaml").write_text(study.file, encoding="utf-8")
    _write(pa.concat_tables(parts).combine_chunks(), folder / "predictions.parquet")
    _write(table.replace_schema_metadata({METADATA_KEY: json.dumps(metadata)}), folder / "trials.parquet")


def _predictions(study: Snapshot, row: TrialRow, places: dict[str, tuple[str, str, str]]) -> list[dict[str, Any]]:
    return [
        {"trial": row.number, "stage": row.trial.stage, "arm": row.trial.arm}
        | {"configuration": row.key, "seed": fold.seed, "held_out": fold.held_out}
        | dict(zip(("dataset", "subject", "clip_id"), places[clip], strict=True))
        | {"y_true": y_true, "y_pred": y_pred, "probabilities": probabilities}
        for fold in study.counted(row)
        for clip, y_true, y_pred, probabilities in json.loads(fold.predictions)
    ]


def _trial(study: Snapshot, row: TrialRow) -> dict[str, Any]:
    folds = study.folds_of(row)
    size = known_size(row.trial.config, len(study.classes))
    return {
        "trial": row.number,
        "stage": row.trial.stage,
        "arm": row.trial.arm,
        "configuration": row.key,
        "state": row.state or "running",
        "uf1": row.value if row.state == "complete" else None,
        "seeds": row.trial.seeds,
        "factors": json.dumps(dataclasses.asdict(row.trial.config)),
        "parameters": size and size.parameters,
        "multiply_adds": size and size.multiply_adds,
        "seconds": sum(fold.seconds for fold in folds),
        "peak_memory": max((fold.peak_memory for fold in folds), default=None),
        "device": folds[0].arithmetic.device if folds else None,
        "why": row.why,
    }


def _write(table: pa.Table, path: Path) -> None:
    with written_whole(path) as draft:
        pq.write_table(table, draft)
