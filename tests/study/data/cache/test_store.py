import json
import re
import shutil

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from search_spaces.errors import UserError
from study.data.cache import content_digests, listing, store
from study.data.readers import manifest
from study.data.video import decode
from tests.rendered import in_memory

REGIONS = ("face", "eyes", "mouth", "frame")


@pytest.fixture
def copy(dataset, tmp_path):
    return shutil.copytree(dataset, tmp_path / "copy")


@pytest.fixture
def no_decoding(monkeypatch):
    def refuse(*arguments):
        raise AssertionError("decoded again")

    return lambda: monkeypatch.setattr(decode, "frames", refuse)


def test_videos_hold_what_was_rendered(index, spec, tmp_path):
    found, rendered = store.load(index, REGIONS, tmp_path), in_memory(spec, REGIONS)
    assert found.digests["index"] == rendered.digests["index"]
    for region in REGIONS:
        assert np.abs(found.pixels[region].astype(int) - rendered.pixels[region]).mean() < 3


def test_files_are_arrow_tensors_read_without_a_copy(index, tmp_path):
    found = store.load(index, ("eyes",), tmp_path)
    pixels = found.pixels["eyes"]
    assert not pixels.flags.writeable and not pixels.flags.owndata
    (file,) = tmp_path.glob("*.arrow")
    with pa.memory_map(str(file)) as source:
        table = pa.ipc.open_file(source).read_all()
    assert table.schema.field("pixels").type == pa.fixed_shape_tensor(pa.uint8(), (64, 64))
    assert len(table) == found.frames.sum()


def test_a_second_load_decodes_nothing(index, tmp_path, no_decoding):
    first = store.load(index, ("eyes", "mouth"), tmp_path)
    no_decoding()
    assert store.load(index, ("mouth", "eyes"), tmp_path).digests == first.digests


def test_only_missing_regions_are_built(index, tmp_path):
    store.load(index, ("eyes",), tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.arrow")}
    store.load(index, ("eyes", "mouth"), tmp_path)
    assert len(list(tmp_path.glob("*.arrow"))) == 2
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())


def test_digests_depend_on_neither_path_nor_row_order(index, copy, tmp_path, no_decoding):
    header, *lines = (copy / "clips.csv").read_text().splitlines()
    (copy / "clips.csv").write_text("\n".join([header, *reversed(lines)]))
    first = store.load(index, ("eyes",), tmp_path / "cache")
    no_decoding()
    assert store.load(manifest.read(copy, {}), ("eyes",), tmp_path / "cache").digests == first.digests


def test_another_label_changes_the_index_but_not_the_pixels(index, copy, tmp_path, no_decoding):
    first = store.load(index, ("eyes",), tmp_path / "cache")
    text = (copy / "clips.csv").read_text()
    (copy / "clips.csv").write_text(text.replace('"negative"', '"surprise"', 1))
    no_decoding()
    other = store.load(manifest.read(copy, {}), ("eyes",), tmp_path / "cache")
    assert other.digests["eyes"] == first.digests["eyes"]
    assert other.digests["index"] != first.digests["index"]


def test_another_video_under_the_same_name_is_decoded(index, copy, tmp_path):
    rows = index.table.to_pylist()
    first = store.load(index, ("eyes",), tmp_path / "cache")
    long, short = sorted(rows[:2], key=lambda row: -row["offset"])
    shutil.copy(copy / long["source"], copy / short["source"])
    assert store.load(manifest.read(copy, {}), ("eyes",), tmp_path / "cache").digests != first.digests
    assert len(list((tmp_path / "cache").glob("*.arrow"))) == 2


def test_all_bad_videos_at_once_and_nothing_written(index, copy, tmp_path):
    rows = index.table.to_pylist()
    (copy / rows[0]["source"]).write_bytes(b"")
    (copy / rows[3]["source"]).write_text("no video" * 100)
    with pytest.raises(UserError) as error:
        store.load(manifest.read(copy, {}), ("eyes", "face"), tmp_path / "cache")
    assert len(error.value.problems) == 2
    for problem, row, words in zip(error.value.problems, (rows[0], rows[3]), ("0 bytes", "not readable"), strict=True):
        assert row["clip_id"] in problem and words in problem
    assert list((tmp_path / "cache").glob("*.arrow")) == []


def test_a_face_outside_the_frame_is_named(copy, tmp_path):
    text = (copy / "clips.csv").read_text()
    (copy / "clips.csv").write_text(text.replace(",24,24,128,128", ",24,90,128,128", 1))
    with pytest.raises(UserError, match=r"clip s01_01: .*176 x 176"):
        store.load(manifest.read(copy, {}), ("face",), tmp_path / "cache")


