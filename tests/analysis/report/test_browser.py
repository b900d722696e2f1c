"""The report in a real browser, on a desk and on a telephone: it draws, and asks nobody for anything."""

import functools
import http.server
import json
import shutil
import subprocess
import threading

import pytest

from analysis.report.report import write
from analysis.results.load import load_results

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # Chromium itself would call home
]
STARTED = "URL_REQUEST_START_JOB"


@pytest.fixture(scope="module")
def served(simulate, arms, tmp_path_factory):
    """The report of a simulated study behind a server on this machine; gives its address."""
    folder = tmp_path_factory.mktemp("report")
    write(load_results(simulate(arms, search=6).save(folder)), folder / "report")
    handler = functools.partial(Quiet, directory=str(folder / "report"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Nothing: the tests' output is no access log."""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (Debian package chromium)")
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_draws_and_asks_nobody(served, tmp_path, width):
    log, picture = tmp_path / "net.json", tmp_path / "page.png"
    options = [f"--window-size={width},2000", f"--log-net-log={log}", f"--screenshot={picture}"]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [CHROMIUM, *QUIET, *options, profile, f"{served}/report.html"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert picture.stat().st_size > 20_000  # an empty page is smaller
    asked = requests(json.loads(log.read_text()))
    assert f"{served}/report.html" in {url for url, _ in asked}
    by_page = {url for url, initiator in asked if served in initiator or url.startswith(served)}
    assert by_page <= {f"{served}/report.html", f"{served}/favicon.ico"}


def requests(log: dict) -> list[tuple[str, str]]:
    """Address and initiator of every request in a network log of Chromium."""
    started = log["constants"]["logEventTypes"][STARTED]
    events = [event.get("params", {}) for event in log["events"] if event["type"] == started]
    return [(params["url"], str(params.get("initiator", ""))) for params in events if "url" in params]
