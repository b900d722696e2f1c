"""One driver a study, and a reader that stands still stops nobody."""

import os
import platform
import signal
import subprocess
import sys
import time

import pytest

FROZEN = """
import sys
from pathlib import Path
from study.ledger.schema import read_only
rows = read_only(Path(sys.argv[1])).execute("select * from fold")
rows.fetchone()
print("reading", flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_a_second_driver_is_refused_and_starts_at_once_when_the_first_is_killed(forty):
    first = forty.start("--slots", "1")
    others = []
    try:
        forty.until(16, first)
        others.append(forty.start("--serial"))
        output, _ = others[0].communicate(timeout=180)
        assert others[0].returncode == 2, output
        assert f"{platform.node()}, process {first.pid}" in " ".join(output.split())
        first.kill()
        first.wait()
        others.append(forty.start("--serial"))
        forty.until(forty.folds() + 8, others[1])
    finally:
        for driver in (first, *others):
            driver.kill()
            driver.communicate()


@pytest.mark.slow
def test_a_reader_that_is_frozen_for_ten_seconds_loses_nothing_and_stops_nothing(forty, forty_undisturbed):
    driver = forty.start("--serial")
    forty.until(16, driver)
    command = [sys.executable, "-c", FROZEN, str(forty.folder)]
    reader = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert reader.stdout.readline() == "reading\n"
        os.kill(reader.pid, signal.SIGSTOP)
        before, began = forty.folds(), time.monotonic()
        while time.monotonic() < began + 10 and driver.poll() is None:
            time.sleep(0.1)
        assert forty.folds() > before, "the driver waited for the reader"
        os.kill(reader.pid, signal.SIGCONT)
        output, _ = driver.communicate(timeout=300)
    finally:
        for process in (reader, driver):
            process.kill()
            process.communicate()
    assert driver.returncode == 0, output
    assert forty.rows() == forty_undisturbed
