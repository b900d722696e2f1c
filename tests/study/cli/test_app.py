"""The command line, run as a user runs it: mistakes are told without a traceback, and leave nothing behind."""

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from study.cli.app import main
from study.data import readers
from tests.films import film

ROOT = Path(__file__).parents[3]


@pytest.fixture
def command(capsys, monkeypatch, tmp_path):
    """Run losolab here; gives exit code, output and errors on one line each."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.fixture
def manifest(small, videos, tmp_path) -> Path:
    """The small study's dataset as a manifest of the user's own."""
    source = readers.materialise(small.prepared().index, videos / "data").root
    shutil.copytree(source, tmp_path / "clips")
    return tmp_path / "clips"


def change(manifest: Path, edit) -> None:
    path = manifest / "clips.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows = [row for row in rows if edit(row) is not False]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def refused(command, small, *options: object) -> list[str]:
    """The problems that a run is refused with; the storage must be as it was."""
    before = sorted(p for p in small.storage.rglob("*") if "cache" not in p.parts)
    cached = sorted((small.storage / "cache").iterdir())
    code, _, err = command("run", small.file, "--storage", small.storage, "--serial", *options)
    assert code == 2, err
    assert "Traceback" not in err
    assert sorted(p for p in small.storage.rglob("*") if "cache" not in p.parts) == before
    assert sorted((small.storage / "cache").iterdir()) == cached
    return [line.removeprefix("error: ") for line in err.splitlines() if line.startswith("error: ")]


def test_serial_is_one_at_a_time(command, small):
    assert "--serial runs one trial at a time" in refused(command, small, "--slots", "2")[0]


def test_wrong_keys_and_impossible_levels_are_told_together(command, small):
    text = (
        small.file.read_text()
        .replace("depth: [1, 2]", "dept: [1]\n      filters: [0]")
        .replace("seeds: 2", "seeds: none")
    )
    small.file.write_text(text)
    found = refused(command, small)
    assert len(found) == 3
    for words in (
        "stages.search.factors.dept: unknown key; did you mean depth?",
        "stages.search.factors.filters[0]: 0 is not valid",
        "stages.ablate.seeds: 'none' is not valid",
    ):
        assert any(words in problem for problem in found)


def test_networks_that_shrink_to_nothing_are_told_together(command, small):
    text = small.file.read_text().replace("vary: {input: [gray]}", "vary: {kernel_time: [15], kernel_space: [15]}")
    small.file.write_text(text)
    found = refused(command, small)
    assert len(found) == 2
    assert "arm kernel_space=15: kernel_space: 15 pixels" in found[0]
    assert "arm kernel_time=15: kernel_time: 15 frames" in found[1]


def test_a_missing_folder(command, small, tmp_path):
    (problem,) = refused(command, small, "--data", tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in problem
    assert "clips.csv" in problem


def test_bad_videos_are_told_together(command, small, manifest):
    rows = list(csv.DictReader((manifest / "clips.csv").open(newline="")))
    bad = rows[0]["source"], rows[-1]["source"]
    for source in bad:
        (manifest / source).write_text(f"no video {source}" * 100)
    found = refused(command, small, "--data", manifest)
    assert len(found) == 2
    assert all(source in problem for source, problem in zip(bad, found, strict=True))


def test_clips_beyond_the_end_of_their_videos_are_told_before_anything_is_decoded(command, small, manifest):
    rows = list(csv.DictReader((manifest / "clips.csv").open(newline="")))
    short = rows[-1]["source"]
    change(manifest, lambda row: row["source"] != short or row.update(offset="999"))
    (problem,) = refused(command, small, "--data", manifest)
    assert short in problem and "needs 1000" in problem


def test_a_dataset_with_one_subject(command, small, manifest):
    change(manifest, lambda row: row["subject"] == "s01")
    found = refused(command, small, "--data", manifest)
    assert "there is 1 subject" in found[0]


def test_bad_options(command, small):
    assert "'cpu' is not NAME=NUMBER" in refused(command, small, "--resources", "cpu")[0]
    assert "resources.cpus: unknown key; did you mean cpu?" in refused(command, small, "--resources", "cpus=1")[0]
    code, _, err = command("run", small.file, "--trials", "0")
    assert code == 2
    assert "Traceback" not in err


def test_a_report_of_no_study(command, tmp_path):
    code, _, err = command("report", tmp_path)
    assert code == 2
    assert str(tmp_path) in err


@pytest.mark.slow
def test_a_dry_run_prints_the_plan_and_writes_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "study/run.py", "--dry-run"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"COLUMNS": "200"},
    )
    for words in ("search", "baseline", "eyes only", "shuffled_labels", "48 trials, 576 folds", "68,227", "MiB"):
        assert words in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_default_study_refuses_no_cell(command):
    _, out, _ = command("plan")
    assert "72 of 72 configurations can be built" in out


@pytest.mark.slow
def test_a_study_runs_and_leaves_what_it_promises(command, small, monkeypatch):
    code, out, err = command("run", small.file, "--storage", small.storage, "--serial", "--trials", 3, "--seeds", 1)
    assert code == 0, err
    assert "baseline" in out
    assert "report.html" in out
    for name in ("report.html", "report.md", "table.tex", "table.csv"):
        assert (small.folder / "report" / name).stat().st_size > 0
    for name in ("predictions.parquet", "trials.parquet", "ledger.sqlite"):
        assert (small.folder / name).stat().st_size > 0
    code, out, _ = command("run", small.file, "--storage", small.storage, "--serial", "--trials", 4, "--seeds", 1)
    assert code == 2, "a search does not grow once a later stage has begun"
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = command("run", small.file, "--storage", small.storage, "--serial", "--trials", 3, "--seeds", 2)
    assert code == 0, "a fixed design may have more seeds"
    assert "from the ledger" in out
    assert "folds 55/55" in out
    assert re.search(r"best uf1 \d\.\d{3} \((search, trial \d+|ablate, (baseline|input=gray)), seed \d+\)", out)
    for line in out.splitlines():  # a path is whole, on a line of its own
        assert len(line) <= 80 or (" " not in line and "/" in line), line


def test_two_runs_of_one_study_at_once_are_refused(command, small):
    from study.ledger.writer import Ledger

    with Ledger(small.folder):
        code, _, err = command("run", small.file, "--storage", small.storage, "--serial")
    assert code == 2
    assert "another run of this study is writing" in err


def test_synthesize_makes_a_dataset_once(command, tmp_path):
    code, _, err = command("synthesize", tmp_path / "faces", "--subjects", 3, "--clips", 3)
    assert code == 0, err
    assert (tmp_path / "faces/truth.json").exists()
    code, _, err = command("synthesize", tmp_path / "faces")
    assert code == 2
    assert "is there already" in err


@pytest.mark.slow
def test_ctrl_c_in_a_check_says_so_and_ends_with_130(command, tmp_path):
    import study.data.inspection.dataset_check  # noqa: F401 (what is stopped is the decoding)

    film(tmp_path / "a.avi", "mjpeg", frames=3000)
    header, rows = "clip_id,subject,label,onset,offset,source", ("a,s1,x,0,2999,a.avi", "b,s2,y,0,2999,a.avi")
    (tmp_path / "clips.csv").write_text("\n".join([header, *rows]))
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        code, out, err = command("check", "manifest", tmp_path, "--decode")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert (code, out, err.strip()) == (130, "", "stopped; a check writes nothing, and begins anew")
