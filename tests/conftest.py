"""A small study that trains in seconds, and ways to run it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from search_spaces.study_file import load_study

ROOT = Path(__file__).parents[1]
SMALL = """
name: small
dataset: {reader: synthetic, options: {subjects: 5, clips: 5}}
baseline:
  {architecture: fusion_intermediate, input: frame_difference, frames: 6, crop: 24, kernel_time: 3, filters: 4,
   hidden: 8, dropout: 0.2, momentum: 0.9, epochs: 2}
stages:
  search:
    design: search
    proposals: 12
    startup: 4
    virtual_slots: 2
    race: none
    factors:
      architecture: [full_face, fusion_intermediate, fusion_late]
      depth: [1, 2]
      learning_rate: {low: 1e-3, high: 0.1, log: true}
  ablate:
    design: one_at_a_time
    seeds: 2
    vary: {input: [gray]}
    controls: [null, single_frame]
"""


class Small:
    """The small study in a folder of its own; its videos are rendered once for all tests."""

    def __init__(self, folder: Path, videos: Path) -> None:
        self.file = folder / "small.yaml"
        self.storage = folder / "studies"
        self.folder = self.storage / "small"
        self.file.write_text(SMALL)
        self.storage.mkdir()
        for part in ("data", "cache"):
            (self.storage / part).symlink_to(videos / part)

    def prepared(self, **changes):
        from study import driver

        spec = load_study(self.file, {"storage": str(self.storage), **changes})
        return driver.prepare(spec, self.file.read_text())

    def clips(self):
        from study import driver

        return driver.load_clips(self.prepared(), Console(quiet=True))

    def run(self, executor=None, mixed=False, retry_failed=False, **changes) -> Path:
        """Run it here, serially if no executor is given, and return its folder."""
        from study import driver, executors

        study = self.prepared(**changes)
        quiet = Console(quiet=True)
        clips = driver.load_clips(study, quiet)
        with driver.begun(study, clips, mixed=mixed) as ledger:
            driver.train(study, clips, ledger, executor or executors.serial, quiet, retry_failed=retry_failed)
        return study.folder

    def start(self, *options: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Start it as a user does, in a process of its own."""
        command = [sys.executable, str(ROOT / "study/run.py"), str(self.file), "--storage", str(self.storage)]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen([*command, *options], env=os.environ | (env or {}), **streams)


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data and cache of the small study."""
    from study import driver

    storage = tmp_path_factory.mktemp("videos")
    (storage / "small.yaml").write_text(SMALL)
    spec = load_study(storage / "small.yaml", {"storage": str(storage)})
    driver.load_clips(driver.prepare(spec, ""), Console(quiet=True))
    return storage


@pytest.fixture
def small(tmp_path: Path, videos: Path) -> Small:
    return Small(tmp_path, videos)
