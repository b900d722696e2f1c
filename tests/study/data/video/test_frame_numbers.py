"""Frames are the right ones: videos carry each frame's number in the picture, as a bar code, in every kind of file
that decoders get wrong.
"""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from search_spaces.config import TrialConfig
from search_spaces.errors import UserError
from search_spaces.network_inputs import data_parts
from study.data.cache import content_digests, store
from study.data.cache.content_digests import Contents
from study.data.inspection import frame_rates
from study.data.inspection.dataset_check import check, facts
from study.data.readers import manifest
from study.data.sampling import sample
from study.data.video import video_files
from study.data.video.decode import by_decord, by_pyav, count
from study.data.video.video_files import held
from tests.decoded import decode

SIZE, BITS, CELL = 128, 8, 16

ENCODERS = {
    "h264_b_frames.mp4": ("libx264", "yuv420p", {"bf": "3", "g": "12", "x264-params": "open-gop=0"}),
    "h264_open_gop.mp4": (
        "libx264",
        "yuv420p",
        {"bf": "3", "g": "12", "x264-params": "open-gop=1:keyint=12:min-keyint=12"},
    ),
    "mjpeg.avi": ("mjpeg", "yuvj420p", {}),
    "xvid_b_frames.avi": ("mpeg4", "yuv420p", {"bf": "2", "g": "12", "vtag": "xvid"}),
    "mpeg4.mkv": ("mpeg4", "yuv420p", {"bf": "2", "g": "12"}),
}


