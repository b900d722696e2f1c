"""`losolab data check`: every planted problem is listed and counted, and nothing else is."""

import csv
import json
import shutil

import numpy as np
import pytest
from openpyxl import Workbook
from PIL import Image

from study.cli.app import main
from study.data.inspection.dataset_check import check, facts

HEADER = ["Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Estimated Emotion"]
EMOTIONS = ("happiness", "disgust", "surprise", "others")


@pytest.fixture
def command(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["check", *map(str, arguments)])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


def image(path, shade: int, noise: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), shade).save(path, comment=bytes([noise // 256, noise % 256]))


def write(root, rows) -> None:
    book = Workbook()
    for row in [HEADER, *rows]:
        book.active.append(row)
    book.save(root / "CASME2-coding-20140508.xlsx")


@pytest.fixture
def casme2(tmp_path):
    """Four subjects with four clips of eleven frames, two more frames in each folder; the last is always `others`."""
    rows = [[f"{s:02d}", f"EP0{c}_01", 11, 15, 21, EMOTIONS[c]] for s in range(1, 5) for c in range(4)]
    for number, (subject, name, *_) in enumerate(rows):
        for frame in range(10, 23):
            image(tmp_path / f"Cropped/sub{subject}/{name}/reg_img{frame}.jpg", 9 * frame, 20 * number + frame)
    write(tmp_path, rows)
    return tmp_path, rows


def test_a_sound_dataset(command, casme2):
    root, _ = casme2
    code, out, err = command("casme2", root, "--decode")
    assert (code, err.strip()) == (0, "")
    for words in ("negative 4, positive 4, surprise 4", "200 (12 clips)", "11 to 11, median 11", "no problems"):
        assert words in out
    assert "megc3 drops 4 of 16 clips: others 4" in out
    code, out, _ = command("casme2", root, "--json", "--labels", "casme2_5", "--option", "missing=keep")
    assert code == 2  # repression and others' classes: one of five has no clips
    known = json.loads(out)
    assert [problem["text"] for problem in known["problems"]] == ["class repression has no clips"]
    assert (known["clips"], known["subjects"], known["missing_frames"], known["extra_frames"]) == (16, 4, 0, 32)
    assert known["frame_rates"] == {"200": 16}
    assert known["clips_a_subject"] == {f"sub0{number}": 4 for number in range(1, 5)}


def test_every_planted_problem_is_listed(command, casme2):
    root, rows = casme2
    clip = "Cropped/sub{}/{}".format
    for frame in (12, 13):  # 1: two frames missing
        (root / clip("01", "EP00_01") / f"reg_img{frame}.jpg").unlink()
    shutil.rmtree(root / clip("01", "EP01_01"))  # 2: no folder
    (root / clip("01", "EP02_01") / "reg_img15.jpg").write_bytes(b"")  # 3: an empty image, which 4: cannot be decoded
    shutil.rmtree(root / clip("02", "EP00_01"))  # 5: a copy of another subject's clip
    shutil.copytree(root / clip("03", "EP00_01"), root / clip("02", "EP00_01"))
    rows[5][2] = "x"  # 6: an onset that is no number
    rows[6][5] = "surprize"  # 7: a label that is none
    rows[9][4] = 5  # 8: an offset before the onset
    (root / "Cropped/sub4/EP00_01").mkdir(parents=True)  # 9: a subject spelt two ways
    rows.insert(10, ["03", "", 1, 2, 3, "disgust"])  # 10: a row without a clip
    rows.append(rows[8])  # 11: a row twice
    (root / clip("04", "EP01_01") / "reg_img14.jpg").write_bytes(b"no image")  # 12: not decodable
    shutil.copy(root / clip("04", "EP02_01") / "reg_img14.jpg", root / clip("04", "EP02_01") / "img14.jpg")  # 13
    write(root, rows)
    code, out, err = command("casme2", root, "--decode", "--json")
    known = json.loads(out)
    told = [f"{problem['where']}: {problem['text']}" for problem in known["problems"]]
    for words in (
        "row 2: sub01/EP00_01: 2 of 11 frames are missing",
        "row 3: sub01/EP01_01: there are neither images nor a video of it",
        "sub01/EP02_01/reg_img15.jpg: is empty (0 bytes)",
        "sub01/EP02_01/reg_img15.jpg: is not an image",
        "have the same content; remove all but one",
        "row 7: sub02/EP01_01: onset is 'x'; valid: a whole number",
        "row 8: sub02/EP02_01: the emotion is 'surprize'; valid: ",
        "row 11: sub03/EP01_01: onset 11 lies after offset 5",
        "sub4: one subject has two folders, sub04 and sub4; join them",
        "row 12: is no clip: '03', '1', '2', '3', 'disgust'",
        "row 19: sub03/EP00_01 from 11 stands already in",
        "sub04/EP01_01/reg_img14.jpg: is not an image",
        "sub04/EP02_01: ",
    ):
        assert sum(words in problem for problem in told) == 1, (words, told)
    assert (code, len(told), err.strip()) == (2, 13, "")
    assert known["missing_frames"] == 2
    code, out, _ = command("casme2", root, "--decode")
    assert code == 2 and "13 problems" in out
    assert all(problem["text"] in out for problem in known["problems"])


def test_left_out_in_place_of_refused(command, casme2):
    root, _ = casme2
    (root / "Cropped/sub01/EP00_01/reg_img12.jpg").unlink()
    code, out, _ = command("casme2", root, "--option", "missing=leave_out", "--json")
    known = json.loads(out)
    assert (code, known["clips"], known["missing_frames"]) == (0, 11, 1)
    assert {out["reason"] for out in known["left_out"]} == {
        "frames missing on disk",
        "megc3 has no class for emotion others",
    }
    code, out, _ = command("casme2", root, "--option", "missing=leave_out")
    assert code == 0 and "left out, frames missing on disk: 1 (sub01/EP00_01)" in out


def test_subjects_with_one_class_only(casme2):
    root, rows = casme2
    write(root, [row for row in rows if row[0] != "01" or row[5] == "disgust"])
    known = facts(check("casme2", root, {}))
    assert known["single_class_subjects"] == ["sub01"]
    assert sum(out["reason"] == "on disk without an annotation" for out in known["left_out"]) == 3


@pytest.fixture
def manifest(tmp_path):
    """Videos with a table: a dataset of the user's own."""
    from study.data.synthetic.dataset import Synthetic
    from study.data.synthetic.writer import synthesize

    synthesize(tmp_path / "faces", Synthetic(subjects=3, clips=3))
    return tmp_path / "faces"


def rewritten(manifest, change) -> list[dict[str, str]]:
    path = manifest / "clips.csv"
    rows = list(csv.DictReader(path.open(newline="")))
    change(rows)
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return rows


def test_a_manifest_of_damaged_videos(command, manifest):
    def damage(rows):
        (manifest / rows[0]["source"]).write_bytes(b"")  # cannot be read, is empty, cannot be decoded
        rows[1]["offset"] = "500"  # too short
        shutil.copy(manifest / rows[3]["source"], manifest / rows[4]["source"])
        rows[4].update({"onset": "0", "apex": "1", "offset": "2"})  # twice, whichever frames are used
        rows[6]["face_top"] = "90"  # below the picture
        whole = (manifest / rows[5]["source"]).read_bytes()
        (manifest / rows[5]["source"]).write_bytes(whole[: len(whole) // 2])  # cut

    rows = rewritten(manifest, damage)
    code, out, err = command("manifest", manifest, "--decode", "--json")
    told = [(p["kind"], f"{p['where']}: {p['text']}") for p in json.loads(out)["problems"]]
    assert (code, err.strip()) == (2, "")

    def kinds(row):
        return {kind for kind, text in told if row["source"] in text}

    assert kinds(rows[0]) == {"not readable", "empty file", "decoding"}
    assert kinds(rows[1]) == {"frames missing on disk", "decoding"}
    assert kinds(rows[3]) == kinds(rows[4]) == {"duplicate"}
    assert kinds(rows[5]) & {"decoding", "not readable"}
    assert kinds(rows[6]) == {"decoding"}
    (text,) = [text for _, text in told if rows[6]["source"] in text]
    assert f"clip {rows[6]['clip_id']}: " in text and "176 x 176" in text
    assert not any(kinds(row) for row in (rows[2], *rows[7:]))


def test_landmarks_as_the_study_will_need_them(command, manifest):
    def add(rows):
        for row in rows:
            row["landmarks"] = ""
        rows[0]["landmarks"] = "none.csv"
        rows[1]["landmarks"] = "short.npy"
        np.save(manifest / "short.npy", np.zeros((3, 68, 2)))

    rows = rewritten(manifest, add)
    _, out, _ = command("manifest", manifest, "--decode", "--json")
    told = [f"{p['where']}: {p['text']}" for p in json.loads(out)["problems"]]
    assert any("line 2: landmarks none.csv are missing" in problem for problem in told)
    wanted = f"landmarks of 3 frames, the annotation needs {int(rows[1]['offset']) + 1}"
    assert sum(wanted in problem and f"clip {rows[1]['clip_id']}" in problem for problem in told) == 1


def test_an_offset_far_beyond_the_source_costs_no_memory(manifest):
    import tracemalloc

    rewritten(manifest, lambda rows: rows[0].update(offset=str(10**7)))
    tracemalloc.start()
    found = check("manifest", manifest, {})
    assert tracemalloc.get_traced_memory()[1] < 2**28
    tracemalloc.stop()
    assert [problem.kind for problem in found.problems] == ["frames missing on disk"]


def test_a_subject_spelt_two_ways(command, manifest):
    def respell(rows):
        own = [row for row in rows if row["subject"] == "s02"]
        own[0]["subject"] = "S2"

    rewritten(manifest, respell)
    code, out, _ = command("manifest", manifest)
    assert code == 2
    assert "one subject is spelt S2 and s02; held out as two, it would be trained and tested on" in out


def test_what_cannot_be_read_at_all(command, tmp_path):
    code, out, _ = command("casme2", tmp_path, "--json")
    assert code == 2 and "there is no annotation" in json.loads(out)["problems"][0]["text"]
    assert command("casme9", tmp_path)[0] == 2
    code, _, err = command("casme2", tmp_path, "--option", "window")
    assert code == 2 and "--option window: is not NAME=VALUE" in err
    code, _, err = command("casme2", tmp_path, "--option", "annotation=2024-13-45")
    assert code == 2 and "--option annotation: line 1, column 1: 2024-13-45 is read as a date" in err
