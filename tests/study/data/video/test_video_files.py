"""What a video file says: its depth, how it is to be shown, which stream is the film, and when frames come."""

import struct

import av
import numpy as np
import pytest
from av.stream import Disposition

from search_spaces.errors import UserError
from study.data.inspection.file_checks import cross_check
from study.data.video import decode, video_files
from study.data.video.decode import by_pyav, count
from tests.films import film
from tests.study.data.video.test_frame_numbers import trimmed, write


def first(path):
    return next(by_pyav(path)).astype(int)


@pytest.mark.parametrize(
    ("codec", "pixels", "suffix"),
    [
        ("ffv1", "gray16le", ".mkv"),
        ("ffv1", "gray10le", ".mkv"),
        ("ffv1", "yuv420p12le", ".avi"),
        ("libx264", "yuv420p10le", ".mp4"),
        ("prores", "yuv422p10le", ".mov"),
        ("png", "rgb48be", ".mov"),
    ],
)
def test_videos_of_more_than_8_bits_are_refused_before_they_are_decoded(tmp_path, codec, pixels, suffix):
    path = film(tmp_path / f"deep{suffix}", codec, frames=2, pixels=pixels)
    for ask in (video_files.length, count):
        with pytest.raises(UserError, match=rf"deep\{suffix}: has pixels of more than 8 bits \({pixels}\); convert"):
            ask(path)


def shown(picture, degrees, hflip=False, vflip=False):
    """A picture turned anticlockwise to the nearest quarter, then mirrored."""
    turned = np.rot90(picture, round(degrees / 90))
    return turned[:: -1 if vflip else 1, :: -1 if hflip else 1]


TURNS = [
    *({"degrees": degrees, **mirror} for degrees in (0, 90, 180, 270) for mirror in ({}, {"hflip": True})),
    {"degrees": 0, "vflip": True},
    *({"degrees": degrees} for degrees in (1, 44, 89, 100, -1, -91)),
]


def test_pictures_are_turned_to_the_nearest_quarter_and_mirrored(tmp_path):
    as_it_is = first(film(tmp_path / "plain.mp4", frames=1))
    for number, turn in enumerate(TURNS):
        path = film(tmp_path / f"{number}.mp4", frames=1, turn=turn)
        assert np.array_equal(first(path), shown(as_it_is, **turn)), turn
    assert list(cross_check(path)) == [], "decord, which knows no such turns, is not asked"


def test_a_cover_is_not_the_film(tmp_path):
    path = film(tmp_path / "cover.mp4", sizes=((32, 32), (64, 48)), beside=Disposition.attached_pic)
    assert (count(path), video_files.length(path), first(path).shape) == (12, 12, (48, 64, 3))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_of_several_films_none_is_chosen(tmp_path, suffix):
    path = film(tmp_path / f"proxy{suffix}", sizes=((32, 24), (64, 48)))
    words = r"holds 2 films \(stream 0: mpeg4 32 x 24, stream 1: mpeg4 64 x 48\), .* ffmpeg -i FILE -map 0:0"
    for ask in (video_files.length, count):
        with pytest.raises(UserError, match=words):
            ask(path)


def test_what_an_edit_list_leaves_out_is_not_missing(tmp_path):
    """Neither frames before its begin, which are decoded and not shown, nor whole groups of pictures after its end."""
    whole = write(tmp_path / "whole.mp4", 60, "h264_b_frames.mp4")
    content = bytearray(whole.read_bytes())
    entry = content.index(b"elst") + 12  # ISO/IEC 14496-12, 8.6.6: duration in milliseconds, then the media's time
    content[entry : entry + 4] = struct.pack(">I", 1000)
    (tmp_path / "ended.mp4").write_bytes(content)
    for path, frames in ((trimmed(tmp_path / "begun.mp4", whole, 0.6), 45), (tmp_path / "ended.mp4", 25)):
        assert len(list(decode.frames(path, 0, 59))) == frames
        assert video_files.length(path) == frames
        assert video_files.held(path).lost == 0
        assert list(cross_check(path)) == []


def test_a_colour_profile_does_not_end_the_process(tmp_path):
    """PyAV 18 frees the name of a PNG's profile twice where its side data are looked at: a segmentation fault."""
    from PIL import Image, ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("RGB", (8, 8)).save(tmp_path / "one.png", icc_profile=profile)
    for _ in range(20):
        assert count(tmp_path / "one.png") == 1


UNEVEN = [0, 30, 40, 50, 90, 150, 160, 170, 200, 210, 220, 400]


@pytest.mark.parametrize(("name", "codec"), [("v.mp4", "libx264"), ("v.mkv", "mpeg4"), ("v.mov", "mjpeg")])
def test_uneven_times_are_known_without_decoding(tmp_path, name, codec):
    path = film(tmp_path / name, codec, times=UNEVEN)
    assert video_files.held(path).times == pytest.approx([time / 1000 for time in UNEVEN])
    with av.open(str(path)) as container:
        decoded = [frame.time for frame in container.decode(video=0)]
    assert video_files.held(path).times == pytest.approx([time - decoded[0] for time in decoded])


@pytest.mark.parametrize(("name", "codec"), [("s.mp4", "libx264"), ("s.mkv", "libx264"), ("s.avi", "mjpeg")])
def test_a_steady_rate_has_no_times_however_they_are_rounded(tmp_path, name, codec):
    assert video_files.held(film(tmp_path / name, codec, frames=40)).times == ()
    thirds = [round(number * 100 / 3) for number in range(40)]
    assert video_files.held(film(tmp_path / f"r{name}", codec, frames=40, times=thirds)).times == ()
