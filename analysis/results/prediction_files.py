"""Predictions made elsewhere: any group's own log as a CSV or Parquet table."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.results import sheets
from analysis.results.results import ELSEWHERE, Arm, Metadata, Results, Trial
from analysis.results.sheets import columns_problems, cut, shown
from search_spaces.digests import digest
from search_spaces.errors import UserError
from search_spaces.files import require_file
from search_spaces.spelling import spelt_twice

SUFFIXES = (".csv", ".parquet")
NEEDED = ("subject", "clip_id", "y_true", "y_pred")
OPTIONAL = ("configuration", "seed", "dataset", "probabilities", "checkpoint")
# By which rule the epoch was taken that predicts: the last, by clips of the training subjects, or by the test fold.
RULES = ("last", "validation", "test")
ON_TEST = "†"  # behind the name of a configuration whose epoch was chosen on the test fold
STAGE = "predictions"
NOTE = "Predictions made elsewhere: how they were trained, and on which epoch they were taken, is not known here."
CHOSEN_ON_TEST = (
    f"{ON_TEST}: the epoch that predicts was chosen on the test fold, so that the score is too high; it is compared "
    "with none that was taken by another rule."
)
# What stands for a value that is missing; "null" and "none" may be labels.
MISSING = frozenset({"", "NA", "N/A", "#N/A", "NaN", "nan"})
_WHOLE = re.compile(r"-?[0-9]{1,18}(\.0*)?")
_ROUNDED, _SUM = 1e-4, 0.01  # by which a probability may be below the largest, and the sum of all miss 1
_ROUNDING = 1e-6  # by which a probability may miss 0 or 1


def predictions_made_elsewhere(files: Sequence[Path]) -> Results:
    """Results of one or several tables with columns subject, clip_id, y_true, y_pred, one row a predicted clip.

    Optional columns: configuration (without it, the file is one, under its own name), seed (an integer), dataset
    (needed where clip ids or subjects of two datasets could be confused), probabilities (a JSON list in the sorted
    order of the classes), checkpoint (one of RULES: by which rule the epoch was taken; nothing is compared across
    them). Any other column that is constant within every configuration is a factor.
    """
    tables = [_table(path) for path in files]
    rows = pd.concat(tables, ignore_index=True)
    problems = _in_two_files(rows) or _confused(rows, tables)
    rows["dataset"] = rows.get("dataset", pd.Series("", index=rows.index)).fillna("")
    if problems := problems + cut(_spelt_twice(rows)) + _strange_rules(rows):
        raise UserError(problems)
    rules = dict(zip(rows.configuration, rows.get("checkpoint", [None] * len(rows)), strict=True))
    rows["configuration"] = [f"{name} {ON_TEST}" if rules[name] == "test" else name for name in rows.configuration]
    rules |= {f"{name} {ON_TEST}": rule for name, rule in rules.items() if rule == "test"}
    classes = tuple(sorted(set(rows.y_true)))
    if problems := _contradictions(rows, classes):
        raise UserError(problems)
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
        protocol=ELSEWHERE,
        classes=classes,
        baseline=None,
        arms=tuple(Arm(run.arm or "", STAGE, {}, checkpoint=rules[run.arm or ""]) for run in runs),
        truth=None,
        provenance={"files": ", ".join(path.name for path in files)},
        notes=(NOTE, *([CHOSEN_ON_TEST] if "test" in rules.values() else []), *_two_kinds(rows, tables)),
    )
    return Results.checked(frame, runs, about)


def _table(path: Path) -> pd.DataFrame:
    """A file's rows as text, seed and probabilities parsed, with its name and line in `_file` and `_line`."""
    rows, lines, problems = _sheet(path) if path.suffix.lower() == ".csv" else _parquet(path)
    for name in rows.columns.difference(["probabilities"]):
        rows[name] = rows[name].astype(object).where(rows[name].notna(), "").map(_word)
        if name in (*NEEDED, *OPTIONAL):
            missing = [(line, value) for line, value in zip(lines, rows[name], strict=True) if value in MISSING]
            problems += [
                f"{path}, row {line}: no {name}"
                + (f" ({value!r}; leave the row out, or write another word if it is one)" if value else "")
                for line, value in missing
            ]
    if "configuration" not in rows.columns:
        rows["configuration"] = path.stem
    problems += _parse(rows, "seed", _whole, path, lines, "an integer of at most 18 digits", "0")
    problems += _parse(
        rows, "probabilities", _floats, path, lines, "a JSON list of numbers from 0 to 1, one a class", "[]"
    )
    if problems:
        raise UserError(cut(problems))
    return rows.assign(_file=path.name, _line=lines)


