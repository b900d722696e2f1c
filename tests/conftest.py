"""A small study that trains in seconds, and ways to run it."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

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


def pytest_configure() -> None:
    """Signals as in a terminal: under nohup, or behind `&`, tests and all that they start would ignore them."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, lambda *_: None)):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, whole studies before all: else one worker has a long one left at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path not in slow, item.path.parent != Path(__file__).parent))


class Small:
    """A small study in a folder of its own; its videos are rendered once for all tests."""

    def __init__(self, folder: Path, videos: Path, text: str = SMALL) -> None:
        self.file = folder / "small.yaml"
        self.storage = folder / "studies"
        self.folder = self.storage / "small"
        self.file.write_text(text)
        self.storage.mkdir(exist_ok=True)
        for part in ("data", "cache"):
            (self.storage / part).symlink_to(videos / part)

    def prepared(self, **changes):
        from study.planning import prepared_study

        spec = load_study(self.file, {"storage": str(self.storage), **changes})
        return prepared_study.prepare(spec, self.file.read_text())

    def clips(self):
        from study.planning import prepared_study

        return prepared_study.load_clips(self.prepared())

    def run(self, executor=None, mixed=False, retry_failed=False, watched=None, **changes) -> Path:
        """Run it here, serially if no executor is given, and return its folder. watched: makes a watch of its plan."""
        from tests.training_run import train

        study = self.prepared(**changes)
        watch = {"watch": watched(study.plan)} if watched else {}
        train(study, executor, mixed=mixed, retry_failed=retry_failed, **watch)
        return study.folder

    def rows(self) -> list[tuple]:
        """The ledger's canonical rows: what may depend neither on what was killed nor on who trained."""
        return self.query("select key, configuration, seed, held_out, predictions from fold order by key")

    def query(self, sql: str) -> list[tuple]:
        """What the ledger answers."""
        with closing(sqlite3.connect(f"{(self.folder / 'ledger.sqlite').as_uri()}?mode=ro", uri=True)) as db:
            return db.execute(sql).fetchall()

    def folds(self) -> int:
        """How many the ledger has."""
        try:
            return self.query("select count(*) from fold")[0][0]
        except sqlite3.OperationalError:  # it, or its table, is not there yet
            return 0

    def until(self, folds: int, driver: subprocess.Popen[str]) -> None:
        """Wait until the ledger has so many folds."""
        deadline = time.monotonic() + 300
        while self.folds() < folds:
            assert driver.poll() is None, driver.stdout.read()
            assert time.monotonic() < deadline, f"{self.folds()} folds in 300 seconds"
            time.sleep(0.02)

    def start(self, *options: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Start it as a user does, in a process of its own."""
        command = [sys.executable, str(ROOT / "study/run.py"), str(self.file), "--storage", str(self.storage)]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen([*command, *options], env=os.environ | (env or {}), **streams)


@pytest.fixture(autouse=True, scope="session")
def stand_in_for_a_gpu() -> None:
    """Made before any test trains: gradients on it need that (study.models.fake_gpu)."""
    from study.models.fake_gpu import stand_in

    stand_in()


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data and cache of the small study."""
    from study.planning import prepared_study

    storage = tmp_path_factory.mktemp("videos")
    (storage / "small.yaml").write_text(SMALL)
    spec = load_study(storage / "small.yaml", {"storage": str(storage)})
    prepared_study.load_clips(prepared_study.prepare(spec, ""))
    return storage


# Forty trials of eight folds, half a minute of training: there is time to kill something in the middle.
FORTY = """
name: small
dataset: {reader: synthetic, options: {subjects: 8, clips: 3}}
baseline:
  {architecture: full_face, input: frame_difference, frames: 6, crop: 16, kernel_time: 3, filters: 2,
   hidden: 4, dropout: 0.2, momentum: 0.9, epochs: 50}
stages: {ablate: {design: factorial, seeds: 5, factors: {depth: [1, 2], learning_rate: [0.01, 0.1], filters: [2, 4]}}}
"""


@pytest.fixture
def forty(tmp_path: Path, videos: Path) -> Small:
    return Small(tmp_path, videos, FORTY)


@pytest.fixture(scope="session")
def forty_undisturbed(tmp_path_factory: pytest.TempPathFactory, videos: Path) -> list[tuple]:
    """The canonical rows of the forty trials, trained one after another with nothing in between."""
    study = Small(tmp_path_factory.mktemp("undisturbed"), videos, FORTY)
    study.run()
    return study.rows()


@pytest.fixture
def small(tmp_path: Path, videos: Path) -> Small:
    return Small(tmp_path, videos)


@pytest.fixture(scope="session")
def unbroken(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Small]:
    """Runs a small study in this process, in a folder of its own, in one go: what all other runs are held against."""

    def run(**changes: Any) -> Small:
        study = Small(tmp_path_factory.mktemp("unbroken"), videos)
        study.run(**changes)
        return study

    return run
