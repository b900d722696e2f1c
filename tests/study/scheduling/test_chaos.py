"""Whatever is killed, and whenever: a study that is run again ends with the bytes of one that nothing befell."""

import os
import random
import subprocess
import sys
import time
from collections import Counter

import pytest

from tests.processes import MARK, TRIAL, kill, marked

KILLS = 30 if os.environ.get("LOSOLAB_SOAK") else 4  # one of each kind
WORDS = {"trial process": TRIAL, "driver": ("study/run.py",), "raylet": ("raylet/raylet",), "reader": ("fetchmany",)}
READER = """
import sys, time
from pathlib import Path
from study.ledger.schema import read_only
while True:
    db = read_only(Path(sys.argv[1]))
    rows = db.execute("select * from fold")
    while rows.fetchmany(8):
        time.sleep(0.01)
    db.close()
"""


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_whatever_is_killed_nothing_is_lost_and_nothing_repeated(forty, forty_undisturbed):
    mark, draw, killed = str(forty.folder), random.Random(5), Counter()
    victims = draw.sample([*WORDS] * (KILLS // 4 + 1), KILLS - 4) + list(WORDS)
    moments = sorted(draw.sample(range(4, 290), KILLS))  # folds in the ledger
    driver = reader = None
    try:
        while forty.folds() < 320 or driver is None or driver.poll() != 0:
            if driver is None or driver.poll() is not None:
                assert driver is None or driver.returncode in (-9, 0), driver.stdout.read()
                driver = forty.start("--slots", "2", env={MARK: mark})
            if reader is None or reader.poll() is not None:
                reader = _reader(forty.folder, mark)
            if victims and forty.folds() >= moments[0]:
                time.sleep(draw.uniform(0, 0.5))
                if kill(mark, WORDS[victims[0]]):
                    killed[victims.pop(0)] += 1
                    moments.pop(0)
            time.sleep(0.05)
        assert "Traceback" not in driver.stdout.read()
    finally:
        for process in filter(None, (driver, reader)):
            process.kill()
            process.communicate()
    assert not victims, f"only {killed} were killed before the study ended"
    assert forty.query("select sum(trained) from attempt") == [(320,)]  # no finished block was trained again
    assert forty.rows() == forty_undisturbed
    assert forty.query("select count(*), sum(state = 'complete') from outcome") == [(40, 40)]
    print(f"\n{sum(killed.values())} kills: {dict(killed)}; all {len(forty_undisturbed)} folds as undisturbed")
    deadline = time.monotonic() + 60
    while left := marked(mark):
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.5)


def _reader(folder, mark):
    """A process that reads the ledger slowly, over and over."""
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", READER, str(folder)], env=os.environ | {MARK: mark}, **streams)
