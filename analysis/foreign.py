"""Predictions made elsewhere: any group's own log as a CSV or Parquet table."""

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from analysis.results import Arm, Metadata, Results, Trial
from search_spaces.errors import UserError
from search_spaces.identity import digest

SUFFIXES = (".csv", ".parquet")
NEEDED = ("subject", "clip_id", "y_true", "y_pred")
OPTIONAL = ("configuration", "seed", "dataset", "probabilities")
STAGE = "predictions"
PROTOCOL = "protocol as its authors say"
NOTE = "Predictions made elsewhere: how they were trained, and on which epoch they were taken, is not known here."
SHOWN = 10


def predictions_made_elsewhere(files: Sequence[Path]) -> Results:
    """Results of one or several tables with columns subject, clip_id, y_true, y_pred, one row a predicted clip.

    Optional columns: configuration (without it, the file is one, under its own name), seed (an integer), dataset
    (needed where clip ids or subjects of two datasets could be confused), probabilities (a JSON list in the sorted
    order of the classes). Any other column that is constant within every configuration is a factor.
    """
    tables = [_table(path) for path in files]
    rows = pd.concat(tables, ignore_index=True)
    problems = _confused(rows, tables)
    if problems:
        raise UserError(problems)
    rows["dataset"] = rows.get("dataset", pd.Series("", index=rows.index))
    classes = tuple(sorted(set(rows.y_true)))
    levels = _levels(rows)
    runs = [_trial(i, name, own, levels) for i, (name, own) in enumerate(rows.groupby("configuration", sort=True))]
    numbers = {run.arm: run.trial for run in runs}
    frame = rows.assign(
        trial=rows.configuration.map(numbers), stage=STAGE, arm=rows.configuration, held_out=rows.subject
    )
    known = sorted(set(rows[["dataset", "subject", "clip_id", "y_true"]].itertuples(index=False, name=None)))
    about = Metadata(
        name=" + ".join(path.stem for path in files),
        question="",
        dataset=", ".join(sorted(set(rows.dataset) - {""})) or ", ".join(path.name for path in files),
        dataset_digest=digest([list(clip) for clip in known]),
        protocol=PROTOCOL,
        classes=classes,
        baseline=None,
        arms=tuple(Arm(run.arm or "", STAGE, {}) for run in runs),
        truth=None,
        provenance={"files": ", ".join(path.name for path in files)},
        notes=(NOTE,),
    )
    return Results.checked(frame, runs, about)


