from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.errors import UserError
from study.data.video import landmarks
from study.data.video.landmarks import mean_face, on_canvas, similarity, warped

VIDEO = Path("video.mp4")  # the source: only a folder is looked at
PLACES = st.tuples(st.floats(0.2, 5), st.floats(-3, 3), st.floats(-500, 500), st.floats(-500, 500))


def moved(points, scale, angle, x, y):
    turned = points @ [1, 1j] * scale * np.exp(1j * angle) + x + 1j * y
    return np.stack([turned.real, turned.imag], axis=-1)


def umeyama(source, target):
    """PAMI 13(4), 1991, equations 40-43: rotation [2, 2], scale and shift by the SVD."""
    a, b = source - source.mean(0), target - target.mean(0)
    u, d, vt = np.linalg.svd(b.T @ a / len(a))
    s = np.diag([1, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ s @ vt
    scale = np.trace(np.diag(d) @ s) / (a**2).sum(1).mean()
    return scale * rotation, target.mean(0) - scale * rotation @ source.mean(0)


def test_the_mean_face_is_a_face():
    face = mean_face()
    assert face.shape == (68, 2)
    assert np.allclose(face[:17] * [-1, 1] + [1, 0], face[16::-1])
    assert face[30, 0] == 0.5
    assert (face[36:42, 0] < 0.5).all() and (face[42:48, 0] > 0.5).all()
    assert face[19, 1] < face[37, 1] < face[33, 1] < face[51, 1] < face[57, 1] < face[8, 1] <= 0.9
    assert face[36, 0] < face[39, 0] < face[42, 0] < face[45, 0]


@given(PLACES)
def test_a_moved_mean_face_is_brought_back(place):
    points = moved(mean_face() * 100, *place)
    assert np.allclose(on_canvas(points, similarity(points, 100)), mean_face() * 100, atol=1e-6)


@given(PLACES, st.integers(0, 100))
def test_complex_least_squares_is_umeyamas_solution(place, seed):
    points = moved(mean_face() * 50 + np.random.default_rng(seed).normal(0, 3, (68, 2)), *place)
    matrix, shift = umeyama(points, mean_face() * 80)
    assert np.allclose(on_canvas(points, similarity(points, 80)), points @ matrix.T + shift, atol=1e-6)


def test_warping_by_nothing_but_a_shift_is_a_crop():
    frames = np.random.default_rng(0).integers(0, 256, (3, 40, 50), dtype=np.uint8)
    warp = landmarks.Warp(1 + 0j, 10.0 - 0.5 + 1j * (5.0 - 0.5))  # the canvas's first pixel is frame pixel (10, 5)
    assert np.array_equal(warped(frames, warp, 20), frames[:, 5:25, 10:30])


def test_warping_turns_the_frame():
    frames = np.random.default_rng(0).integers(0, 256, (1, 30, 30), dtype=np.uint8)
    quarter = landmarks.Warp(1j, 29.5 - 0.5j)  # the canvas's x runs down, its y to the left
    assert np.array_equal(warped(frames, quarter, 30)[0], frames[0, :, ::-1].T)


def test_between_pixels_it_is_linear_and_beyond_the_frame_its_edge():
    ramp = np.broadcast_to(np.arange(0, 200, 10, dtype=np.uint8), (1, 20, 20))
    half = landmarks.Warp(1 + 0j, 3 + 0j)  # half a pixel to the right of pixel 3
    assert warped(ramp, half, 4)[0, 0].tolist() == [35, 45, 55, 65]
    assert (warped(ramp, landmarks.Warp(1 + 0j, 100 + 100j), 4) == 190).all()


POINTS = np.arange(5 * 68 * 2, dtype=float).reshape(5, 68, 2)


def test_openface_npy_and_folders_are_read(openface, tmp_path):
    table = openface(tmp_path / "clip.csv", POINTS)
    np.save(tmp_path / "clip.npy", POINTS)
    (tmp_path / "frames").mkdir()
    for number, points in enumerate(POINTS):
        np.save(tmp_path / "frames" / f"img{number + 8}.npy", points)
    for path in (table, tmp_path / "clip.npy", tmp_path / "frames"):
        assert np.array_equal(landmarks.read(path, 1, 3, VIDEO), POINTS[1:4]), path


def test_frames_without_a_face_are_told_when_they_are_needed(openface, tmp_path):
    table = openface(tmp_path / "clip.csv", POINTS, (1, 1, 0, 1, 0))
    assert landmarks.read(table, 0, 1, VIDEO).shape == (2, 68, 2)
    with pytest.raises(
        UserError, match=r"clip.csv: no face was found in 2 frames of the clip \(2, 4, counted from 0\)"
    ):
        landmarks.read(table, 0, 4, VIDEO)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda p: None, "no such file of landmarks"),
        (lambda p: p.mkdir(), "holds no landmarks"),
        (lambda p: np.save(p.open("wb"), POINTS[:, :5]), r"expected: numbers \[frames, 68, 2\]"),
        (lambda p: p.write_text("nothing"), "not readable as an array"),
        (lambda p: np.save(p.open("wb"), POINTS[:2]), "landmarks of 2 frames, the annotation needs 5"),
    ],
)
def test_bad_landmarks_are_told(tmp_path, write, words):
    path = tmp_path / "clip.npy"
    write(path)
    with pytest.raises(UserError, match=words):
        landmarks.read(path, 0, 4, VIDEO)


