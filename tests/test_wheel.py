"""The wheel has all of the packages, and works where no checkout is."""

import subprocess
import sys
import sysconfig
from pathlib import Path
from shutil import copy, copytree, ignore_patterns
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("study", "analysis", "search_spaces")
TINY = """
name: tiny
dataset: {reader: synthetic, options: {subjects: 3, clips: 3}}
baseline: {architecture: full_face, frames: 6, crop: 16, kernel_time: 3, filters: 2, hidden: 4, epochs: 1}
stages: {ablate: {design: one_at_a_time, vary: {input: [frame_difference]}, seeds: 1, controls: [null]}}
"""


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_wheel_has_every_file_and_runs_a_study_from_an_empty_folder(tmp_path):
    source = tmp_path / "source"  # setuptools leaves what it builds beside what it builds from
    for package in PACKAGES:
        copytree(ROOT / package, source / package, ignore=ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        copy(ROOT / name, source)
    build = (sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "-q", "-w", tmp_path)
    run(*build, cwd=source)
    (wheel,) = tmp_path.glob("losolab-*.whl")
    there = {name for name in ZipFile(wheel).namelist() if name.startswith(PACKAGES)}
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file()]
    assert there == {p.relative_to(ROOT).as_posix() for p in files if p.suffix != ".pyc"}

    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv/bin/python"
    run(python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel, cwd=tmp_path)
    # What losolab depends on is there already. A path in a .pth file adds it without the checkout, which is editable.
    own = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip()
    (Path(own) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")

    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "tiny.yaml").write_text(TINY)
    losolab = tmp_path / "venv/bin/losolab"
    assert "venv" in run(python, "-c", "import study; print(study.__file__)", cwd=empty)
    assert run(losolab, "--version", cwd=empty).startswith("losolab 0.")
    run(losolab, "run", "tiny.yaml", "--serial", cwd=empty)
    run(losolab, "report", "studies/tiny", "--out", "again", cwd=empty)
    assert (empty / "studies/tiny/report/report.html").exists() and (empty / "again/table.tex").exists()
