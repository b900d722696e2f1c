"""Frame rates that vary: when the frames of such videos are shown, for `sampling: rate` and for a note."""

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from search_spaces.config import TrialConfig
from search_spaces.errors import UserError
from study.data.cache.content_digests import Contents
from study.data.clips import ClipIndex
from study.data.readers.findings import SHOWN
from study.data.video import video_files
from study.data.video.cropping import attempt
from study.data.video.video_files import Times
from study.system.hardware import cores


def timed(configs: Iterable[TrialConfig], index: ClipIndex, contents: Contents) -> ClipIndex:
    """The index with the times of the videos whose frame rate varies, where a configuration samples by time.

    Each video's packets are read once, and then known by the contents of the cache. A video that cannot be read has no
    times: it is refused where it is decoded.
    """
    if not any(config.sampling == "rate" for config in configs):
        return index
    found = {source: times for source, (_, times) in known(index, contents).items() if times}
    return replace(index, times=found)


def notes(index: ClipIndex, contents: Contents) -> list[str]:
    """What to know of videos whose frame rate varies, or that hold a little less than their headers promise.

    Too little to be refused (decode.CUT).
    """
    there = known(index, contents)
    contents.save()
    fewer = [f"{source} {lost}" for source, (lost, _) in there.items() if lost > 0]
    uneven = [source for source, (_, times) in there.items() if times]
    told = []
    if fewer:
        told.append(
            f"{len(fewer)} of {len(there)} videos hold fewer frames than their headers promise ({_named(fewer)}): "
            "where frames are missing from the middle, later ones stand in for those annotated; copy them again, or "
            "look at these clips."
        )
    return told + varying(uneven, len(there))


def varying(uneven: list[str], of: int) -> list[str]:
    """A note on videos whose frame rate varies; none where there are none."""
    return [
        f"{len(uneven)} of {of} videos have a frame rate that varies ({_named(uneven)}): sampling: rate takes their "
        "frames by the times in the file; all other rules count frames."
    ] * bool(uneven)


def known(index: ClipIndex, contents: Contents) -> dict[str, tuple[int, Times]]:
    """Of each video of an index, the frames that its header promises and it does not hold, and its times."""
    sources = {row["source"]: index.root / row["source"] for row in index.table.to_pylist()} if index.root else {}
    files = {source: path for source, path in sources.items() if path.is_file()}
    with ThreadPoolExecutor(cores()) as threads:
        return dict(zip(files, threads.map(partial(_known, contents), files.values()), strict=True))


def _known(contents: Contents, video: Path) -> tuple[int, Times]:
    def find() -> str:
        held = video_files.held(video)
        return json.dumps([held.lost, held.times])

    about = f"{video.resolve()}: frames lost, times"
    found = attempt(lambda: contents.remembered(about, [video], find))
    lost, times = (0, ()) if isinstance(found, UserError) else json.loads(found)
    return lost, tuple(times)


def _named(names: list[str]) -> str:
    return f"{', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''}"