def test_a_table_of_something_else_is_told(tmp_path):
    (tmp_path / "clip.csv").write_text("frame,x_0\n1,2\n")
    with pytest.raises(UserError, match="135 columns are missing"):
        landmarks.read(tmp_path / "clip.csv", 0, 0, VIDEO)


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        ((-1, 1, 2), "frame is -1; valid: whole numbers, the source's first frame is 1"),
        ((1, 2, 2), "frames that stand there twice: 2"),
        ((1, 2.5, 3), "frame is 2.5"),
        ((1, 2, "x"), "column frame: .*valid: numbers"),
        ((1, 2, 2e9), "3 rows, and one of frame 2000000000"),
    ],
)
def test_a_table_that_does_not_say_which_frame_is_whose(openface, tmp_path, frames, words):
    table = openface(tmp_path / "clip.csv", POINTS[:3], (1, 1, 1))
    header, *rows = table.read_text().splitlines()
    rows = [f"{frame},{row.partition(',')[2]}" for frame, row in zip(frames, rows, strict=True)]
    table.write_text("\n".join([header, *rows]))
    with pytest.raises(UserError, match=words):
        landmarks.read(table, 0, 1, VIDEO)


def folder_of(path, numbers, name):
    path.mkdir()
    for number in numbers:
        np.save(path / name.format(number), mean_face() + number)
    return path


def images_of(path, numbers):
    path.mkdir()
    for number in numbers:
        (path / f"img{number}.png").write_bytes(b"its name is enough")
    return path


@pytest.mark.parametrize(
    ("images", "points", "found"),
    [
        ((3, 5, 8), (3, 5, 8), [3, 5, 8]),
        ((3, 5, 8), range(2, 10), [3, 5, 8]),  # by number, not by place
        ((3, 5, 8), (0, 1, 2), [0, 1, 2]),  # numbered anew
    ],
)
def test_files_belong_to_the_images_of_their_numbers(tmp_path, images, points, found):
    source = images_of(tmp_path / "images", images)
    points = folder_of(tmp_path / "points", points, "p{}.npy")
    assert np.allclose(landmarks.read(points, 0, 2, source)[:, 0, 0] - mean_face()[0, 0], found)


