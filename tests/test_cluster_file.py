"""ray_cluster.yaml is a cluster file by Ray's own schema, and leaves outputs at home; the SLURM script is a script."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

CLUSTER = yaml.safe_load((Path(__file__).parents[1] / "ray_cluster.yaml").read_text())


def test_ray_accepts_it():
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(CLUSTER))


def test_what_commands_write_is_not_copied_to_the_cluster():
    assert {"/studies", "/demo", "/data", ".venv", "/.git"} <= set(CLUSTER["rsync_exclude"])
    assert "~/losolab" in CLUSTER["file_mounts"]


def test_the_lines_to_edit_are_marked():
    lines = (Path(__file__).parents[1] / "ray_cluster.yaml").read_text().splitlines()
    marked = " ".join(line for line in lines if "# EDIT" in line)
    assert all(word in marked for word in ("HEAD_ADDRESS", "WORKER_1", "USER"))


SLURM = Path(__file__).parents[1] / "docs/losolab.slurm"


def test_the_slurm_script_is_a_script_and_says_that_it_was_not_run():
    assert subprocess.run(["bash", "-n", SLURM], check=False).returncode == 0
    assert "it was not run on SLURM" in SLURM.read_text()


def test_shellcheck_finds_nothing_in_the_slurm_script():
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")
    checked = subprocess.run(["shellcheck", SLURM], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


RUNS = """echo new > "$TMPDIR"/losolab-7/mine/ledger.sqlite
rm "$TMPDIR"/losolab-7/mine/ledger.sqlite-wal
echo newer > studies/other/ledger.sqlite
exit 1
"""


def test_the_slurm_script_brings_its_study_home_and_nothing_older(tmp_path):
    """Programs of SLURM and Ray are stand-ins; another job brings its study home while this one runs."""
    for name, does in {"losolab": RUNS, "hostname": "echo 10.0.0.1"}.items():
        program(tmp_path / "bin" / name, does)
    program(tmp_path / "bin/scontrol", "yes node | head -n 100000")
    program(tmp_path / "bin/srun", 'shift 4; case "$1" in hostname) "$@" ;; esac')
    for name in ("sleep", "ray"):
        program(tmp_path / "bin" / name, "true")
    program(tmp_path / ".venv/bin/activate", "")
    for file in ("mine/ledger.sqlite", "mine/ledger.sqlite-wal", "other/ledger.sqlite"):
        (tmp_path / "studies" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "studies" / file).write_text("old\n")
        os.utime(tmp_path / "studies" / file, (1e9, 1e9))
    own = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    slurm = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "node", "SLURM_CPUS_PER_TASK": "1", "SLURM_NNODES": "1"}
    left = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    ran = subprocess.run(
        ["bash", SLURM, "mine.yaml"], cwd=tmp_path, env=left | own | slurm, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1, ran.stderr  # the study's own
    assert (tmp_path / "studies/mine/ledger.sqlite").read_text() == "new\n"
    assert not (tmp_path / "studies/mine/ledger.sqlite-wal").exists()
    assert (tmp_path / "studies/other/ledger.sqlite").read_text() == "newer\n"
    assert not (tmp_path / "losolab-7").exists()


def program(path: Path, does: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{does}\n")
    path.chmod(0o755)
