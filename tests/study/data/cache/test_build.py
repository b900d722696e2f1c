"""The cache under several processes, errors and kills: always the bytes of a build in one go."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from search_spaces.errors import UserError
from study.data.cache import store
from study.data.cache.build import BUILDING
from study.data.readers import manifest
from study.data.video import decode
from study.system.hardware import cores

REGIONS = ("face", "eyes", "mouth")
WHOLE = bool(os.environ.get("LOSOLAB_SOAK"))
KILLS = 20 if WHOLE else 6
BUILD = """
import sys
from pathlib import Path
from study.data.cache import store
from study.data.readers import manifest
if __name__ == "__main__":
    index = manifest.read(Path(sys.argv[1]), {})
    print("begins", flush=True)
    store.load(index, ("face", "eyes", "mouth"), Path(sys.argv[2]), lambda done, total: print(total, flush=True), 2)
    print("ended", flush=True)
"""


@pytest.fixture
def start(dataset, tmp_path):
    """Build a cache in a process of its own, with two more for decoding."""
    script = tmp_path / "build.py"
    script.write_text(BUILD)

    def started(folder: Path) -> subprocess.Popen[str]:
        command = [sys.executable, str(script), str(dataset), str(folder)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)

    return started


@pytest.fixture(scope="module")
def whole(index, tmp_path_factory) -> dict[str, bytes]:
    """The files of a build in one go, by one process."""
    folder = tmp_path_factory.mktemp("whole")
    store.load(index, REGIONS, folder, processes=1)
    return contents(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob("*.arrow")}


def parts(folder: Path) -> list[Path]:
    return [*folder.glob("*.partial"), *folder.glob(f"{BUILDING}/*.npy"), *folder.glob(f"{BUILDING}/*.partial")]


def test_several_processes_give_the_same_bytes(index, whole, tmp_path):
    seen = []
    store.load(index, REGIONS, tmp_path, lambda done, total: seen.append((done, total)), 2)
    assert contents(tmp_path) == whole
    assert parts(tmp_path) == []
    assert seen[0] == (0, len(index.table)) and seen[-1] == (len(index.table),) * 2


def test_two_at_once_one_builds_and_the_other_waits(index, whole, start, tmp_path):
    both = [start(tmp_path / "cache") for _ in range(2)]
    told = sorted(process.communicate(timeout=120)[0].split() for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(told, key=len)[0] == ["begins", "ended"], "both decoded"
    assert contents(tmp_path / "cache") == whole


def test_what_was_decoded_before_an_error_is_kept(dataset, index, whole, tmp_path, monkeypatch):
    copy = shutil.copytree(dataset, tmp_path / "copy")
    bad = copy / index.table["source"].to_pylist()[4]
    good = bad.read_bytes()
    bad.write_bytes(good[: len(good) // 3])
    with pytest.raises(UserError):
        store.load(manifest.read(copy, {}), REGIONS, tmp_path / "cache")
    assert contents(tmp_path / "cache") == {}
    bad.write_bytes(good)
    decoded, frames = [], decode.frames
    monkeypatch.setattr(decode, "frames", lambda path, *rest: decoded.append(path) or frames(path, *rest))
    store.load(manifest.read(copy, {}), REGIONS, tmp_path / "cache")
    assert decoded == [bad]
    assert contents(tmp_path / "cache") == whole


def test_clips_of_one_video_are_decoded_together(dataset, index, tmp_path, monkeypatch):
    row = max(index.table.to_pylist(), key=lambda row: row["offset"])
    third = row["offset"] // 3
    lines = [f"{n},s0,{'ab'[n]},{n * third},{(n + 1) * third + 1},{row['source']}" for n in range(2)]
    lines.append(f"2,s1,a,{2 * third + 2},{2 * third + 3},{row['source']}")
    (tmp_path / "clips.csv").write_text("clip_id,subject,label,onset,offset,source\n" + "\n".join(lines))
    (tmp_path / row["source"]).parent.mkdir(parents=True)
    shutil.copy(dataset / row["source"], tmp_path / row["source"])
    asked, frames = [], decode.frames
    monkeypatch.setattr(decode, "frames", lambda path, *rest: asked.append(rest[:2]) or frames(path, *rest))
    clips = store.load(manifest.read(tmp_path, {}), ("frame",), tmp_path / "cache")
    assert asked == [(0, 2 * third + 3)]
    both = clips.pixels["frame"]
    assert (both[third : third + 2] == both[clips.first[1] : clips.first[1] + 2]).all(), (
        "the clips overlap by two frames"
    )


@pytest.mark.slow
def test_killed_time_and_again(whole, start, tmp_path):
    """kill -9 at random moments; a build that ends before its kill starts anew. No process stays."""
    folder, draw = tmp_path / "cache", random.Random(0)
    began = time.monotonic()
    assert start(tmp_path / "measured").wait(timeout=120) == 0
    lasts, kills, found = time.monotonic() - began, 0, set()
    while kills < KILLS:
        process = start(folder)
        assert process.stdout.readline() == "begins\n"
        time.sleep(draw.uniform(0, lasts))
        if process.poll() is not None:
            assert contents(folder) == whole
            shutil.rmtree(folder)
            continue
        process.kill()
        process.communicate()
        wait_for_the_end_of(process.pid)
        kills += 1
        found.add(len(parts(folder)) if folder.exists() else 0)
    assert start(folder).wait(timeout=120) == 0
    assert contents(folder) == whole
    assert parts(folder) == []
    assert len(found) > (2 if WHOLE else 1), "every kill came at the same point"


def wait_for_the_end_of(group: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.killpg(group, signal.SIGKILL)
    raise AssertionError("processes of a killed build live on")


def test_cores_are_those_that_this_process_may_use():
    assert 1 <= cores() <= os.cpu_count()