def test_a_missing_file_never_shifts_the_others(tmp_path):
    points = folder_of(tmp_path / "points", (1, 2, 4, 5), "p{}.npy")
    with pytest.raises(UserError, match=r"lacks the landmarks of 1 images of .*: 3"):
        landmarks.read(points, 0, 3, images_of(tmp_path / "images", range(1, 6)))
    with pytest.raises(UserError, match="lacks 3 between its files"):
        landmarks.read(points, 0, 3, VIDEO)
    (points / "p4.npy").write_bytes(b"no array")
    (points / "p3.npy").write_bytes(b"")
    with pytest.raises(UserError) as error:
        landmarks.read(points, 0, 3, VIDEO)
    assert [name in problem for name, problem in zip(("p3", "p4"), error.value.problems, strict=True)] == [True, True]


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A video of eight frames."""
    path = tmp_path_factory.mktemp("film") / "film.avi"
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width = video.height = 32
        for number in range(8):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 9 * number, np.uint8), "rgb24")
            container.mux(video.encode(frame.reformat(format="yuv420p")))
        container.mux(video.encode())
    return path


FACES = mean_face() * 20 + np.arange(80)[:, None, None]


@pytest.mark.parametrize("kind", ["csv", "npy", "folder"])
@pytest.mark.parametrize("count", [5, 7, 9, 16])
def test_landmarks_of_another_length_are_refused(openface, film, tmp_path, kind, count):
    path = tmp_path / f"clip.{kind}"
    if kind == "folder":
        path.mkdir()
        for number in range(count):
            np.save(path / f"{number}.npy", FACES[number])
    elif kind == "npy":
        np.save(path, FACES[:count])
    else:
        openface(path, FACES[:count], [1] * count)
    pictures = images_of(tmp_path / "pictures", range(1, 9))
    for source in (film, pictures):
        if kind == "folder" and source is pictures:
            continue  # their files are matched by number
        with pytest.raises(UserError, match=rf"clip.{kind}: has landmarks of {count} frames, .* has 8; make them"):
            landmarks.read(path, 1, 3, source)
        with pytest.raises(UserError, match=rf"clip.{kind}: has landmarks of {count} frames, .* has 8; make them"):
            landmarks.check_length(path, source)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("start", [0, 1])
def test_tables_count_from_0_or_1_and_are_separated_as_programs_do(openface, film, tmp_path, start, separator):
    header, *rows = openface(tmp_path / "clip.csv", FACES[:8], [1] * 8).read_text().splitlines()
    rows = [f"{number},{row.partition(',')[2]}" for number, row in enumerate(rows, start)]
    text = "\n".join([header, *rows, "," * header.count(",")])  # and an empty row at the end
    (tmp_path / "clip.csv").write_text(text.replace(",", separator))
    assert np.allclose(landmarks.read(tmp_path / "clip.csv", 2, 4, film), FACES[2:5])
    landmarks.check_length(tmp_path / "clip.csv", film)


def test_points_that_are_all_zero_are_a_lost_face(openface, film, tmp_path):
    points = FACES[:8].copy()
    points[[3, 5]] = 0
    np.save(tmp_path / "clip.npy", points)
    openface(tmp_path / "clip.csv", points, [1] * 8)
    for name in ("clip.npy", "clip.csv"):
        with pytest.raises(UserError, match=rf"{name}: no face was found in 2 frames .* \(3, 5, counted from 0"):
            landmarks.read(tmp_path / name, 1, 6, film)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (" x_3", " x_2", "columns that stand there twice: x_2"),
        ("\n1,", "\n1_0,", "column frame: '1_0' is no number; valid: numbers with a decimal point"),
        ("\n1,", "\n١,", "column frame: '١' is no number"),
        ("\n1,", "\n1,1,", "not readable as CSV"),
        ("\n1,", "\nNA,", "frame is nan; valid: whole numbers"),
    ],
)
def test_a_damaged_table_is_told(openface, film, tmp_path, old, new, words):
    table = openface(tmp_path / "clip.csv", FACES[:8], [1] * 8)
    text = table.read_text()
    assert old in text
    table.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError, match=words):
        landmarks.read(table, 0, 1, film)
