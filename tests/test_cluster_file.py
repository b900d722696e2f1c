"""ray_cluster.yaml is a cluster file by Ray's own schema, and leaves outputs at home; the SLURM script is a script."""

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