def _sheet(path: Path) -> tuple[pd.DataFrame, list[int], list[str]]:
    """The rows of a CSV, their lines, and what is wrong with others."""
    sheet = sheets.read(path, NEEDED)
    return pd.DataFrame(sheet.rows, columns=sheet.columns, dtype=object), sheet.lines, sheet.problems


def _parquet(path: Path) -> tuple[pd.DataFrame, list[int], list[str]]:
    require_file(path, "a Parquet file of predictions")
    try:
        table = pq.ParquetFile(path).read()
        if problems := columns_problems(path, table.column_names, NEEDED):
            raise UserError(problems)
        rows = table.to_pandas(ignore_metadata=True)
    except FileNotFoundError:
        raise UserError(f"{path}: not there; expected a table of predictions") from None
    except (OSError, ValueError, TypeError, pa.ArrowException) as error:
        raise UserError(f"{path}: not a readable table ({error})") from None
    if rows.empty:
        raise UserError(f"{path}: no rows")
    return rows, list(range(1, len(rows) + 1)), []


def _word(value: Any) -> str:
    """A label or name as text; 3.0 is 3, which a table with a gap made of it."""
    word = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return word.strip()


def _parse(
    rows: pd.DataFrame, name: str, parse: Any, path: Path, lines: Sequence[int], kind: str, default: str
) -> list[str]:
    """Parse a column in place; the rows where that fails."""
    given = rows[name] if name in rows.columns else pd.Series(default, index=rows.index)
    parsed, problems = [], []
    for line, value in zip(lines, given, strict=True):
        try:
            parsed.append(parse(value))
        except (ValueError, TypeError, ArithmeticError, RecursionError):
            parsed.append(parse(default))
            if value not in MISSING if isinstance(value, str) else True:  # that it is missing is told already
                problems.append(f"{path}, row {line}: {name} {shown(value)} is not {kind}")
    rows[name] = parsed
    return problems


def _whole(value: str) -> int:
    """`3`, and `3.0`, which a table with a gap or a column of floats made of it."""
    if not _WHOLE.fullmatch(value):
        raise ValueError(value)
    return int(value.partition(".")[0])


def _floats(value: Any) -> list[float]:
    parts = json.loads(value) if isinstance(value, str) else list(value)
    if not isinstance(parts, list) or any(isinstance(part, bool | str) for part in parts):
        raise ValueError(value)
    shares = [float(part) for part in parts]
    if not all(-_ROUNDING <= share <= 1 + _ROUNDING for share in shares):  # nor is NaN
        raise ValueError(value)
    return shares


def _spelt_twice(rows: pd.DataFrame) -> list[str]:
    """Names that a person takes for one and a computer for two: a subject would train its own test."""
    names = {
        "configuration": rows.configuration,
        "dataset": rows.dataset,
        "label": pd.concat([rows.y_true, rows.y_pred]),
    }
    for dataset, own in rows.groupby("dataset").subject:
        names[f"subject of {dataset!s}" if dataset else "subject"] = own
    return [
        f"{' and '.join(_place(rows, kind, name) for name in group)} are one {kind} in {len(group)} spellings; "
        "write it in one"
        for kind, column in names.items()
        for group in spelt_twice(column.unique())
    ]


