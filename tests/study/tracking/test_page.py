"""The MLflow UI in a browser that was never used: what a researcher sees who opens the address that losolab prints."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from browser import CHROMIUM, Page, opened
from made_up_study import CLASSES, CPU, begin, free_port
from mlflow import MlflowClient

from analysis.stats.confusion import count
from analysis.stats.metrics import uf1
from search_spaces.config import TrialConfig
from search_spaces.digests import stream
from study.ledger.writer import Ledger, Outcome
from study.tracking.mirror_process import mirror
from study.training.protocol import shuffled
from study.trials.trial import FoldResult, Trial

SUBJECTS = shuffled((f"s{n:02d}" for n in range(12)), "index")  # as the trials of a race take them
NETWORKS = ({}, {"regions": "eyes+mouth", "fusion": "intermediate"}, {"regions": "eyes+mouth", "fusion": "late"})
FACTORS = ("architecture", "depth", "frames", "learning_rate")
PICTURES = os.environ.get("LOSOLAB_PICTURES")  # a folder: `LOSOLAB_PICTURES=docs/images` makes those of the docs anew
ROWS = """[...document.querySelectorAll('.ag-center-cols-container .ag-row')]
    .sort((a, b) => a.getAttribute('row-index') - b.getAttribute('row-index'))
    .map(row => [...row.querySelectorAll('.ag-cell')].map(cell => [cell.getAttribute('col-id'), cell.innerText]))
    .map(Object.fromEntries)"""
HEAD = "[...document.querySelectorAll('.ag-header-cell')].map(cell => cell.getAttribute('col-id'))"
CHOSEN = "[...document.querySelectorAll('.du-bois-light-select-selection-item')].map(item => item.innerText)"
CLOSE = """[...document.querySelectorAll('button[aria-label="Close"], button[aria-label="Hide banner"]')]
    .map(button => button.click()).length"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """What `losolab mlflow ui` prints for a search of 16 trials."""
    folder = tmp_path_factory.mktemp("storage") / "which_network"
    search(folder)
    mirror(folder, None)
    own = ["ui", str(folder), "--port", str(free_port())]
    command = [sys.executable, "-c", "from study.cli.app import main; main()", *own]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as ui:
        try:
            assert "starting" in ui.stdout.readline()
            yield ui.stdout.readline().strip()
        finally:
            ui.send_signal(signal.SIGINT)


def search(folder: Path) -> None:
    """Trials that guess better the later their network fuses, the deeper it is and the nearer its rate is to .01."""
    with Ledger(folder) as ledger:
        begin(ledger, SUBJECTS)
        draw = np.random.default_rng(stream("browser"))
        for number in range(16):
            rate = float(f"{10 ** draw.uniform(-4, -1):.2g}")
            levels = NETWORKS[number % 3] | {"depth": 1 + number % 2, "frames": (18, 24)[number // 2 % 2]}
            config = TrialConfig(**levels, learning_rate=rate)
            trial = ledger.propose("search", None, config, (1,), levels={name: "" for name in FACTORS})
            right = 0.35 + 0.1 * (number % 3) + 0.1 * (number % 2) - 0.08 * abs(np.log10(rate) + 2)
            pruned = number in (5, 11)
            guess(ledger, trial, right, SUBJECTS[:4] if pruned else SUBJECTS, draw)
            found = [row for rows in ledger.predictions(trial).values() for row in json.loads(rows)]
            counts = count(y_true=[r[1] for r in found], y_pred=[r[2] for r in found], classes=CLASSES)
            ledger.settle(trial.number, Outcome("pruned" if pruned else "complete", 4, float(uf1(counts))))


def guess(ledger: Ledger, trial: Trial, right: float, subjects: list[str], draw: np.random.Generator) -> None:
    attempt = ledger.attempt(trial.number)
    for subject in subjects:
        truth = [CLASSES[i % 3] for i in range(6)]
        said = [label if draw.random() < right else CLASSES[draw.integers(3)] for label in truth]
        rows = [[f"{subject}{i}", *pair, [0.2, 0.3, 0.5]] for i, pair in enumerate(zip(truth, said, strict=True))]
        key = f"{trial.config.key()}/{subject}"
        fold = FoldResult(key, CPU, trial.config.key(), 1, subject, json.dumps(rows), 2.5, 310.5, "laptop")
        ledger.add_folds(attempt, [fold])


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (Debian package chromium)")
def test_the_printed_address_shows_the_trials_and_their_factors(address, tmp_path):
    asyncio.run(look(address, tmp_path / "profile", Path(PICTURES) if PICTURES else tmp_path))


async def look(address: str, profile: Path, pictures: Path) -> None:
    async with opened(profile, 1500, 1000) as page:
        await page.go(address)
        rows = await page.until(f"(rows => rows.length > 10 && rows)({ROWS})")
        columns = await page.value(HEAD)
        assert columns[3] == "metrics.`uf1`" and {"params.`architecture`", "params.`depth`"} <= set(columns)
        scores = [row["metrics.`uf1`"] for row in rows]
        values = [float(score) for score in scores if score != "-"]
        assert len(values) >= 8 and values == sorted(values, reverse=True)
        assert scores[: len(values)] == [score for score in scores if score != "-"]  # pruned ones and the study last
        assert rows[0]["params.`architecture`"] in ("full_face", "fusion_intermediate", "fusion_late")

        await page.value(CLOSE)
        await page.until(f"(c => {json.dumps(FACTORS)}.every(n => c.includes(n)))(document.body.innerText)")
        await asyncio.sleep(1)  # until the table has its new width
        await page.picture(pictures / "mlflow-runs.png")
        await _charts(page, address, pictures)
        await _comparison(page, address)


async def _charts(page: Page, address: str, pictures: Path) -> None:
    await page.go(f"{address}&compareRunsMode=CHART")
    await page.until("document.body.innerText.includes('Factors and UF1')")
    shown = "[...document.querySelectorAll('svg text')].map(e => e.textContent)"
    await page.until(f"(t => {json.dumps([*FACTORS, 'uf1'])}.every(n => t.includes(n)))({shown})")
    await page.value(CLOSE)
    await asyncio.sleep(1)
    await page.picture(pictures / "mlflow-charts.png")


async def _comparison(page: Page, address: str) -> None:
    server, _, rest = address.partition("/#/experiments/")
    experiment = rest.partition("/")[0]
    runs = [run.info.run_id for run in MlflowClient(server).search_runs([experiment], "metrics.uf1 > 0")]
    chosen = f"runs={quote(json.dumps(runs))}&experiments={quote(json.dumps([experiment]))}"
    await page.go(f"{server}/#/compare-runs?{chosen}")
    assert await page.until(f"(c => c.length && c)({CHOSEN})") == ["architecture", "depth", "frames", "uf1"]
