"""From file numbers to positions: what holds for any folder, any annotation, and any window."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from study.data.readers.annotated_clips import Sample, gaps, placed, widened
from study.data.readers.casme2 import Options
from study.data.readers.findings import Findings

folders = st.sets(st.integers(0, 60), min_size=1).map(sorted)


def sample(onset: int, apex: int | None, offset: int) -> Sample:
    return Sample("row 1", "d", "s1", "c1", onset, apex, offset, {}, Path("/data/s1/c1"), 200.0)


def place(numbers, onset, apex, offset, missing="refuse"):
    found = Findings()
    listed = {Path("/data/s1/c1"): numbers}.__getitem__
    return placed(sample(onset, apex, offset), Path("/data"), listed, Options(missing=missing), found), found


@given(folders, st.integers(0, 60), st.integers(0, 30), st.integers(-5, 35))
def test_positions_are_those_of_the_annotated_numbers(numbers, onset, length, apex):
    offset = onset + length
    row, found = place(numbers, onset, onset + apex, offset)
    anew = len(numbers) == length + 1 and numbers[0] in (0, 1) and numbers[-1] - numbers[0] == length
    anew = anew and abs(numbers[0] - onset) > 1
    whole = set(range(onset, offset + 1)) <= set(numbers)
    assert (row is not None) == (whole or anew)
    if row is None:
        (problem,) = found.problems
        assert problem.frames == len(set(range(onset, offset + 1)) - set(numbers))
        return
    assert row["offset"] - row["onset"] == length
    assert (row["apex"] is not None) == (0 <= apex <= length)
    if not anew:
        assert (numbers[row["onset"]], numbers[row["offset"]]) == (onset, offset)
        assert row["apex"] is None or numbers[row["apex"]] == onset + apex


@given(folders, st.integers(0, 60), st.integers(0, 30))
def test_kept_frames_are_those_inside(numbers, onset, length):
    row, _ = place(numbers, onset, None, onset + length, "keep")
    inside = [number for number in numbers if onset <= number <= onset + length]
    if row is not None and row["offset"] - row["onset"] != length:
        assert numbers[row["onset"] : row["offset"] + 1] == inside
    assert row is not None or len(inside) < 2


@given(st.integers(1, 80), st.integers(2, 90), st.data())
def test_a_window_holds_the_apex_and_stays_in_the_source(total, window, data):
    onset = data.draw(st.integers(0, total - 1))
    offset = data.draw(st.integers(onset, total - 1))
    apex = data.draw(st.none() | st.integers(onset, offset))
    row = {"clip_id": "c1", "onset": onset, "apex": apex, "offset": offset, "frames of the source": total}
    found = Findings()
    (wide,) = widened([row], window, found)
    frames = wide["offset"] - wide["onset"] + 1
    if total < window:
        assert len(found.problems) == 1
        return
    assert frames == max(window, offset - onset + 1)
    assert 0 <= wide["onset"] <= wide["offset"] < total
    middle = apex if apex is not None else (onset + offset) // 2
    assert wide["onset"] <= middle <= wide["offset"]
    assert "frames of the source" not in wide


@given(st.sets(st.integers(0, 40)).map(sorted))
def test_gaps_name_every_missing_number(numbers):
    named = [part.split("-") for part in gaps(0, 40, numbers).split(", ") if part]
    missing = [n for ends in named for n in range(int(ends[0]), int(ends[-1]) + 1)]
    assert missing == sorted(set(range(41)) - set(numbers))
    assert gaps(3, 2 * 10**9, [3, 5]) == "4, 6-2000000000"