def picture(number: int) -> np.ndarray:
    """Bars from left to right, the lowest bit first: white is 1. RGB [128, 128, 3]."""
    bits = np.array([number >> bit & 1 for bit in range(BITS)], np.uint8)
    row = np.repeat(bits * 200 + 28, SIZE // BITS)
    return np.broadcast_to(row[None, :, None], (SIZE, SIZE, 3)).copy()


def numbers(frames: np.ndarray) -> list[int]:
    """What gray frames [n, H, W] say that they are, at any size."""
    width = frames.shape[2] // BITS
    middles = frames[:, frames.shape[1] // 2, width // 2 :: width][:, :BITS]
    return [sum(int(bit) << place for place, bit in enumerate(row > 128)) for row in middles]


def write(path: Path, count: int, name: str) -> Path:
    """`count` frames by one of ENCODERS."""
    encoder, pixels, options = ENCODERS[name]
    return encode(path, range(count), encoder, pixels, options)


def encode(path: Path, stamps: range, encoder: str, pixels: str, options: dict[str, str], times=None) -> Path:
    """Frames with these numbers; at these times (in 100ths of a second) where the frame rate varies."""
    with av.open(str(path), "w") as container:
        rest = dict(options)
        tag = rest.pop("vtag", None)
        video = container.add_stream(encoder, rate=25, options=rest)
        video.width = video.height = SIZE
        video.pix_fmt = pixels
        if tag:
            video.codec_context.codec_tag = tag
        if times is not None:
            video.codec_context.time_base = Fraction(1, 100)
        video.codec_context.thread_count = 1
        for place, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(picture(stamp), format="rgb24").reformat(format=pixels)
            if times is not None:
                frame.pts, frame.time_base = times[place], Fraction(1, 100)
            container.mux(video.encode(frame))
        container.mux(video.encode())
    return path


def varying(path: Path, count: int) -> Path:
    """H.264 whose frames last 10 to 70 ms."""
    times = np.cumsum([1 + (number * 5) % 7 for number in range(count)]).tolist()
    return encode(path, range(count), "libx264", "yuv420p", {"bf": "2", "g": "12"}, times)


def trimmed(path: Path, whole: Path, start: float) -> Path:
    """The video from `start` seconds on, not encoded again: packets from the key frame before, and an edit list."""
    with (
        av.open(str(whole)) as old,
        av.open(str(path), "w", options={"use_editlist": "1", "avoid_negative_ts": "disabled"}) as new,
    ):
        source = old.streams.video[0]
        stream = new.add_stream_from_template(source)
        old.seek(int(start / source.time_base), stream=source)
        shift = int(start / source.time_base)
        for packet in old.demux(source):
            if packet.dts is not None:
                packet.pts -= shift
                packet.dts -= shift
                packet.stream = stream
                new.mux(packet)
    return path


LENGTH = 60
NAMES = [*ENCODERS, "varying.mp4", "trimmed.mp4", "images"]


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> dict[str, tuple[Path, range]]:
    """Of each kind a source of frames, and the numbers that they carry."""
    folder = tmp_path_factory.mktemp("numbered")
    made = {name: (write(folder / name, LENGTH, name), range(LENGTH)) for name in ENCODERS}
    made["varying.mp4"] = varying(folder / "varying.mp4", LENGTH), range(LENGTH)
    whole = folder / "h264_b_frames.mp4"
    made["trimmed.mp4"] = trimmed(folder / "trimmed.mp4", whole, 0.6), range(15, LENGTH)
    made["images"] = images(folder / "images"), range(LENGTH)
    return made


def images(folder: Path) -> Path:
    """Frames 0 to 59 as reg_img12.png, ..., written in another order than theirs, one by one in gray and in colour."""
    folder.mkdir()
    for number in reversed(range(LENGTH)):
        image = Image.fromarray(picture(number))
        (image if number % 2 else image.convert("L")).save(folder / f"s1_reg_img{number + 7}.png")
    (folder / "Thumbs.db").write_text("not a frame")
    return folder


@pytest.mark.parametrize("decoder", [by_decord, by_pyav])
@pytest.mark.parametrize("name", NAMES)
def test_whole_clips(sources, name, decoder):
    if decoder is by_decord:
        pytest.importorskip("decord")
    path, carried = sources[name]
    assert numbers(decode(path, 0, len(carried) - 1, decoder)) == list(carried)
    assert numbers(decode(path, 13, 37, decoder)) == list(carried)[13:38]
    assert count(path) == len(carried)


@pytest.mark.parametrize("name", NAMES)
def test_one_frame_too_many_is_told(sources, name):
    path, carried = sources[name]
    with pytest.raises(UserError, match=f"{name}: has {len(carried)} frames, the annotation needs {len(carried) + 1}"):
        decode(path, 2, len(carried))


def test_seeking_is_wrong_where_reading_in_order_is_right(sources):
    """What the rule is for: if this fails, decord no longer lies, and the tests above prove less."""
    decord = pytest.importorskip("decord")
    path, carried = sources["trimmed.mp4"]
    video = decord.VideoReader(str(path), num_threads=1)
    assert len(video) > len(carried)
    sought = [numbers(video[place].asnumpy()[None, ..., 0])[0] for place in (30, 5, 40, 20)]
    assert sought != [carried[place] for place in (30, 5, 40, 20)]


@pytest.mark.parametrize("name", ["mjpeg.avi", "xvid_b_frames.avi"])
def test_an_avi_cut_in_half_is_found_though_every_library_reads_it(sources, name, tmp_path):
    whole = sources[name][0].read_bytes()
    half = tmp_path / "half.avi"
    half.write_bytes(whole[: len(whole) // 2])
    assert held(half).promised == LENGTH
    assert 0 < held(half).coded < LENGTH
    with pytest.raises(UserError, match=f"half.avi: is cut: its header says {LENGTH} frames, it holds"):
        decode(half, 0, 3)


def test_a_video_that_lacks_a_frame_is_taken_and_noted_and_not_read_again(sources, tmp_path, monkeypatch):
    content = bytearray(sources["mjpeg.avi"][0].read_bytes())
    length = content.index(b"strh") + 40  # dwLength of the AVI's stream header
    content[length : length + 4] = (LENGTH + 1).to_bytes(4, "little")
    (tmp_path / "lacks.avi").write_bytes(content)
    rows = [
        f"c{s},{s},{s},0,{LENGTH - 1},{source}" for s, source in (("a", "lacks.avi"), ("b", sources["mjpeg.avi"][0]))
    ]
    (tmp_path / "clips.csv").write_text("clip_id,subject,label,onset,offset,source\n" + "\n".join(rows))
    index = manifest.read(tmp_path, {})
    monkeypatch.setattr(content_digests, "SETTLED", -1.0)  # a file may be new and known
    read, asked = video_files.held, []
    monkeypatch.setattr(video_files, "held", lambda path: asked.append(path) or read(path))
    (note,) = frame_rates.notes(index, Contents(tmp_path / "contents.json"))
    assert len(asked) == 2
    assert frame_rates.notes(index, Contents(tmp_path / "contents.json")) == [note]
    assert len(asked) == 2, "a second run reads no video"
    (tmp_path / "lacks.avi").write_bytes(sources["mjpeg.avi"][0].read_bytes())
    assert frame_rates.notes(index, Contents(tmp_path / "contents.json")) == []
    (tmp_path / "lacks.avi").write_bytes(content)
    assert "1 of 2 videos hold fewer frames than their headers promise (lacks.avi 1)" in note
    assert numbers(decode(tmp_path / "lacks.avi", 0, LENGTH - 1)) == list(range(LENGTH))


@pytest.mark.parametrize("name", ["h264_b_frames.mp4", "mpeg4.mkv", "mjpeg.avi"])
def test_no_word_on_the_terminal_but_the_error(sources, name, tmp_path, capfd):
    whole = sources[name][0].read_bytes()
    for damage in (whole[: len(whole) // 2], b"", b"no video" * 99, whole[:200] + bytes(2000) + whole[2200:]):
        path = tmp_path / name
        path.write_bytes(damage)
        try:
            decode(path, 0, LENGTH - 1)
        except UserError as error:
            assert str(path) in str(error)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_phones_video_is_upright_by_both_decoders(sources, turns, tmp_path):
    path = turned(tmp_path / "phone.mp4", sources["h264_b_frames.mp4"][0], turns)
    found = decode(path, 0, LENGTH - 1, by_pyav)
    assert numbers(np.rot90(found, turns, (1, 2))) == list(range(LENGTH))
    pytest.importorskip("decord")
    assert np.array_equal(decode(path, 0, LENGTH - 1, by_decord), found)


def turned(path: Path, whole: Path, turns: int) -> Path:
    """The video with a header that says: show it turned clockwise by so many quarters."""
    content = bytearray(whole.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40  # ISO/IEC 14496-12, 8.3.2: version 0
    cos, sin = [(0, 1), (-1, 0), (0, -1)][turns - 1]
    values = (cos, sin, 0, -sin, cos, 0)
    content[matrix : matrix + 24] = b"".join((value << 16).to_bytes(4, "big", signed=True) for value in values)
    path.write_bytes(content)
    return path


RULES = {
    "uniform": [0, 12, 24, 35, 47, 59],
    "first": [0, 1, 2, 3, 4, 5],
    "centre": [27, 28, 29, 30, 31, 32],
    "rate": [0, 3, 5, 8, 10, 13],
    "onset_apex_offset": [0, 7, 13, 20, 40, 59],
}


@pytest.mark.parametrize("name", ["h264_open_gop.mp4", "images"])
def test_every_temporal_rule(sources, name, tmp_path):
    """From a source of 60 frames at 25 a second, frame by frame, through the cache."""
    clips = loaded(sources[name][0], tmp_path, apex=20)
    config = TrialConfig(frames=6, crop=64, kernel_time=3)
    seen = {rule: sampled(clips, replace(config, sampling=rule, rate=10.0)) for rule in RULES}
    assert seen == RULES
    assert sampled(clips, replace(config, frames=3, sampling="onset_apex_offset")) == [0, 20, 59]
    assert sampled(clips, replace(config, frames=60, sampling="interpolate")) == list(range(60))
    assert sampled(clips, replace(config, sampling="start_72", short="repeat_last")) == [59] * 6


def test_a_rate_goes_by_the_times_of_a_video_whose_own_varies(sources, tmp_path):
    """Not by the mean that its header or the table say; what counts frames, and a steady video, are as they were."""
    path, onset = sources["varying.mp4"][0], 5
    config = TrialConfig(frames=6, crop=64, kernel_time=3, sampling="rate", rate=10.0)
    plain = loaded(path, tmp_path, apex=20, first=onset)
    index = frame_rates.timed([config], manifest.read(tmp_path, {}), Contents(tmp_path / "contents.json"))
    clips = store.load(index, ("face",), tmp_path / "cache")
    with av.open(str(path)) as container:
        times = np.array([frame.time for frame in container.decode(video=0)][onset:])
    apart = [np.abs(times - times[0] - step / 10).round(9) for step in range(6)]
    nearest = [int(np.flatnonzero(one == one.min())[-1]) for one in apart]  # halves up, as at a steady rate
    assert sampled(clips, config) == [onset + number for number in nearest] != sampled(plain, config)
    uniform = replace(config, sampling="uniform")
    assert sampled(clips, uniform) == sampled(plain, uniform)
    assert clips.digests.keys() - plain.digests.keys() == {"times"}
    assert clips.data_digest(data_parts(config)) != plain.data_digest(data_parts(config))
    assert clips.data_digest(data_parts(uniform)) == plain.data_digest(data_parts(uniform))
    (note,) = frame_rates.notes(index, Contents(tmp_path / "contents.json"))
    assert "1 of 1 videos have a frame rate that varies" in note and "varying.mp4" in note
    assert note in facts(check("manifest", tmp_path, {}))["notes"]


def test_start_72_begins_where_the_paper_does(tmp_path):
    path = write(tmp_path / "long.avi", 100, "mjpeg.avi")
    clips = loaded(path, tmp_path, apex=20, last=99)
    assert sampled(clips, TrialConfig(frames=20, crop=64, sampling="start_72")) == list(range(72, 92))


def loaded(source: Path, folder: Path, apex: int, last: int = LENGTH - 1, first: int = 0):
    """A clip of a source, and another subject's that is not looked at, through manifest and cache."""
    (folder / "other").mkdir()
    for number in range(2):
        Image.new("L", (8, 8)).save(folder / f"other/{number}.png")
    rows = [f"clipa,a,x,{first},{apex},{last},25,{source}", "clipb,b,y,0,1,1,25,other"]
    table = folder / "clips.csv"
    table.write_text("clip_id,subject,label,onset,apex,offset,fps,source\n" + "\n".join(rows))
    return store.load(manifest.read(table, {}), ("face",), folder / "cache")


def sampled(clips, config: TrialConfig) -> list[int]:
    return numbers(sample(clips, config, 0)["face"][0])
