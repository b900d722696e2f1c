"""Six real videos, with made-up labels and subjects, through a small study from the manifest to the report."""

import csv
from pathlib import Path

import pytest

from study.cli.app import main

MEDIA = Path(__file__).parents[5] / "shared" / "media"
FRAMES = {"again": 77, "eat": 47, "help": 58, "milk": 51, "sorry": 73, "thanks": 51}
STUDY = """
name: real
dataset: {{reader: manifest, path: {table}}}
baseline: {{architecture: fusion_intermediate, frames: 6, crop: 24, kernel_time: 3, filters: 2, hidden: 4, epochs: 1}}
stages:
  ablate:
    design: one_at_a_time
    seeds: 1
    vary:
      regions: [eyes+mouth]
      sampling: [first, centre, rate, onset_apex_offset, interpolate]
    arms: {{single: {{architecture: full_face}}, paper: {{sampling: start_72, short: drop}}}}
    controls: [null, single_frame]
"""


@pytest.mark.slow
@pytest.mark.parametrize("dropping", [False, True])
def test_a_small_study_on_real_videos(tmp_path, monkeypatch, capsys, dropping):
    if not MEDIA.is_dir():
        pytest.skip(f"the real clips are not here: {MEDIA}")
    monkeypatch.chdir(tmp_path)
    table = tmp_path / "clips.csv"
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["clip_id", "subject", "label", "onset", "apex", "offset", "fps", "source"])
        for number, (word, frames) in enumerate(FRAMES.items()):
            place = (MEDIA / f"{word}.mkv").resolve()
            rows.writerow([word, f"s{number % 3}", "ab"[number // 3], 2, frames // 2, frames - 1, 30, place])
    study = STUDY.format(table=table)
    if not dropping:
        study = study.replace("short: drop", "short: repeat_last")
    else:
        study = study.replace("sampling: start_72, short: drop", "frames: 48, short: drop")
    (tmp_path / "real.yaml").write_text(study)
    with pytest.raises(SystemExit) as ended:
        main(["run", "real.yaml", "--serial"])
    out, err = capsys.readouterr()
    assert not ended.value.code, out + err
    report = (tmp_path / "studies/real/report/report.md").read_text()
    assert ("short: drop leaves out 1 of 6 clips" if dropping else "short: repeat_last fills up") in report + out
