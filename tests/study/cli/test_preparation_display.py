"""What is said before anything is trained, and what becomes of Ctrl-C there."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from search_spaces.errors import UserError
from study.cli.preparation_display import SECONDS, Preparing
from study.cluster import checks
from study.cluster.nodes import node_here
from study.data.cache.build import STOPPED
from study.scheduling.ray_executor import RayTune
from tests.films import film
from tests.processes import MARK, marked

ROOT = Path(__file__).parents[3]


def test_without_a_terminal_a_line_is_said_at_first_and_now_and_then(capsys):
    now = [0.0]
    with Preparing(Console(), clock=lambda: now[0]) as preparing:
        progress = preparing.begin("decoding")
        for done in range(5):
            progress(done, 4)
            now[0] += SECONDS / 2
    assert capsys.readouterr().out.split("\n") == [
        "decoding 4 clips",
        "decoding 2 of 4 clips",
        "decoding 4 of 4 clips",
        "",
    ]


@pytest.mark.slow
def test_ctrl_c_while_decoding_says_so_and_ends_with_130_and_leaves_no_process(tmp_path):
    for number in range(4):
        film(tmp_path / f"{number}.avi", "mjpeg", frames=1500 + number)
    rows = [f"c{number},s{number % 2},{'ab'[number // 2]},0,{1490 + number},{number}.avi" for number in range(4)]
    (tmp_path / "clips.csv").write_text("\n".join(["clip_id,subject,label,onset,offset,source", *rows]))
    (tmp_path / "study.yaml").write_text(
        "name: stopped\ndataset: {reader: manifest, path: .}\nbaseline: {architecture: full_face, epochs: 1}\n"
        "stages: {ablate: {design: one_at_a_time, vary: {depth: [2]}, seeds: 1}}\n"
    )
    command = [sys.executable, str(ROOT / "study/run.py"), "study.yaml", "--storage", "studies", "--serial"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, env=os.environ | {MARK: str(tmp_path)}, **streams) as run:
        said = []
        for line in run.stdout:
            said.append(line)
            if line == "decoding 4 clips\n":
                break
        run.send_signal(signal.SIGINT)
        rest, _ = run.communicate(timeout=10)
    assert run.returncode == 130, (said, rest)
    assert " ".join(rest.split()) == STOPPED
    assert said[0] == "reading 4 clips\n"
    assert marked(str(tmp_path)) == {}


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("/tmp/" + "long" * 20, "would have names of"),
        ("/tmp/" + "a" * 40, "would have names of"),
        ("/tmp/tümp", "takes only ASCII"),
        ("/tmp/微表情", "takes only ASCII"),
        ("/tmp/\udcce\udca2", "takes only ASCII"),
    ],
)
@pytest.mark.parametrize("variable", ["TMPDIR", "RAY_TMPDIR"])
def test_a_folder_in_which_ray_would_not_start_is_told_beforehand(monkeypatch, variable, folder, words):
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv(variable, folder)
    with pytest.raises(UserError, match=f"{words}.*; name a short one: export RAY_TMPDIR=/tmp"):
        RayTune(slots=1)
    RayTune(slots=1, address="auto")  # the cluster's Ray has its own
    (finding,) = [one for one in checks.here(Path("nowhere"), None) if one.what == "Ray's folder"]
    assert finding.verdict == "bad" and words in finding.found
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    RayTune(slots=1)
    assert node_here().name
