"""A disk that fills up in the middle: one message, an intact ledger, and the study completes after space is made."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import FORTY, Small


@pytest.fixture
def on_a_small_disk(tmp_path: Path, videos: Path):
    """The forty trials on a disk of 20 MB of their own."""
    storage = tmp_path / "studies"
    storage.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=20m", "losolab-test", str(storage)]
    if os.geteuid() or subprocess.run(mounted, capture_output=True).returncode:
        pytest.skip("a disk of 20 MB can be mounted by root alone, and not in every container")
    try:
        yield Small(tmp_path, videos, FORTY)
    finally:
        subprocess.run(["umount", "--lazy", str(storage)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        pytest.param(
            ("--serial",),
            id="serial",
            marks=pytest.mark.skipif("LOSOLAB_SOAK" not in os.environ, reason="two minutes; make soak runs it"),
        ),
        pytest.param(("--slots", "2"), id="ray-2"),
    ],
)
def test_a_disk_of_20_mb_fills_up(on_a_small_disk, forty_undisturbed, options):
    study = on_a_small_disk
    driver = study.start(*options)
    filler = study.storage / "filler"
    try:
        study.until(40, driver)
        _fill(filler)
        output, _ = driver.communicate(timeout=120)
    finally:
        driver.kill()
        driver.communicate()
    assert driver.returncode == 2, output
    assert output.count("error:") == 1, output
    assert "make space on its disk, and the same command goes on from there" in " ".join(output.split())
    assert "Traceback" not in output
    assert study.query("pragma integrity_check") == [("ok",)]
    before = study.rows()
    assert 40 <= len(before) < 320
    filler.unlink()
    again = study.start(*options)
    output, _ = again.communicate(timeout=300)
    assert again.returncode == 0, output
    assert set(before) <= set(study.rows())
    assert study.rows() == forty_undisturbed
    assert study.query("select sum(trained) from attempt") == [(320,)]


def _fill(path: Path) -> None:
    """Write until the disk has not a byte left."""
    with path.open("wb", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            try:
                while file.write(bytes(size)) == size:
                    continue
            except OSError:
                continue
