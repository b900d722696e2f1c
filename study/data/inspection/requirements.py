"""Requirements of configurations on clips: which clips are refused, dropped or filled in (repeated, interpolated)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from search_spaces.config import FACTORS, TrialConfig
from search_spaces.errors import UserError
from search_spaces.protocols import protocol
from study.data.clips import ClipIndex, table_of
from study.data.readers.findings import SHOWN, classes_of_one_subject
from study.data.sampling import START, is_short

Row = dict[str, Any]

APART = 3  # times that all frames of a video may come faster or slower than fps says, where they come unevenly


def problems(configs: Iterable[TrialConfig], index: ClipIndex) -> list[str]:
    """What configurations ask of a dataset that it does not have, one sentence each."""
    rows, configs = index.table.to_pylist(), list(configs)
    found = [problem for name in {c.protocol: None for c in configs} for problem in _undivided(name, rows)]
    found += [problem for config in configs for problem in _lacking(config, rows, index)]
    if index.widened and any(c.apex == "midpoint" and c.is_active(FACTORS["apex"]) for c in configs):
        found.append(
            f"apex: midpoint would be the middle of the window in the {index.widened} clips that the option window "
            "widened, not of their expression; name another rule, annotated or max_difference, or leave out window"
        )
    return list(dict.fromkeys(found))


def _undivided(name: str, rows: Sequence[Row]) -> Iterator[str]:
    """Why clips cannot be divided into folds as a protocol says."""
    datasets, subjects = {row["dataset"] for row in rows}, {(row["dataset"], row["subject"]) for row in rows}
    rule = protocol(name)
    if rule.kind == "leave_one_dataset_out" and len(datasets) < 2:
        yield f"protocol: leave_one_dataset_out needs several datasets, and all clips are of {datasets.pop()}"
    if rule.kind == "subject_kfold" and rule.number > len(subjects):
        yield f"protocol: {rule.number:g} folds of {len(subjects)} subjects; expected: at most as many"


def _lacking(config: TrialConfig, rows: Sequence[Row], index: ClipIndex) -> Iterator[str]:
    if config.sampling == "rate" and (lost := sum(row["fps"] is None for row in rows)):
        yield f"sampling: rate needs each clip's frames a second; {lost} of {len(rows)} clips have no fps"
    if config.sampling == "rate" and (odd := [row["clip_id"] for row in rows if _contradicts_fps(row, index)]):
        yield (
            f"sampling: rate: frames of {len(odd)} of {len(rows)} clips ({', '.join(odd[:SHOWN])}) come unevenly, and "
            f"all over {APART} times faster or slower than fps says; correct fps, or give a video of a steady rate"
        )
    if config.sampling == "onset_apex_offset" and config.apex == "annotated":
        for dataset in without_apex(rows):
            yield (
                f"sampling: onset_apex_offset needs apexes, and no clip of {dataset} has one; "
                "name another rule, apex: midpoint or max_difference"
            )
    longest = max(row["offset"] - row["onset"] + 1 for row in rows)
    if config.sampling == "start_72" and longest <= START:
        yield (
            f"sampling: start_72 begins at frame {START} of a clip, and the longest has {longest}; where films hold "
            f"more than the clip, read on by the options window: {START + config.frames} and window_from: onset"
        )
    follows = config.landmarks == "per_frame" or config.alignment == "none"
    if config.regions != "frame" and follows and (lost := sum(row["landmarks"] is None for row in rows)):
        rule = "landmarks: per_frame" if config.landmarks == "per_frame" else "alignment: none"
        yield f"{rule} needs landmarks; {lost} of {len(rows)} clips have none"


def _contradicts_fps(row: Row, index: ClipIndex) -> bool:
    """Whether the times in a clip's video cannot be those at which it was recorded, as in slow motion."""
    times = index.times_of(row)
    if times is None or row["fps"] is None:
        return False
    steps = row["fps"] * np.diff(times)
    return bool(steps.min() > APART or steps.max() < 1 / APART)


def without_apex(rows: Iterable[Row]) -> list[str]:
    """The datasets in which no clip has an annotated apex."""
    having: dict[str, bool] = {}
    for row in rows:
        having[row["dataset"]] = having.get(row["dataset"], False) or row["apex"] is not None
    return sorted(dataset for dataset, has in having.items() if not has)


def without_short(configs: Iterable[TrialConfig], index: ClipIndex) -> ClipIndex:
    """The index without the clips that are too short for any configuration with `short: drop`.

    They are dropped for all configurations alike, so that every arm predicts the same clips and stays comparable;
    a note says how many. Raises UserError when too little is left.
    """
    rows = index.table.to_pylist()
    dropping = {config for config in configs if config.short == "drop" and config.is_active(FACTORS["short"])}
    kept = [row for row in rows if not any(_short(config, row, index) for config in dropping)]
    if len(kept) == len(rows):
        return index
    told = f"short: drop leaves out {len(rows) - len(kept)} of {len(rows)} clips, in every configuration"
    subjects = {(row["dataset"], row["subject"]) for row in kept}
    gone = [label for label in index.classes if label not in {row["label"] for row in kept}]
    if len(subjects) < 2 or gone:
        left = f"class {', '.join(gone)} has no clips" if gone else f"there is {len(subjects)} subject"
        raise UserError(f"{told}; then {left}: ask for fewer frames, or name another rule")
    alone = [note for note in classes_of_one_subject(kept, index.classes) if note not in index.notes]
    notes = (*index.notes, f"{told}.", *alone)
    return replace(index, table=table_of(kept), notes=notes)


def notes(configs: Iterable[TrialConfig], index: ClipIndex) -> list[str]:
    """What configurations make up where clips lack it, for the report: frames filled up, by each rule, and apexes."""
    rows, configs = index.table.to_pylist(), list(configs)
    worst: dict[str, tuple[int, str]] = {}
    for config in configs:
        asks = f"sampling: {config.sampling}, frames: {config.frames}"
        worst[config.short] = max(worst.get(config.short, (0, "")), (short_clips(config, rows, index), asks))
    found = [
        f"{most} of {len(rows)} clips have fewer frames than a configuration asks for ({asks}); short: {rule} fills up."
        for rule, (most, asks) in sorted(worst.items())
        if most
    ]
    lost = sum(row["apex"] is None for row in rows)
    if lost and any(c.apex == "annotated" and c.is_active(FACTORS["apex"]) for c in configs):
        found.append(f"{lost} of {len(rows)} clips have no annotated apex; their middle frame stands for it.")
    return found


def short_clips(config: TrialConfig, rows: Iterable[Row], index: ClipIndex) -> int:
    """How many clips (rows of the index) have fewer frames than a configuration asks for."""
    return sum(_short(config, row, index) for row in rows)


def _short(config: TrialConfig, row: Row, index: ClipIndex) -> bool:
    if config.sampling == "rate" and row["fps"] is None:
        return False  # `problems` refuses it
    return is_short(config, row["offset"] - row["onset"] + 1, row["fps"], index.times_of(row))
