"""From the ledger to predictions.parquet and trials.parquet, which the analysis reads."""

import dataclasses
import json
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.results.results import METADATA_KEY, PREDICTIONS, TRIALS
from search_spaces.config import TrialConfig
from search_spaces.files import written_whole
from study.ledger.audit import marks
from study.ledger.snapshot import course
from study.ledger.writer import read_only
from study.models.sizes import known_size
from study.trials.subject_order import counted

_TRIALS = 100  # whose predictions are Python objects at a time


def export(folder: Path) -> None:
    """Write both files, and the study's file as it was given, into its folder. Rows are in the order of the ledger."""
    db = read_only(folder)
    with db:
        study = dict(db.execute("select * from study").fetchone())
        trials = [
            dict(row) for row in db.execute("select * from proposal left join outcome using (trial) order by trial")
        ]
        folds = db.execute(
            """select fold.*, provenance from fold join attempt on attempt.id = attempt
            order by configuration, seed, held_out"""
        ).fetchall()
    db.close()
    by_run: dict[tuple[str, int], list[sqlite3.Row]] = defaultdict(list)
    for fold in folds:
        by_run[fold["configuration"], fold["seed"]].append(fold)
    description = json.loads(study["description"])
    order = course(description, json.loads(study["identity"])).subjects
    places = {clip: (dataset, subject, name) for clip, dataset, subject, name in description.pop("clips")}
    parts = [
        pa.Table.from_pylist([row for t in some for row in _predictions(t, by_run, places, order)], PREDICTIONS)
        for some in (trials[i : i + _TRIALS] for i in range(0, max(1, len(trials)), _TRIALS))
    ]
    runs = [_trial(trial, by_run, len(description["classes"])) for trial in trials]
    description["notes"] += marks(folds)
    metadata = description | {"name": study["name"], "provenance": json.loads(study["provenance"])}
    table = pa.Table.from_pylist(runs, TRIALS).replace_schema_metadata({METADATA_KEY: json.dumps(metadata)})
    (folder / "study.yaml").write_text(study["file"], encoding="utf-8")
    _write(pa.concat_tables(parts).combine_chunks(), folder / "predictions.parquet")
    _write(table, folder / "trials.parquet")


def _predictions(
    trial: dict[str, Any],
    by_run: dict[tuple[str, int], list[sqlite3.Row]],
    places: dict[str, tuple[str, str, str]],
    order: Sequence[str],
) -> list[dict[str, Any]]:
    seeds = json.loads(trial["seeds"])
    subjects = counted(trial["state"], trial["kept"], len(seeds), order)
    return [
        {name: trial[name] for name in ("trial", "stage", "arm")}
        | {"configuration": trial["key"], "seed": seed, "held_out": fold["held_out"]}
        | dict(zip(("dataset", "subject", "clip_id"), places[clip], strict=True))
        | {"y_true": y_true, "y_pred": y_pred, "probabilities": probabilities}
        for seed in seeds
        for fold in by_run[trial["key"], seed]
        if fold["held_out"] in subjects
        for clip, y_true, y_pred, probabilities in json.loads(fold["predictions"])
    ]


def _trial(trial: dict[str, Any], by_run: dict[tuple[str, int], list[sqlite3.Row]], n_classes: int) -> dict[str, Any]:
    config = TrialConfig(**json.loads(trial["configuration"]))
    seeds = json.loads(trial["seeds"])
    folds = [fold for seed in seeds for fold in by_run[trial["key"], seed]]
    size = known_size(config, n_classes)
    return {
        "trial": trial["trial"],
        "stage": trial["stage"],
        "arm": trial["arm"],
        "configuration": trial["key"],
        "state": trial["state"] or "running",
        "uf1": trial["value"] if trial["state"] == "complete" else None,
        "seeds": seeds,
        "factors": json.dumps(dataclasses.asdict(config)),
        "parameters": size and size.parameters,
        "multiply_adds": size and size.multiply_adds,
        "seconds": sum(fold["seconds"] for fold in folds),
        "peak_memory": max((fold["peak_memory"] for fold in folds), default=None),
        "device": json.loads(folds[0]["arithmetic"])["device"] if folds else None,
        "why": trial["why"],
    }


def _write(table: pa.Table, path: Path) -> None:
    with written_whole(path) as draft:
        pq.write_table(table, draft)
