"""How far a study is: read beside its driver, after it, and after it was killed."""

import json
import subprocess
import sys
import time

import pytest

from study.ledger.lock import holder
from study.ledger.schema import has_begun, read_only
from study.planning.status import status

ABLATE = {"ablate": {"design": "one_at_a_time", "seeds": 2, "vary": {"input": ["gray"]}}}


@pytest.fixture
def told(capsys):
    """What `losolab status --json` prints."""

    def run(*arguments: object) -> dict:
        from study.cli.app import app

        capsys.readouterr()
        app(["status", *map(str, arguments), "--json"], standalone_mode=False)
        return json.loads(capsys.readouterr().out)

    return run


def test_a_study_that_has_ended(small, told):
    folder = small.run()
    seen = told(folder)
    assert seen == told(small.file, "--storage", small.storage)
    assert (seen["study"], seen["runs"], seen["to_do"], seen["left"]) == ("small", None, 0, None)
    search, ablate = seen["stages"]
    assert search["trials"] == {"complete": 12, "running": 0, "failed": 0, "pruned": 0, "waiting": 0}
    assert (search["folds"], search["planned_folds"], ablate["folds"]) == (60, 60, 40)
    with read_only(folder) as db:
        spent = db.execute("select sum(seconds) from fold").fetchone()[0]
        arm, seeds, best = db.execute(
            """select arm, seeds, max(value) from outcome join proposal using (trial)
            where stage = 'ablate' and arm in ('baseline', 'input=gray')"""
        ).fetchone()  # neither the null arm nor a control, though one of them may score higher
    assert seen["spent"] == pytest.approx(spent)
    assert ablate["best"] == [f"{arm}, seed {json.loads(seeds)[0]}", best]


@pytest.mark.slow
def test_a_running_study_and_what_a_kill_leaves(small, told):
    driver = small.start("--serial", "--seeds", "50")  # it does not end before it is killed
    try:
        deadline, seen = time.monotonic() + 120, None
        while not (seen and seen["folds_a_minute"] and sum(s["folds"] for s in seen["stages"]) > 20):
            assert driver.poll() is None, driver.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.1)
            seen = told(small.folder) if holder(small.folder) and has_begun(small.folder) else None
        assert seen["runs"].endswith(f", process {driver.pid}")
        assert sum(stage["trials"]["running"] for stage in seen["stages"]) <= 1
        assert 0 < seen["left"] < 600
    finally:
        driver.kill()
        driver.communicate()
    stopped = told(small.folder)
    assert stopped["runs"] is None
    ablate = stopped["stages"][1]["trials"]
    assert ablate["waiting"] + ablate["complete"] == 4 * 50
    assert ablate["waiting"] > 0
    assert sum(stage["trials"]["running"] for stage in stopped["stages"]) == 0
    assert stopped["to_do"] > 0


def test_folds_of_another_study_are_saved_time(small, told):
    small.run(stages=ABLATE)
    seen = told(small.run(stages=ABLATE, name="second"))
    assert seen["copied"] == {"small": 20}
    assert seen["spent"] == 0
    assert seen["saved"] == pytest.approx(status(small.folder).spent)


def test_a_table_says_the_same(small, capsys):
    from study.cli.app import app

    small.run(stages=ABLATE)
    capsys.readouterr()
    app(["status", str(small.folder), "--watch"], standalone_mode=False)
    out = capsys.readouterr().out
    for words in ("small: complete", "ablate", "20/20", "device-hours spent", "0.00 saved by reuse"):
        assert words in out


def test_a_watch_waits_for_a_run_that_has_not_begun(small):
    call = "import sys; from study.cli.app import main; main(sys.argv[1:])"
    given = ["status", str(small.file), "--storage", str(small.storage), "--watch"]
    watcher = subprocess.Popen([sys.executable, "-uc", call, *given], stdout=subprocess.PIPE, text=True)
    try:
        first = watcher.stdout.readline() + watcher.stdout.readline()  # of 80 columns
        small.run(stages=ABLATE)
        said, _ = watcher.communicate(timeout=60)
    finally:
        watcher.kill()
    assert "waiting for its run to begin" in first and watcher.returncode == 0
    assert "20/20" in said
