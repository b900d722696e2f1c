"""Where results come from: the folders of studies, and tables of predictions made elsewhere."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.results.mlflow_experiment import PREFIX, download
from analysis.results.prediction_files import ON_TEST, SUFFIXES, predictions_made_elsewhere
from analysis.results.results import CLIP, METADATA_KEY, PREDICTIONS, TRIALS, Metadata, Results
from search_spaces.errors import UserError
from search_spaces.files import require_file


def load_results(*paths: str | Path, baseline: str | None = None) -> Results:
    """The results of one or several studies and tables as one. Raises UserError with all that is wrong.

    paths: folders of studies, CSV or Parquet files of predictions, `mlflow:EXPERIMENT` or `mlflow:URI#EXPERIMENT`.
    baseline: the arm to compare with, in place of the study's own.
    """
    if not paths:
        raise UserError("nothing to load; expected a study's folder or a table of predictions")
    files = [Path(path) for path in paths if str(path).lower().endswith(SUFFIXES)]
    others = [str(path) for path in paths if not str(path).lower().endswith(SUFFIXES)]
    parts = [_experiment(path) if path.startswith(PREFIX) else study(Path(path)) for path in others]
    parts += [predictions_made_elsewhere(files)] if files else []
    whole = parts[0] if len(parts) == 1 else merged(parts)
    return whole if baseline is None else around(whole, baseline)


def study(folder: Path) -> Results:
    """Read `predictions.parquet` and `trials.parquet` of a study's folder."""
    path = folder / "trials.parquet"
    trials, predictions = _read(path, TRIALS), _read(folder / "predictions.parquet", PREDICTIONS)
    try:
        metadata = Metadata.decode(trials.schema.metadata[METADATA_KEY])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: no valid study metadata ({error!r}); export the study again") from None
    return Results.of(predictions, trials, metadata)


def _experiment(address: str) -> Results:
    with TemporaryDirectory() as folder:
        download(address, Path(folder))
        return study(Path(folder))


def merged(parts: Sequence[Results]) -> Results:
    """Studies of the same clips as one: trials numbered through, the first study's baseline.

    An arm whose name an earlier study has in the same stage bears its own study's name in front.
    """
    _refuse_what_cannot_meet(parts)
    starts = [0, *accumulate(1 + max((t.trial for t in part.trials), default=-1) for part in parts)]
    taken: set[tuple[str, str]] = set()
    runs, frames, arms = [], [], []
    for part, start in zip(parts, starts, strict=False):
        name = part.metadata.name
        names = {
            (a.stage, a.arm): f"{name}: {a.arm}" if (a.stage, a.arm) in taken else a.arm for a in part.metadata.arms
        }
        taken.update(names)
        arms += [replace(a, arm=names[a.stage, a.arm]) for a in part.metadata.arms]
        runs += [replace(t, trial=t.trial + start, arm=t.arm and names[t.stage, t.arm]) for t in part.trials]
        frames.append(part.predictions.assign(trial=part.predictions.trial + start))
    own = [(part.metadata.name, part.metadata) for part in parts]
    first = parts[0].metadata
    about = replace(
        first,
        name=" + ".join(name for name, _ in own),
        question=" ".join(dict.fromkeys(m.question for _, m in own if m.question)),
        arms=tuple(arms),
        truth=first.truth if all(m.truth == first.truth for _, m in own) else None,
        provenance={f"{name}: {key}": value for name, m in own for key, value in m.provenance.items()},
        notes=tuple(f"{name}: {note}" for name, m in own for note in m.notes),
        added=tuple(f"{name}: {what}" for name, m in own for what in m.added),
        chosen_by=_choosers(parts),
    )
    return Results.checked(pd.concat(frames), runs, about)


def _choosers(parts: Sequence[Results]) -> tuple[tuple[str, str], ...]:
    """The subjects that chose in any of these studies: where in one of several all did, that leaves none to test."""
    found = {subject for part in parts for subject in part.metadata.chosen_by}
    for part in parts:
        if found and not part.metadata.chosen_by and any(trial.arm is None for trial in part.trials):
            found |= set(part.predictions[["dataset", "subject"]].itertuples(index=False, name=None))
    return tuple(sorted(found))


def around(results: Results, baseline: str) -> Results:
    """The same results with another arm as the baseline; what each arm changes is told anew."""
    arms = results.metadata.arms
    marked = f"{baseline} {ON_TEST}"
    baseline = marked if marked in {arm.arm for arm in arms} else baseline
    levels = {(t.stage, t.arm): t.factors for t in results.trials if t.arm is not None}
    if baseline not in {arm.arm for arm in arms}:
        known = ", ".join(dict.fromkeys(arm.arm for arm in arms)) or "none"
        raise UserError(f"--baseline {baseline}: none of the arms; they are: {known}")

    def changes(stage: str, arm: str) -> dict[str, object]:
        base, own = levels.get((stage, baseline), {}), levels.get((stage, arm), {})
        return {name: level for name, level in own.items() if name in base and base[name] != level}

    told = tuple(replace(arm, changes=changes(arm.stage, arm.arm)) for arm in arms)
    return replace(results, metadata=replace(results.metadata, baseline=baseline, arms=told))


def _refuse_what_cannot_meet(parts: Sequence[Results]) -> None:
    """Only the same clips under the same classes and protocol can be compared; every other pair is named."""
    first, problems = parts[0], []
    names = Counter(part.metadata.name for part in parts)
    problems += [f"study {name!r}: given {times} times" for name, times in names.items() if times > 1]
    for other in parts[1:]:
        pair = f"{first.metadata.name!r} and {other.metadata.name!r}"
        if sorted(first.metadata.classes) != sorted(other.metadata.classes):
            both = " and ".join(", ".join(part.metadata.classes) for part in (first, other))
            problems.append(f"studies {pair}: other classes ({both})")
        if first.metadata.protocol != other.metadata.protocol:
            problems.append(f"studies {pair}: {first.metadata.protocol} and {other.metadata.protocol} do not compare")
        one, two = (set(part.predictions[CLIP].itertuples(index=False, name=None)) for part in (first, other))
        if one and two and one != two:
            some = min(one ^ two)
            where = first.metadata.name if some in one else other.metadata.name
            problems.append(
                f"studies {pair}: {len(one ^ two)} clips are in one of them only, such as dataset {some[0]!r}, subject "
                f"{some[1]!r}, clip {some[2]!r} in {where!r}; only predictions of the same clips can be compared"
            )
    if problems:
        raise UserError(problems)


def _read(path: Path, schema: pa.Schema) -> pa.Table:
    if not path.exists():
        raise UserError(
            f"{path}: not there; expected the folder of a study that has run (`losolab run` writes it), or a table of "
            f"predictions ({', '.join(SUFFIXES)})"
        )
    require_file(path, "a Parquet file that `losolab run` has written")
    try:
        table = pq.ParquetFile(path).read()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(f"{path}: not a readable Parquet file ({error})") from None
    missing = [name for name in schema.names if name not in table.column_names]
    if missing:
        raise UserError(f"{path}: columns missing: {', '.join(missing)}; expected {', '.join(schema.names)}")
    try:
        return table.select(schema.names).cast(schema.with_metadata(table.schema.metadata))
    except (pa.ArrowException, ValueError) as error:
        raise UserError(f"{path}: {error}; expected the types of analysis.results.results") from None
