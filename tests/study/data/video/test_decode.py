import av
import numpy as np
import pytest

from search_spaces.errors import UserError
from study.data.synthetic.dataset import clips
from study.data.synthetic.renderer import render
from study.data.video.decode import by_decord, by_pyav, count, gray
from tests.decoded import decode

FRAMES = {"again": 77, "eat": 47, "help": 58, "milk": 51, "sorry": 73, "thanks": 51}  # as the clips' README has it


@pytest.mark.parametrize("word", FRAMES)
def test_real_clips(media, word):
    path, frames = media / f"{word}.mkv", FRAMES[word]
    assert count(path) == frames
    assert decode(path, 0, frames - 1).shape == (frames, 480, 640)
    with pytest.raises(UserError, match=f"has {frames} frames, the annotation needs {frames + 1}"):
        decode(path, frames, frames)


def test_both_decoders_give_the_same_bits_of_a_real_clip(media):
    pytest.importorskip("decord")
    path = media / "eat.mkv"
    assert np.array_equal(decode(path, 0, 46, by_decord), decode(path, 0, 46, by_pyav))


def test_both_decoders_give_the_same_bits_of_every_codec(dataset, spec):
    pytest.importorskip("decord")
    for one in {one.codec: one for one in clips(spec)}.values():
        path, last = dataset / one.source, one.motion.length - 1
        assert np.array_equal(decode(path, 0, last, by_decord), decode(path, 0, last, by_pyav)), one.codec


def test_what_was_rendered_comes_back_frame_by_frame(dataset, spec):
    for one in clips(spec):
        frames = render(one.subject, one.motion)
        assert count(dataset / one.source) == len(frames)
        found = decode(dataset / one.source, one.motion.onset, one.motion.offset)
        error = np.abs(found.astype(int) - frames[one.motion.onset : one.motion.offset + 1]).mean()
        assert error < 4, one.codec


def test_gray_is_rounded_luma():
    rgb = np.array([[[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 20, 30]]], np.uint8)
    assert gray(rgb).tolist() == [[255, 0, 77, 149, 29, 18]]


def one_problem(path, last):
    with pytest.raises(UserError) as error:
        decode(path, 0, last)
    assert len(error.value.problems) == 1 and str(path) in error.value.problems[0]
    return error.value.problems[0]


def test_bad_files_are_refused(tmp_path):
    assert "no such video" in one_problem(tmp_path / "none.mp4", 3)
    (tmp_path / "empty.mp4").touch()
    assert "empty (0 bytes)" in one_problem(tmp_path / "empty.mp4", 3)
    (tmp_path / "text.avi").write_text("this is not a video\n" * 50)
    assert "not readable as a video" in one_problem(tmp_path / "text.avi", 3)
    with av.open(str(tmp_path / "sound.mka"), "w") as container:
        sound = container.add_stream("pcm_s16le", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout=sound.layout.name)
        silence.sample_rate = 8000
        container.mux(sound.encode(silence))
    assert "it has no picture" in one_problem(tmp_path / "sound.mka", 3)
    with pytest.raises(UserError, match="it has no picture"):
        count(tmp_path / "sound.mka")


@pytest.mark.parametrize("codec, suffix", [("h264", ".mp4"), ("mjpeg", ".avi"), ("mpeg4", ".avi")])
def test_half_a_file_is_refused(dataset, spec, tmp_path, codec, suffix):
    one = next(one for one in clips(spec) if one.codec == codec)
    whole = (dataset / one.source).read_bytes()
    half = tmp_path / f"half{suffix}"
    half.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        UserError, match=r"not readable as a video|is cut: its header says|has \d+ frames, the annotation"
    ):
        decode(half, 0, one.motion.offset)
