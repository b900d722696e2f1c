"""Whether clips give what configurations ask of them: what is refused, dropped or made up, before anything starts."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from search_spaces.config import FACTORS, TrialConfig
from search_spaces.errors import UserError
from study.data import decode
from study.data.building import cores
from study.data.clips import ClipIndex
from study.data.digests import Contents
from study.data.readers.survey import SHOWN, classes_of_one_subject
from study.data.sampling import START, frames_needed

Row = dict[str, Any]


def problems(configs: Iterable[TrialConfig], index: ClipIndex) -> list[str]:
    """What configurations ask of a dataset that it does not have, one sentence each."""
    rows, configs = index.table.to_pylist(), list(configs)
    found = [problem for config in configs for problem in _lacking(config, rows)]
    if index.widened and any(c.apex == "midpoint" and c.is_active(FACTORS["apex"]) for c in configs):
        found.append(
            f"apex: midpoint would be the middle of the window in the {index.widened} clips that the option window "
            "widened, not of their expression; name another rule, annotated or max_difference, or leave out window"
        )
    return list(dict.fromkeys(found))


def _lacking(config: TrialConfig, rows: Sequence[Row]) -> Iterator[str]:
    if config.sampling == "rate" and (lost := sum(row["fps"] is None for row in rows)):
        yield f"sampling: rate needs each clip's frames a second; {lost} of {len(rows)} clips have no fps"
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
    kept = [row for row in rows if not any(_short(config, row) for config in dropping)]
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
    return replace(index, table=pa.Table.from_pylist(kept, index.table.schema), notes=notes)


def notes(configs: Iterable[TrialConfig], index: ClipIndex) -> list[str]:
    """What configurations make up where clips lack it, for the report: frames filled up, by each rule, and apexes."""
    rows, configs = index.table.to_pylist(), list(configs)
    worst: dict[str, tuple[int, str]] = {}
    for config in configs:
        asks = f"sampling: {config.sampling}, frames: {config.frames}"
        worst[config.short] = max(worst.get(config.short, (0, "")), (short_clips(config, rows), asks))
    found = [
        f"{most} of {len(rows)} clips have fewer frames than a configuration asks for ({asks}); short: {rule} fills up."
        for rule, (most, asks) in sorted(worst.items())
        if most
    ]
    lost = sum(row["apex"] is None for row in rows)
    if lost and any(c.apex == "annotated" and c.is_active(FACTORS["apex"]) for c in configs):
        found.append(f"{lost} of {len(rows)} clips have no annotated apex; their middle frame stands for it.")
    return found


def lost_frames(index: ClipIndex, contents: Contents) -> list[str]:
    """A note on videos that hold a little less than their headers promise, too little to be refused (decode.CUT).

    What a video holds is read once, and then known by the contents of the cache.
    """
    sources = {row["source"]: index.root / row["source"] for row in index.table.to_pylist()}
    videos = {source: path for source, path in sources.items() if path.is_file()}
    with ThreadPoolExecutor(cores()) as threads:
        lost = dict(zip(videos, threads.map(partial(_lost, contents), videos.values()), strict=True))
    contents.save()
    fewer = [f"{source} {frames}" for source, frames in lost.items() if frames > 0]
    if not fewer:
        return []
    named = f"{', '.join(fewer[:SHOWN])}{', ...' if len(fewer) > SHOWN else ''}"
    return [
        f"{len(fewer)} of {len(videos)} videos hold fewer frames than their headers promise ({named}): where frames "
        "are missing from the middle, later ones stand in for those annotated; copy them again, or look at these clips."
    ]


def _lost(contents: Contents, video: Path) -> int:
    return int(contents.remembered(f"{video.resolve()}: frames lost", [video], lambda: str(decode.lost(video))))


def short_clips(config: TrialConfig, rows: Iterable[Row]) -> int:
    """How many clips (rows of a ClipIndex) have fewer frames than a configuration asks for."""
    return sum(_short(config, row) for row in rows)


def _short(config: TrialConfig, row: Row) -> bool:
    if config.sampling == "rate" and row["fps"] is None:
        return False  # `problems` refuses it
    return row["offset"] - row["onset"] + 1 < frames_needed(config, row["fps"])