def _table(path: Path) -> pd.DataFrame:
    """A file's rows as text, seed and probabilities parsed, with its name and line in `_file` and `_line`."""
    try:
        # Labels may be words such as "null": nothing but an empty cell is missing.
        csv = path.suffix.lower() == ".csv"
        rows = pd.read_csv(path, dtype=str, keep_default_na=False) if csv else pd.read_parquet(path)
    except FileNotFoundError:
        raise UserError(f"{path}: not there; expected a table of predictions") from None
    except (ValueError, pa.ArrowException, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable table ({error})") from None
    missing = [name for name in NEEDED if name not in rows.columns]
    if missing:
        raise UserError(f"{path}: columns missing: {', '.join(missing)}; needed are {', '.join(NEEDED)}")
    if rows.empty:
        raise UserError(f"{path}: no rows")
    lines = range(2 if csv else 1, len(rows) + 2)[: len(rows)]
    problems: list[str] = []
    for name in rows.columns.difference(["probabilities"]):
        rows[name] = rows[name].astype(object).where(rows[name].notna(), "").map(_word)
        if name in (*NEEDED, *OPTIONAL):
            empty = [line for line, value in zip(lines, rows[name], strict=True) if value == ""]
            problems += [f"{path}, row {line}: no {name}" for line in empty[:SHOWN]]
    if "configuration" not in rows.columns:
        rows["configuration"] = path.stem
    problems += _parse(rows, "seed", _whole, path, lines, "an integer", "0")
    problems += _parse(rows, "probabilities", _floats, path, lines, "a JSON list of numbers, one a class", "[]")
    if problems:
        raise UserError(problems)
    return rows.assign(_file=path.name, _line=lines)


def _word(value: Any) -> str:
    """A label or name as text; 3.0 is 3, which a table with a gap made of it."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _parse(
    rows: pd.DataFrame, name: str, parse: Any, path: Path, lines: Sequence[int], kind: str, default: str
) -> list[str]:
    """Parse a column in place; the rows where that fails."""
    given = rows[name] if name in rows.columns else pd.Series(default, index=rows.index)
    parsed, problems = [], []
    for line, value in zip(lines, given, strict=True):
        try:
            parsed.append(parse(value))
        except (ValueError, TypeError, ArithmeticError):
            parsed.append(parse(default))
            problems.append(f"{path}, row {line}: {name} {value!r} is not {kind}")
    rows[name] = parsed
    return problems[:SHOWN]


def _whole(value: str) -> int:
    """`3`, and `3.0`, which a table with a gap or a column of floats made of it."""
    number = Decimal(value)
    if not number.is_finite() or number != int(number):
        raise ValueError(value)
    return int(number)


def _floats(value: Any) -> list[float]:
    return [float(part) for part in (json.loads(value) if isinstance(value, str) else value)]


def _confused(rows: pd.DataFrame, tables: Sequence[pd.DataFrame]) -> list[str]:
    """Clips and subjects that two datasets seem to share, where no column tells the datasets apart."""
    remedy = "if these are two datasets, give every row its `dataset`"
    named = ["dataset" in table.columns for table in tables]
    if all(named):
        return []
    if any(named):
        without = [table._file[0] for table, there in zip(tables, named, strict=True) if not there]
        return [f"{name}: no column dataset, which other files have; {remedy}" for name in without]
    problems = []
    for (subject, clip), own in rows.groupby(["subject", "clip_id"], sort=True):
        if own.y_true.nunique() > 1:
            each = own.drop_duplicates("y_true")
            places = ", ".join(
                f"{t!r} ({f}, row {n})" for t, f, n in zip(each.y_true, each._file, each._line, strict=True)
            )
            problems.append(f"subject {subject!r}, clip {clip!r}: its y_true is {places}; {remedy}")
    for subject, own in rows.groupby("subject", sort=True) if len(tables) > 1 else ():
        clips = own.groupby("_file").clip_id.agg(frozenset)
        if clips.nunique() > 1:
            problems.append(f"subject {subject!r}: other clips in {' than in '.join(clips.index)}; {remedy}")
    return problems[:SHOWN] + ([f"... and {len(problems) - SHOWN} more like these"] if len(problems) > SHOWN else [])


def _levels(rows: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Configuration -> level of every factor: the columns beyond ours that are constant within each configuration."""
    more = [name for name in rows.columns if name not in (*NEEDED, *OPTIONAL) and not name.startswith("_")]
    by = rows.groupby("configuration")
    factors = [name for name in more if (by[name].nunique(dropna=False) == 1).all() and rows[name].nunique() > 1]
    if not factors:
        return {str(name): {"configuration": name} for name in by.groups}
    return {str(name): {factor: own[factor].iloc[0] for factor in factors} for name, own in by}


def _trial(number: int, name: Any, rows: pd.DataFrame, levels: dict[str, dict[str, Any]]) -> Trial:
    return Trial(
        trial=number,
        stage=STAGE,
        arm=str(name),
        configuration=digest(levels[str(name)]),
        state="complete",
        uf1=None,
        seeds=tuple(sorted({int(seed) for seed in rows.seed})),
        factors=levels[str(name)],
        parameters=None,
        multiply_adds=None,
        seconds=None,
        peak_memory=None,
        device=None,
        why=None,
    )
