import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from study.cli.app import main
from study.data.cache import store
from study.data.inspection import contact_sheet


def test_every_clip_is_shown_the_worst_alignment_first(index, tmp_path):
    clips = store.load(index, ("face", "eyes"), tmp_path / "cache")
    pixels = {name: own.copy() for name, own in clips.pixels.items()}
    last = clips.first[5] + clips.frames[5] - 1
    pixels["face"][last] = np.roll(pixels["face"][last], 30, axis=1)  # the head jumps in the last frame of clip 5
    page = contact_sheet.write(index, replace(clips, pixels=pixels), ("face", "eyes"), tmp_path / "look").read_text()
    shown = re.findall(r"<b>(\S+)</b>", page)
    assert shown[0] == clips.ids[5]
    assert sorted(shown) == sorted(clips.ids)
    assert "stays on this computer" in page
    for picture in re.findall(r'src="([^"]+)"', page):
        assert Image.open(tmp_path / "look" / picture).size == (4 * contact_sheet.SIDE, 2 * contact_sheet.SIDE)


def test_pictures_are_onset_apex_offset_and_their_difference():
    moments = np.stack([np.full((64, 64), value, np.uint8) for value in (100, 110, 90)])
    shown = contact_sheet.tiles(moments)
    assert [shown[0, place] for place in (0, 128, 256, 384)] == [100, 110, 90, 40]


def test_a_local_expression_is_no_misalignment_and_a_shift_is():
    onset = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    smiling = onset.copy()
    smiling[40:60, 20:44] = 0
    assert contact_sheet.misalignment(np.stack([onset, smiling, onset])) == 0
    assert contact_sheet.misalignment(np.stack([onset, onset, np.roll(onset, 3, 1)])) > 50


def test_the_command_writes_only_below_look_and_cache(dataset, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(dataset, tmp_path / "faces")
    with pytest.raises(SystemExit) as ended:
        main(["look", "manifest", "faces", "--regions", "eyes"])
    assert not ended.value.code, capsys.readouterr()
    assert (tmp_path / "studies/look/synthetic/index.html").is_file()
    assert sorted(path.name for path in (tmp_path / "studies").iterdir()) == ["cache", "look"]
    with pytest.raises(SystemExit):
        main(["look", "manifest", "faces", "--regions", "nose", "--landmarks", "all"])
    err = " ".join(capsys.readouterr().err.split())
    assert "--regions nose: valid: face, eyes, mouth, frame" in err
    assert "--landmarks all: valid: onset, per_frame" in err
