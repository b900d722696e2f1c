from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from search_spaces.config import TrialConfig
from search_spaces.errors import UserError
from study.data.clips import CLIP_INDEX, ClipIndex
from study.data.inspection import requirements

BLANK = {field.name: None for field in CLIP_INDEX}
CONFIG = TrialConfig(frames=8)


def index(lengths=(5, 8, 9, 30, 7, 40), **columns) -> ClipIndex:
    rows = [
        BLANK
        | {"clip_id": f"c{i}", "dataset": "d", "subject": f"s{i % 3}", "label": "ab"[i % 2], "source": "none"}
        | {"onset": 2, "offset": 1 + length, "fps": 100.0, "apex": 3}
        | columns
        for i, length in enumerate(lengths)
    ]
    return ClipIndex(pa.Table.from_pylist(rows, CLIP_INDEX), Path("nowhere"), "d", ("a", "b"))


def test_what_a_dataset_does_not_have_is_refused():
    def of(data, **levels):
        return requirements.problems([replace(CONFIG, **levels)], data)

    assert of(index()) == []
    assert "6 of 6 clips have no fps" in of(index(fps=None), sampling="rate")[0]
    (problem,) = of(index(apex=None), sampling="onset_apex_offset")
    assert "no clip of d has one" in problem and "midpoint or max_difference" in problem
    assert of(index(apex=None), sampling="onset_apex_offset", apex="midpoint") == []
    assert of(index(apex=None), control="single_frame") == [], "the middle stands for it, as it always did"
    assert "landmarks: per_frame needs landmarks; 6 of 6" in of(index(), landmarks="per_frame")[0]
    assert "alignment: none needs landmarks" in of(index(), alignment="none")[0]
    assert of(index(), regions="frame", landmarks="per_frame") == []
    assert of(index(landmarks="l.csv"), landmarks="per_frame", alignment="none") == []


def test_start_72_of_clips_none_of_which_has_as_many():
    config = replace(CONFIG, sampling="start_72")
    (problem,) = requirements.problems([config], index((20, 72)))
    assert "the longest has 72" in problem and "window: 80 and window_from: onset" in problem
    assert requirements.problems([config], index((20, 73))) == []


def test_the_middle_of_a_window_is_no_apex():
    data = replace(index(), widened=2)
    asks = {"sampling": "onset_apex_offset"}
    (problem,) = requirements.problems([replace(CONFIG, apex="midpoint", **asks), replace(CONFIG, **asks)], data)
    assert "the 2 clips that the option window widened" in problem
    assert requirements.problems([replace(CONFIG, apex="midpoint", **asks)], index()) == []
    assert requirements.problems([replace(CONFIG, apex="max_difference", **asks), CONFIG], data) == []


def test_clips_too_short_for_any_configuration_are_dropped_for_all():
    data = index()
    assert requirements.without_short([CONFIG, replace(CONFIG, short="repeat_last")], data) is data
    kept = requirements.without_short([replace(CONFIG, short="drop"), replace(CONFIG, frames=40)], data)
    assert kept.table["clip_id"].to_pylist() == ["c1", "c2", "c3", "c5"]
    assert kept.notes[0] == "short: drop leaves out 2 of 6 clips, in every configuration."
    assert kept.notes[1].startswith("classes that one subject alone shows: a (subject s2 of d).")
    assert requirements.without_short([replace(CONFIG, short="drop", sampling="interpolate")], data) is data


def test_nothing_left_is_refused():
    with pytest.raises(UserError, match=r"leaves out 5 of 6 clips.*class a has no clips"):
        requirements.without_short([replace(CONFIG, short="drop", frames=36)], index())


@pytest.mark.parametrize(
    ("levels", "needed"),
    [
        ({}, 8),
        ({"sampling": "interpolate"}, 1),
        ({"sampling": "start_72"}, 80),
        ({"sampling": "rate", "rate": 100.0}, 8),
        ({"sampling": "rate", "rate": 50.0}, 15),  # every second frame
        ({"sampling": "rate", "rate": 200.0}, 5),  # every frame twice; the 8th is the 4th by the nearest frame, up
    ],
)
def test_short_clips_are_counted(levels, needed):
    data = index((needed - 1 or 1, needed, needed + 1, 2 * needed))
    assert requirements.short_clips(replace(CONFIG, **levels), data.table.to_pylist(), data) == (needed > 1)


def test_where_frames_come_unevenly_their_times_say_what_is_short():
    data = index((10, 10), fps=100.0)
    slow_at_the_end = [0.01 * number for number in range(7)] + [0.1 * number for number in range(1, 9)]
    rate = replace(CONFIG, sampling="rate", rate=50.0)
    assert requirements.short_clips(rate, data.table.to_pylist(), data) == 2
    timed = replace(data, times={"none": slow_at_the_end})
    assert requirements.short_clips(rate, data.table.to_pylist(), timed) == 0
    dropping = replace(rate, short="drop", frames=40)
    with pytest.raises(UserError, match="leaves out 2 of 2 clips"):
        requirements.without_short([dropping], timed)
    assert requirements.problems([rate], timed) == []
    in_slow_motion = replace(data, times={"none": [10 * time for time in slow_at_the_end]})
    (problem,) = requirements.problems([rate], in_slow_motion)
    assert (
        "frames of 2 of 2 clips (c0, c1) come unevenly, and all over 3 times faster or slower than fps says" in problem
    )


def test_what_is_made_up_is_noted():
    data = index(apex=None)
    told = requirements.notes([CONFIG, replace(CONFIG, frames=36, short="repeat_last"), CONFIG], data)
    assert told == [
        "2 of 6 clips have fewer frames than a configuration asks for (sampling: uniform, frames: 8); "
        "short: repeat_evenly fills up.",
        "5 of 6 clips have fewer frames than a configuration asks for (sampling: uniform, frames: 36); "
        "short: repeat_last fills up.",
    ]
    (told,) = requirements.notes([replace(CONFIG, frames=2, control="single_frame")], data)
    assert told == "6 of 6 clips have no annotated apex; their middle frame stands for it."


def test_the_plan_tells_it_with_everything_else(small):
    baseline = {"regions": "eyes", "landmarks": "per_frame", "frames": 6, "kernel_time": 15}
    with pytest.raises(UserError) as error:
        small.prepared(baseline=baseline, stages={"ablate": {"design": "one_at_a_time", "controls": ["null"]}})
    told = "\n".join(error.value.problems)
    assert "kernel_time: 15 frames" in told
    assert "landmarks: per_frame needs landmarks" in told


def test_dropped_clips_are_in_no_configuration(small):
    stages = {"ablate": {"design": "listed", "seeds": 1, "arms": {"long": {"frames": 28, "short": "drop"}}}}
    baseline = {"architecture": "full_face", "frames": 6, "crop": 16, "kernel_time": 3, "filters": 2, "epochs": 1}
    folder = small.run(baseline=baseline, stages=stages)
    found = pq.read_table(folder / "predictions.parquet").to_pandas()
    counts = found.groupby("arm" if "arm" in found else "configuration").clip_id.nunique()
    assert counts.nunique() == 1 and 0 < counts.iloc[0] < 25
