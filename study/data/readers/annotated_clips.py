"""From annotated samples to clips: corrections, label map, file numbers to positions, window; all problems at once."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import pairwise
from os.path import relpath
from pathlib import Path

from search_spaces.errors import UserError
from study.data.readers import folders
from study.data.readers.findings import SHOWN, Findings, LeftOut, Row, Survey, survey_of
from study.data.readers.label_maps import WORDS, LabelMap, normal
from study.data.readers.landmark_files import landmarks_of
from study.data.readers.options import Correction, Options
from study.data.video.cropping import attempt
from study.data.video.landmarks import check_length

FRAMES = "frames of the source"  # a row's entry until its window is known


@dataclass(frozen=True)
class Sample:
    """A clip as its owners annotate it. Frames are numbers of files; of a video, 1 is the first frame.

    labels: by kind (emotion, valence, ...), as written. source: a folder of images or a video, None where it is not
    on disk.
    """

    where: str
    dataset: str
    subject: str
    clip_id: str
    onset: int
    apex: int | None
    offset: int
    labels: Mapping[str, str]
    source: Path | None
    fps: float


def survey_samples(
    name: str, root: Path, samples: Sequence[Sample], chosen: LabelMap, options: Options, found: Findings
) -> Survey:
    """The survey of a dataset's samples under the study's options."""
    named = corrected(distinct(samples, found), options.corrections, chosen.kind, found)
    listed = cache(folders.numbers)  # several clips may lie in one video of thousands of frames
    rows = []
    for sample in labelled(named, name, chosen, found):
        if is_in_order(sample, found) and (row := placed(sample, root, listed, options, found)):
            rows.append(row | {"label": chosen.to[normal(sample.labels[chosen.kind])]})
    for row in rows:
        if row["apex"] is None:
            found.tally("apex unknown", row["clip_id"])
    rows = widened(rows, options.window, found, options.window_from)
    if not found.problems:  # where clips are missing, so may be the last of a class
        found.together(str(root), rows, chosen.classes)
    return survey_of(name, root, chosen.classes, rows, found)


def distinct(samples: Sequence[Sample], found: Findings) -> list[Sample]:
    """Several clips in one video get their onset into their names; a row that stands twice is a problem."""
    times = Counter((sample.dataset, sample.clip_id) for sample in samples)
    named: dict[tuple[str, str], Sample] = {}
    for sample in samples:
        several = times[sample.dataset, sample.clip_id] > 1
        clip_id = f"{sample.clip_id}@{sample.onset}" if several else sample.clip_id
        if (sample.dataset, clip_id) in named:
            first = named[sample.dataset, clip_id].where
            found.wrong("annotation", sample.where, f"{sample.clip_id} from {sample.onset} stands already in {first}")
        else:
            named[sample.dataset, clip_id] = replace(sample, clip_id=clip_id)
    return list(named.values())


def corrected(
    samples: Sequence[Sample], corrections: Mapping[str, Correction], kind: str, found: Findings
) -> list[Sample]:
    """The samples with the study's own corrections, which are counted; one for no clip is a problem."""
    if unknown := set(corrections) - {sample.clip_id for sample in samples}:
        for clip in sorted(unknown):
            found.wrong("option", "dataset", f"option corrections: there is no clip {clip}")
    for clip in sorted(set(corrections) - unknown):
        found.tally("annotation corrected by the study", clip)
    return [_corrected(sample, corrections.get(sample.clip_id), kind) for sample in samples]


def _corrected(sample: Sample, correction: Correction | None, kind: str) -> Sample:
    if correction is None:
        return sample
    frames = correction.model_dump(include={"onset", "apex", "offset"}, exclude_none=True)
    labels = dict(sample.labels) | ({kind: correction.label} if correction.label else {})
    return replace(sample, labels=labels, **frames)


def labelled(samples: Sequence[Sample], dataset: str, chosen: LabelMap, found: Findings) -> list[Sample]:
    """The samples whose label the map keeps. What it drops is counted; a word that is no label is a problem."""
    kept = []
    dropped: Counter[str] = Counter()
    for sample in samples:
        word = normal(sample.labels.get(chosen.kind, ""))
        words = WORDS[dataset][chosen.kind]
        if words and word not in words:
            written = sample.labels.get(chosen.kind, "")
            valid = f"{', '.join(words)}; correct it by the option corrections: {{{sample.clip_id}: {{label: ...}}}}"
            found.wrong("label", sample.where, f"{sample.clip_id}: the {chosen.kind} is {written!r}; valid: {valid}")
        elif word in chosen.to:
            kept.append(sample)
        else:
            dropped[word] += 1
            reason = f"{chosen.name} has no class for {chosen.kind} {word}"
            found.left_out.append(LeftOut(sample.clip_id, sample.where, reason))
    if dropped:
        each = ", ".join(f"{word} {times}" for word, times in sorted(dropped.items()))
        found.remarks.append(f"{chosen.name} drops {dropped.total()} of {len(samples)} clips: {each}")
    return kept


def is_in_order(sample: Sample, found: Findings) -> bool:
    """Whether the onset does not lie after the offset."""
    if sample.onset <= sample.offset:
        return True
    advice = f"correct it by the option corrections: {{{sample.clip_id}: {{offset: ...}}}}"
    text = f"{sample.clip_id}: onset {sample.onset} lies after offset {sample.offset}; {advice}"
    found.wrong("annotation", sample.where, text)
    return False


