from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import ExifTags, Image

from search_spaces.errors import UserError
from study.data.video.cropping import Wanted, cut_source
from study.data.video.decode import count
from study.data.video.images import frame_number, image_files
from tests.decoded import decode


def save(folder, name, pixels):
    folder.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(folder / name)


def gray(value, size=(6, 8)):
    return np.full(size, value, np.uint8)


def test_frames_are_in_the_order_of_the_last_number_in_their_stem(tmp_path):
    for name, value in (("s2_img10.png", 10), ("s2_img2.png", 2), ("s2_img1.png", 1), ("S02_img0003.png", 3)):
        save(tmp_path, name, gray(value))
    (tmp_path / "notes.txt").write_text("no frame")
    (tmp_path / "._s2_img1.png").write_bytes(b"what macOS leaves beside a file")
    names = ["s2_img1.png", "s2_img2.png", "S02_img0003.png", "s2_img10.png"]
    assert [path.name for path in image_files(tmp_path)] == names
    assert decode(tmp_path, 1, 3)[:, 0, 0].tolist() == [2, 3, 10]
    assert count(tmp_path) == 4


@pytest.mark.parametrize(
    "names",
    [
        ("cam-11-26-57-850", "cam-11-26-58-000", "cam-11-26-58-150"),
        ("cam 10.20.59", "cam 10.21.00"),
        ("t0.70", "t1.05"),
        ("1.9", "1.11"),
        ("t0.5", "t0.35"),  # 5 < 35, but half a second is later
        ("frame0003_0.91", "frame0004_1.00"),
        ("frame_0,91", "frame_0,905"),
        ("img46", "img47", "img46 (2)"),
        ("img1", "img2", "s2_0007img0003"),
        ("2024-05-01_7", "2024-05-02_1"),
    ],
)
def test_names_whose_last_number_is_not_the_order_are_refused(tmp_path, names):
    for number, name in enumerate(names):
        save(tmp_path, f"{name}.png", gray(number))
    with pytest.raises(UserError, match=r"the last number of a name does not tell.*; move away.*img0001"):
        image_files(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        ("006_5562", "006_05563"),
        ("EP01_5-9", "EP01_5-10"),
        ("t0.08", "t0.12"),
        ("05-01_1", "05-01_11"),
        ("1.8", "1.9", "1.10", "1.11"),
        ("clip2.9", "clip2.10"),
        ("s01.99", "s01.100"),
    ],
)
def test_names_of_several_numbers_may_tell_the_order(tmp_path, names):
    for name in names:
        save(tmp_path, f"{name}.png", gray(0))
    assert [path.stem for path in image_files(tmp_path)] == list(names)


def test_padding_and_missing_numbers_do_not_matter(tmp_path):
    for name in ("006_05562.png", "006_5563.png", "006_05570.png"):
        save(tmp_path, name, gray(frame_number(tmp_path / name) % 256))
    assert decode(tmp_path, 0, 2)[:, 0, 0].tolist() == [5562 % 256, 5563 % 256, 5570 % 256]


def test_gray_is_taken_as_it_is_and_colour_by_the_rule_of_videos(tmp_path):
    colour = np.zeros((2, 2, 3), np.uint8)
    colour[...] = (10, 20, 30)
    save(tmp_path, "1.bmp", colour)
    save(tmp_path, "2.bmp", gray(77, (2, 2)))
    assert decode(tmp_path, 0, 1)[:, 0, 0].tolist() == [18, 77]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: save(f, "cover.png", gray(1)), "cover.png: no number in the name"),
        (lambda f: save(f, "img01.bmp", gray(1)), "is frame 1, and so is img01.bmp"),
        (lambda f: (f / "img2.png").write_bytes((f / "img2.png").read_bytes()[:60]), "img2.png: not readable"),
        (lambda f: (f / "img2.png").write_text("no image"), "img2.png: is not an image"),
        (lambda f: (f / "img2.png").write_bytes(b""), "img2.png: is not an image"),
        (lambda f: save(f, "img2.png", gray(1, (3, 3))), "different sizes"),
        (lambda f: save(f, "img2.png", np.ones((6, 8), np.uint16)), "more than 8 bits"),
        (lambda f: (f / "img3.png").unlink(), "has 2 frames, the annotation needs 3"),
    ],
)
def test_damage_is_told_by_file(tmp_path, damage, words):
    for number in (1, 2, 3):
        save(tmp_path, f"img{number}.png", np.random.default_rng(number).integers(0, 256, (6, 8), dtype=np.uint8))
    damage(tmp_path)
    (error,) = cut_source(tmp_path, [Wanted("clip", 0, 2)], ["frame"])
    assert isinstance(error, UserError) and words in str(error)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_images_are_turned_and_mirrored_as_their_exif_says(tmp_path, suffix):
    upright = np.kron(np.array([[200, 120], [60, 0], [30, 160]], np.uint8), np.ones((8, 8), np.uint8))
    stored = {  # by EXIF's number: what stands in the file of what is shown
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
        9: upright,  # no number of EXIF's
    }
    for number, pixels in stored.items():
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = number
        Image.fromarray(pixels).save(tmp_path / f"img{number}.{suffix}", exif=exif)
    if suffix != "tif":  # there it is the header
        Image.fromarray(upright).save(tmp_path / f"img10.{suffix}", exif=b"Exif\0\0junk")
    for shown in decode(tmp_path, 0, len(image_files(tmp_path)) - 1):
        assert np.abs(shown.astype(int) - upright).max() < 5  # JPEG loses some


def test_an_empty_folder_is_told(tmp_path):
    with pytest.raises(UserError, match="holds no images; valid: "):
        decode(tmp_path, 0, 0)


DEEP = {"png": ("rgb48be", "rgba64be", "gray16be", "ya16be"), "tiff": ("rgb48le", "gray16le"), "ppm": ("rgb48be",)}


@pytest.mark.parametrize(("codec", "pixels"), [(codec, one) for codec, several in DEEP.items() for one in several])
def test_images_of_more_than_8_bits_are_refused_in_colour_too(tmp_path, codec, pixels):
    context = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt, context.time_base = 8, 6, pixels, Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(np.full((6, 8, 3), 900, np.uint16), "rgb48le").reformat(format=pixels)
    (tmp_path / "img1.png").write_bytes(b"".join(map(bytes, [*context.encode(frame), *context.encode(None)])))
    with pytest.raises(UserError, match=r"img1.png: has pixels of more than 8 bits \(.*\); convert all files"):
        decode(tmp_path, 0, 0)
