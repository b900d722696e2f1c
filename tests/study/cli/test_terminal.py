"""What a terminal of 80, 100 and 140 columns shows: no line is longer, no number or name is cut or taken for markup."""

import io
import re
from collections import Counter

import pytest
from rich.cells import cell_len
from rich.console import Console

from analysis import tables
from analysis.tables import Row, Table, interval, number, text
from search_spaces.study_file import READY, load_study
from study.cli.app import main
from study.cli.plan_view import print_forecast
from study.cli.terminal import Parts, make_console, print_table, say
from study.cli.text_table import Column, TextTable
from study.planning.cost_model import Costs, Size
from study.planning.forecast import Forecast
from study.planning.plan import planned

WIDTHS = (80, 100, 140)
MARKUP = "[red]arm[/nope] :smile:"
ABLATE = {"design": "listed", "seeds": 1, "arms": {MARKUP: {"input": "gray"}}, "controls": ["null"]}


@pytest.fixture
def screen(capsys, monkeypatch):
    """What a command prints on a terminal of some width."""

    def run(width: int, *arguments: object) -> str:
        monkeypatch.setenv("COLUMNS", str(width))
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert ended.value.code == 0, err
        return fits(out, width)

    return run


def fits(text: str, width: int) -> str:
    """The text, in which nothing is cut and each line fits, but a path alone on its line."""
    assert "…" not in text
    for line in text.splitlines():
        assert cell_len(line) <= width or (" " not in line and "/" in line), line
    return text


def printed(what: object, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(what)
    return fits(console.file.getvalue(), width)


def plan_of(width: int, spec, clips: int = 144) -> str:
    """A plan on a terminal, without the seconds that timing steps for it takes."""
    plan = planned(spec, Size(12, clips, 3), Costs())
    made = Forecast(plan, Counter(), {}, 0, 1e5, 5e4, 2, 1, 0, 0)
    console = Console(file=io.StringIO(), width=width, markup=False, emoji=False, highlight=False)
    print_forecast(console, made, ("a note [red] of the dataset",), "of each fold")
    return fits(console.file.getvalue(), width)


@pytest.mark.parametrize("width", WIDTHS)
def test_plans_of_the_demo_and_of_kernels(width):
    default, kernels = (load_study(READY / name) for name in ("default.yaml", "kernels.yaml"))
    out = plan_of(width, default)
    for words in ("regions=eyes", "shuffled_labels", "406,339", "72 of 72 configurations", "[red]"):
        assert words in out.replace("\n", " ")
    out = plan_of(width, kernels)
    for time in (3, 7, 19):
        assert re.search(rf"kernel_space=7, kernel_time={time} .* [\d,]{{7,}} +\d+:\d\d:?\d*\n", out)


def test_a_plan_of_many_arms_is_grouped():
    vary = {"learning_rate": [round(0.0001 * n, 5) for n in range(1, 100)], "epochs": list(range(1, 61))}
    stages = {"ablate": {"design": "one_at_a_time", "seeds": 2, "vary": vary, "controls": ["null"]}}
    out = plan_of(80, load_study(READY / "default.yaml", {"stages": stages}))
    assert len(out.splitlines()) < 30
    assert re.search(r"\(\d+ arms\) +19[68]", out)
    assert "learning_rate (9" in out
    assert "null" in out


@pytest.mark.slow
def test_every_command_on_a_study(small, screen):
    """`run` is looked at by tests/study/cli/test_app.py."""
    small.run(stages={"ablate": ABLATE})
    out = screen(80, "report", small.folder)
    assert MARKUP in out
    assert re.search(r"0\.\d{3} \[0\.\d{3}, 0\.\d{3}\]", out)
    for width in WIDTHS:
        out = screen(width, "status", small.folder)
        assert re.search(r"\d/15", out)
        assert "uf1" in out
        out = screen(width, "cache", "list", "--storage", small.storage)
        assert all(file.stem in out for file in (small.storage / "cache").glob("*.arrow"))
        clips = sorted((small.storage / "data").glob("*/clips.csv"))[0]
        assert "subjects" in screen(width, "check", "manifest", clips)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_reports_table(width):
    """At 80 columns what fits, intervals whole; columns in which nothing stands go."""
    titles = ("Variant", "UF1 [95 % CI]", "UAR", "ΔUF1 [95 % CI]", "p adj", "Verdict", "Rank")
    cells = (
        text(MARKUP),
        interval((0.5, 0.4, 0.6)),
        number(0.5),
        interval((0.1, -0.1, 0.2), signed=True),
        number(0.04, 4),
    )
    row = Row("variant", (*cells, text("inconclusive"), text(None)))
    table = Table("t", "What does [each] change do?", "", tuple(tables.Column(t, (t,)) for t in titles), (row,) * 3)
    console = Console(file=io.StringIO(), width=width, markup=False, emoji=False, highlight=False)
    print_table(console, table)
    out = fits(console.file.getvalue(), width)
    for words in (MARKUP, "0.500 [0.400, 0.600]", "inconclusive"):
        assert words in out
    assert ("+0.100 [−0.100, +0.200]" in out) == ("ΔUF1" in out.splitlines()[1]) == (width > 80)
    assert "Rank" not in out


def test_a_table_gives_up_what_it_declares():
    columns = [Column("name"), Column("a", numeric=True), Column("seldom read", numeric=True, drop=1)]
    table = TextTable("t", [*columns, Column("change", below=True)], [("one", "123", "456,789", "depth=2 [b]x[/b]")])
    assert re.search(r"one +123 +456,789  depth=2 \[b\]x\[/b\]", printed(table, 80))
    assert re.search(r"one +123 +456,789\n    change: depth=2", printed(table, 32))
    narrow = printed(table, 16)
    assert re.search(r"one +123\n", narrow)
    assert "456" not in narrow
    assert "no room for" in narrow
    name = "a name of [seventy] letters, which stays whole on a line of its own, 情報"
    long = printed(TextTable("", columns, [(name, "12", "3")]), 76)
    assert f"{name}\n    a 12 · seldom read 3\n" in long


def test_parts_are_not_torn():
    out = printed(Parts([f"folds {n}/100" for n in range(20)]), 40)
    assert out.replace("\n", " · ").count("folds") == 20
    assert all(re.fullmatch(r"(folds \d+/100( · |$))+", line) for line in out.splitlines())


def test_what_steers_a_terminal_is_told_by_number(capsys):
    say(make_console(), "clip \x1b[31m\ud800 [bold]name[/] :smile:", "!", "yellow")
    assert capsys.readouterr().out == "! clip \\x1b[31m\\ud800 [bold]name[/] :smile:\n"