def _place(rows: pd.DataFrame, kind: str, name: str) -> str:
    """A name and where it is first."""
    columns = {"label": ["y_true", "y_pred"]}.get(kind, [kind.split()[0]])
    first = rows[(rows[columns] == name).any(axis=1)].iloc[0]
    return f"{name!r} ({first._file}, row {first._line})"


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
    differ = rows.groupby(["subject", "clip_id"]).y_true.transform("nunique") > 1
    for (subject, clip), own in rows[differ].groupby(["subject", "clip_id"], sort=True):
        each = own.drop_duplicates("y_true")
        places = ", ".join(f"{t!r} ({f}, row {n})" for t, f, n in zip(each.y_true, each._file, each._line, strict=True))
        problems.append(f"subject {subject!r}, clip {clip!r}: its y_true is {places}; {remedy}")
    for subject, own in rows.groupby("subject", sort=True) if len(tables) > 1 else ():
        clips = own.groupby("_file").clip_id.agg(frozenset)
        if clips.nunique() > 1:
            problems.append(f"subject {subject!r}: other clips in {' than in '.join(clips.index)}; {remedy}")
    return cut(problems)


def _strange_rules(rows: pd.DataFrame) -> list[str]:
    """Rules for checkpoints that are none of RULES, and configurations with two."""
    if "checkpoint" not in rows:
        return []
    found = []
    for name, own in rows.groupby("configuration").checkpoint.unique().items():
        if len(own) > 1 or own[0] not in RULES:
            given = " and ".join(map(repr, own))
            found.append(f"configuration {name!r}: checkpoint {given}; expected: one of {', '.join(RULES)}")
    return cut(found)


def _in_two_files(rows: pd.DataFrame) -> list[str]:
    """Runs that two files have, clip by clip: one name for two configurations."""
    clip = [name for name in ("configuration", "seed", "dataset", "subject", "clip_id") if name in rows]
    twice = rows[rows.duplicated(clip, keep=False)]
    found = []
    for (name, seed), own in twice.groupby(["configuration", "seed"]):
        if len(files := own._file.unique()) > 1:
            where = " and in ".join(files)
            found.append(f"configuration {name!r}, seed {seed}: the same clips in {where}; give each its own name")
    return cut(found)


def _contradictions(rows: pd.DataFrame, classes: tuple[str, ...]) -> list[str]:
    """Rows whose probabilities are none, or are not those of their prediction; their number is checked elsewhere."""
    found = []
    for file, line, predicted, own in zip(rows._file, rows._line, rows.y_pred, rows.probabilities, strict=True):
        if len(own) != len(classes) or predicted not in classes:
            continue
        if abs(sum(own) - 1) > _SUM:
            found.append(f"{file}, row {line}: probabilities sum to {sum(own):.4g}, not to 1")
        elif own[classes.index(predicted)] < max(own) - _ROUNDED:
            largest = classes[max(range(len(own)), key=own.__getitem__)]
            found.append(f"{file}, row {line}: y_pred is {predicted!r}, and the largest probability is of {largest!r}")
    return cut(found)


def _two_kinds(rows: pd.DataFrame, tables: Sequence[pd.DataFrame]) -> list[str]:
    """That a subject has clips of two kinds of names, where no column tells datasets apart: are these two subjects?

    A kind is what stands before the first digit; one that goes with a single label names that, and no dataset.
    """
    if any("dataset" in table.columns for table in tables):
        return []
    clips = rows[["subject", "clip_id", "y_true"]].drop_duplicates()
    clips = clips.assign(kind=clips.clip_id.str.extract(r"^([^0-9]*)", expand=False).str.casefold())
    labels = clips.groupby("kind").y_true.transform("nunique")
    mixed = clips[labels > 1].groupby("subject").kind.nunique()
    found = [str(subject) for subject, kinds in mixed.items() if kinds > 1]
    if not found:
        return []
    return [
        f"{rows.subject.nunique()} subjects are told apart by their names alone, and the clips of {len(found)} of them "
        f"have names of two kinds (subject {found[0]}): if these are two datasets, give every row its `dataset`."
    ]


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