def test_a_crash_leaves_nothing_under_the_name(index, tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError("no space left on device")

    monkeypatch.setattr(pa.RecordBatchFileWriter, "write_batch", full)
    with pytest.raises(OSError, match="no space"):
        store.load(index, ("eyes",), tmp_path)
    assert list(tmp_path.glob("*.arrow")) == []


def two(folder, first, second):
    """An index of two clips of two subjects: source, onset, offset and face of each."""
    header = "clip_id,subject,label,onset,offset,source,face_left,face_top,face_width,face_height"
    clips = (("a", *first), ("b", *second))
    rows = [f"c{s},{s},{s},{onset},{offset},{source},{face}" for s, source, onset, offset, face in clips]
    (folder / "clips.csv").write_text("\n".join([header, *rows]))
    return manifest.read(folder, {})


LEFT, RIGHT, BOTH = "0,0,80,80", "90,0,80,80", "40,0,80,80"


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (("one.mp4", 0, 8, LEFT), ("two.mp4", 8, 9, LEFT), True),
        (("one.mp4", 0, 8, LEFT), ("two.mp4", 0, 8, BOTH), True),
        (("one.mp4", 0, 7, LEFT), ("one.mp4", 8, 9, LEFT), False),
        (("one.mp4", 0, 8, LEFT), ("one.mp4", 0, 8, RIGHT), False),  # two people in one picture
        (("some", 0, 4, ",,,"), ("some", 3, 6, ",,,"), True),
        (("some", 0, 2, ",,,"), ("some", 3, 6, ",,,"), False),
        (("some", 3, 6, ",,,"), ("same", 0, 3, ",,,"), True),
    ],
)
def test_frames_of_two_subjects_are_refused(dataset, index, tmp_path, first, second, told):
    for name in ("one.mp4", "two.mp4"):
        shutil.copy(dataset / index.table["source"][0].as_py(), tmp_path / name)
    for folder, numbers in (("some", range(7)), ("same", range(3, 7))):
        (tmp_path / folder).mkdir()
        for number in numbers:
            Image.new("L", (40, 40), number).save(tmp_path / folder / f"img{number}.png")
    there = two(tmp_path, first, second)
    if not told:
        assert len(store.load(there, ("face",), tmp_path / "cache")) == 2
        return
    with pytest.raises(UserError, match=r"clips ca \(subject a of manifest\) and cb \(.*\) hold the same frames"):
        store.load(there, ("face",), tmp_path / "cache")


@pytest.mark.parametrize("left", [0, 50, 3000])
def test_a_truncated_file_is_told_with_its_remedy(index, tmp_path, left):
    store.load(index, ("eyes",), tmp_path / "cache")
    (file,) = (tmp_path / "cache").glob("*.arrow")
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(UserError, match=f"losolab data cache remove {file.stem} --storage {tmp_path}$"):
        store.load(index, ("eyes",), tmp_path / "cache")


DAMAGE = {
    "cut": lambda whole: whole[: len(whole) // 2],
    "a list": lambda whole: b"[1, 2]",
    "not UTF-8": lambda whole: whole.replace(b'"', b'"\xff', 1),
    "nested": lambda whole: b"[" * 100_000,
    "another type": lambda whole: whole.replace(b'":', b'": 7, "x":', 1),
    "a digit of a digest": lambda whole: re.sub(rb'"[0-9a-f]{64}"', b'"' + b"0" * 64 + b'"', whole, count=1),
    "a number of 5,000 digits": lambda whole: b'{"a": ' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_the_cache_remembers_is_found_again_where_it_is_damaged(
    index, tmp_path, monkeypatch, caplog, no_decoding, damage
):
    monkeypatch.setattr(content_digests, "SETTLED", -1.0)
    first = store.load(index, ("eyes",), tmp_path)
    file = tmp_path / ".building/contents.json"
    whole = file.read_bytes()
    file.write_bytes(DAMAGE[damage](whole))
    no_decoding()
    assert store.load(index, ("eyes",), tmp_path).digests == first.digests
    assert f"{file} was damaged: what it no longer knows of videos and images is found again" in caplog.text
    caplog.clear()
    assert json.loads(file.read_bytes()).keys() >= json.loads(whole).keys()
    store.load(index, ("eyes",), tmp_path)
    assert caplog.text == ""


@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b"", lambda b: b[:20], lambda b: b"junk" * 99])
def test_a_damaged_part_of_a_build_is_decoded_again(index, copy, tmp_path, caplog, damage):
    copied = manifest.read(copy, {})
    (copy / index.table["source"][0].as_py()).write_bytes(b"")  # so that the build ends with an error
    with pytest.raises(UserError, match="0 bytes"):
        store.load(copied, ("eyes",), tmp_path / "cache")
    part = next((tmp_path / "cache/.building").glob("*.npy"))
    part.write_bytes(damage(part.read_bytes()))
    found = store.load(index, ("eyes",), tmp_path / "cache")
    assert f"{part} was damaged: its clip is decoded again" in caplog.text
    assert found.digests == store.load(index, ("eyes",), tmp_path / "another").digests


def test_a_file_of_the_cache_that_says_nothing_sound_is_told(index, tmp_path):
    store.load(index, ("eyes",), tmp_path)
    (file,) = tmp_path.glob("*.arrow")
    whole = file.read_bytes()
    for damage in (b'{"dataset": 0x', b"\xff" * 13, b'{"data": "fa"', b"[" * 13, b'{"\x00": 1, "'):
        file.write_bytes(whole.replace(b'{"dataset": "', damage[:13].ljust(13)))
        assert file.read_bytes() != whole
        for use in (lambda: store.load(index, ("eyes",), tmp_path), lambda: listing.stored(tmp_path)):
            with pytest.raises(UserError, match=f"not whole .* losolab data cache remove {file.stem}"):
                use()
