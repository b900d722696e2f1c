"""Folders whose names are not UTF-8, as an archive of another system leaves them: told, escaped, with what to do."""

import os
from pathlib import Path

import pytest
from PIL import Image

from tests.malformed.command import refused, run

NAMES = {
    "gbk": "微表情".encode("gbk"),
    "shift_jis": "表情データ".encode("shift_jis"),
    "euc_kr": "미세 표정".encode("euc_kr"),
    "latin-1": "Gesichtsausdrücke".encode("latin-1"),
    "cut UTF-8": "é".encode()[:1] + b"x",
}
STUDY = """
name: names
dataset: {reader: smic, path: data}
baseline: {architecture: full_face, frames: 4, crop: 16, epochs: 1}
stages: {ablate: {design: one_at_a_time, vary: {depth: [2]}, seeds: 1}}
"""


def smic(folder: Path, prefix: str = "reg_image") -> Path:
    """Two subjects with a clip of each class, as SMIC is laid out."""
    for subject in (1, 2):
        for number, (label, short) in enumerate({"negative": "ne", "positive": "po", "surprise": "sur"}.items()):
            images = folder / f"SMIC_all_cropped/HS/s{subject}/micro/{label}/s{subject}_{short}_01"
            images.mkdir(parents=True)
            for frame in range(5):
                Image.new("L", (32, 32), 40 * frame + 5 * number + subject).save(images / f"{prefix}{100 + frame}.bmp")
    return folder


@pytest.mark.parametrize("encoding", NAMES)
def test_a_folder_whose_name_is_not_utf8_is_told_by_every_command(tmp_path, encoding):
    smic(tmp_path / "data" / os.fsdecode(NAMES[encoding]))
    (tmp_path / "study.yaml").write_text(STUDY)
    escaped = NAMES[encoding].decode("utf-8", "backslashreplace")
    words = (f"data/{escaped}: its name is not in UTF-8; rename it", "convmv -r --notest")
    studies = (("plan", "study.yaml"), ("run", "study.yaml", "--serial")) if encoding == "gbk" else ()
    for command in (("check", "smic", "data"), *studies):
        said = refused(*command, cwd=tmp_path, tells=words)
        assert said.count("its name is not in UTF-8") == 1, "one folder, one problem"


def test_a_dataset_in_such_a_folder_is_told(tmp_path):
    folder = smic(tmp_path / os.fsdecode(NAMES["gbk"]) / "data")
    refused("check", "smic", folder, cwd=tmp_path, tells=("UTF-8; rename",))


def test_images_with_such_names_are_read(tmp_path):
    smic(tmp_path / "data", os.fsdecode(NAMES["gbk"]))
    ended = run("look", "smic", "data", "--regions", "face", "--storage", "studies", cwd=tmp_path)
    assert ended.code == 0, ended.said