def placed(
    sample: Sample, root: Path, listed: Callable[[Path], Sequence[int]], options: Options, found: Findings
) -> Row | None:
    """A clip whose frames are positions in its source; None, with the reason noted, where it cannot be used.

    listed: the numbers of a source's frames, ascending.
    """
    if sample.source is None:
        _unusable(sample, options, found, "not on disk", "there are neither images nor a video of it")
        return None
    try:
        numbers = own_numbers(sample, listed(sample.source), found)
    except UserError as error:
        _unusable(sample, options, found, "not readable", "; ".join(error.problems))
        return None
    first, last = bisect_left(numbers, sample.onset), bisect_right(numbers, sample.offset) - 1
    wanted, there = sample.offset - sample.onset + 1, last - first + 1
    if there < wanted:
        detail = f"{wanted - there} of {wanted} frames are missing in {sample.source}"
        if options.missing != "keep" or there < 2:
            detail += f": {gaps(sample.onset, sample.offset, numbers[first : last + 1])}"
            _unusable(sample, options, found, "frames missing on disk", detail, wanted - there)
            return None
        found.tally("frames missing on disk, the others are used", sample.clip_id)
    points = attempt(partial(landmarks_of, sample.source, root, options.landmarks)) if options.landmarks else None
    if isinstance(points, UserError):
        _unusable(sample, options, found, "without landmarks", "; ".join(points.problems))
        return None
    if points and isinstance(wrong := attempt(partial(check_length, points, sample.source)), UserError):
        _unusable(sample, options, found, "unfit landmarks", "; ".join(wrong.problems))
        return None
    return {
        "clip_id": sample.clip_id,
        "dataset": sample.dataset,
        "subject": sample.subject,
        "onset": first,
        "apex": apex_position(sample, numbers, found),
        "offset": last,
        "fps": sample.fps,
        "source": relpath(sample.source, root),
        "landmarks": points and relpath(points, root),
        FRAMES: len(numbers),
    }


def _unusable(sample: Sample, options: Options, found: Findings, reason: str, detail: str, frames: int = 0) -> None:
    """Note down a clip whose images cannot be used: left out where the study says so, else a problem."""
    if options.missing == "leave_out":
        found.leave_out(sample.clip_id, sample.where, reason, detail, frames)
    else:
        ways = "missing: leave_out" if frames == 0 else "missing: leave_out, or missing: keep"
        advice = f"copy them again from where they came, or set the option {ways}"
        found.wrong(reason, sample.where, f"{sample.clip_id}: {detail}; {advice}", frames)


def own_numbers(sample: Sample, numbers: Sequence[int], found: Findings) -> Sequence[int]:
    """The numbers of the source's frames, as the annotation counts them.

    A folder that somebody numbered anew, from 0 or 1 and with as many frames as the annotation says, is the clip.
    """
    wanted = sample.offset - sample.onset + 1
    anew = len(numbers) == wanted and numbers[0] in (0, 1) and numbers[-1] == numbers[0] + wanted - 1
    if not anew or abs(numbers[0] - sample.onset) <= 1:  # by one: as well a clip one frame of which is missing
        return numbers
    found.tally("images numbered anew, taken as onset to offset", sample.clip_id)
    return range(sample.onset, sample.offset + 1)


def apex_position(sample: Sample, numbers: Sequence[int], found: Findings) -> int | None:
    """Where the apex is in the source; None where it is unknown, not on disk, or outside the clip."""
    if sample.apex is None:
        return None
    if not sample.onset <= sample.apex <= sample.offset:
        found.tally("apex annotated outside onset and offset, taken as unknown", sample.clip_id)
        return None
    at = bisect_left(numbers, sample.apex)
    return at if numbers[at : at + 1] and numbers[at] == sample.apex else None


def widened(rows: Sequence[Row], window: int | None, found: Findings, begins: str = "apex") -> list[Row]:
    """Clips with fewer frames widened to `window`: around the apex (the middle where unknown), or from the onset on.

    Around the apex, the window is moved inwards at the source's ends. Sources with fewer frames are one problem
    together.
    """
    lengths = {row["clip_id"]: row[FRAMES] for row in rows}
    plain = [{name: cell for name, cell in row.items() if name != FRAMES} for row in rows]
    if window is None:
        return plain
    room = {row["clip_id"]: row[FRAMES] - (row["onset"] if begins == "onset" else 0) for row in rows}
    if small := [clip for clip, total in room.items() if total < window]:
        fewest = min(room[clip] for clip in small)
        names = f"{', '.join(small[:SHOWN])}{', ...' if len(small) > SHOWN else ''}"
        fewer = f"have fewer frames{' from their onset on' if begins == 'onset' else ''}, down to {fewest}"
        text = f"option window is {window}; on disk {len(small)} clips {fewer} ({names})"
        found.wrong("window", "dataset", f"{text}; set a smaller window, or images that hold more than the clip")
        return plain
    for row in plain:
        if row["offset"] - row["onset"] + 1 < window:
            first = row["onset"] if begins == "onset" else first_around(row, window, lengths[row["clip_id"]])
            row |= {"onset": first, "offset": first + window - 1}
            found.tally(f"widened to {window} frames", row["clip_id"])
            found.widened += 1
    return plain


def first_around(row: Row, window: int, total: int) -> int:
    """The first frame of a window around a clip's apex in a source of this many frames."""
    middle = row["apex"] if row["apex"] is not None else (row["onset"] + row["offset"]) // 2
    return min(max(middle - window // 2, 0), total - window)


def gaps(first: int, last: int, there: Sequence[int]) -> str:
    """The numbers from first to last that are not there, which is ascending, as 3-5, 9."""
    ends = [first - 1, *there, last + 1]
    missing = [(one + 1, other - 1) for one, other in pairwise(ends) if other - one > 1]
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in missing)
