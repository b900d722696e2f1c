"""The README and the docs are true: every command runs, every study file loads, tables are the code's."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from docs import generate
from search_spaces.study_file import load_study

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
COMMANDS = {
    page.relative_to(ROOT).as_posix(): [
        line.split("#")[0].strip()
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
        for line in block.splitlines()
    ]
    for page in PAGES
    if page.name != "cluster.md"  # tests/cluster/test_launcher.py follows that one
}
# Run there; the quick tests are among those of `make test`.
MADE = {"make demo": "tests/test_demo.py", "make test": ".ci/run", "make check": ".ci/run", "make quick": "make test"}


@pytest.mark.parametrize("name", generate.PARTS)
def test_generated_tables_are_the_codes(name):
    path, there, wanted = generate.page(name)
    assert there == wanted, f"{path.name}: `make docs` writes it anew"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_all_commands_are_known_to_be_run_somewhere():
    for commands in COMMANDS.values():
        for command in commands:
            assert command in MADE or command.startswith("losolab "), command
    makefile = (ROOT / "Makefile").read_text()
    assert all(f"\n{command.split()[1]}:" in makefile for command in MADE)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page, commands in COMMANDS.items() if set(commands) - set(MADE)])
def test_commands_run(page, tmp_path):
    """As a reader types them, one after another, beside a small dataset and the README's study, of fewer epochs."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def losolab(command: str) -> str:
        done = subprocess.run(command.split(), cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    losolab("losolab data synthesize clips --subjects 3 --clips 3")
    (study,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
    assert "epochs: 100" in study
    (tmp_path / "first.yaml").write_text(study.replace("epochs: 100", "epochs: 5"))
    if page != "README.md" and any("studies/first" in command for command in COMMANDS[page]):
        losolab("losolab run first.yaml --seeds 1")
    for command in [*COMMANDS[page], *re.findall(r"`(losolab (?:report|mlflow ui) [^`]+)`", (ROOT / page).read_text())]:
        if command.startswith("losolab mlflow ui"):
            assert "http" in _until_it_serves(command, tmp_path, environment)
        elif command not in MADE:
            losolab(command)


def _until_it_serves(command: str, folder: Path, environment: dict[str, str]) -> str:
    """Start a command that stays, stop it by Ctrl-C when it has printed its address, and return what it printed."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    server = subprocess.Popen(command.split(), cwd=folder, env=environment | {"PYTHONUNBUFFERED": "1"}, **streams)
    try:
        deadline, printed = time.monotonic() + 120, ""
        while "http" not in printed:
            assert server.poll() is None, printed + server.stdout.read()
            assert time.monotonic() < deadline, printed
            printed += server.stdout.readline()
        return printed
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=60)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_study_files_load(page, tmp_path):
    for number, text in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.S)):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text)
        load_study(path)
