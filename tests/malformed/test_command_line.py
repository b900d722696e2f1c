"""Malformed arguments: refused as the user's mistake, with the option and what would be right."""

import pytest

from malformed.command import refused

UNFIT = {
    "no slots": (("plan", "--slots", "0"), "'--slots': Input should be greater than or equal to 1"),
    "slots of 10^9": (("plan", "--slots", 10**9), "'--slots': Input should be less than or equal to 10000"),
    "slots of 10^20": (("plan", "--slots", 10**20), "'--slots': Input should be less than or equal to 10000"),
    "slots of 5,000 digits": (("run", "--slots", "9" * 5000), "--slots"),
    "slots in words": (("run", "--slots", "two"), "--slots"),
    "proposals of 1_0": (("plan", "--trials", "1_0"), "--trials: 1_0 is no whole number in digits 0 to 9"),
    "seeds of 1_0, joined": (("plan", "--seeds=1_0"), "--seeds: 1_0 is no whole number in digits 0 to 9"),
    "processors twice": (("plan", "--resources", "cpu=1,cpu=2"), "a name is given twice"),
    "a storage that is a device": (
        ("plan", "--storage", "/dev/null"),
        "storage /dev/null is a device; expected: a folder",
    ),
    "a storage that is a file": (("plan", "--storage", __file__), "is a file; expected: a folder"),
    **{
        f"no tracking server: {uri}": (("run", "--tracking-uri", uri), "expected: the address of an MLflow server")
        for uri in ("ht!tp://x", "http://", "http://host:99999", "http://[::1", "sqlite://", "nosuch://a", __file__)
    },
    "an empty storage": (("plan", "--storage", ""), "--storage: is empty"),
    "a blank storage": (("run", "--storage", "  "), "--storage: is empty"),
    "an empty storage, joined": (("plan", "--storage="), "--storage: is empty"),
    "an empty address": (("run", "--address", ""), "--address: is empty"),
    "an empty dataset": (("plan", "--data", ""), "--data: is empty"),
    "an empty study": (("plan", ""), "argument 2: is empty"),
    "an empty table": (("report", ""), "argument 2: is empty"),
    "a port of the system": (
        ("ui", "studies/x", "--port", "22"),
        "'--port': Input should be greater than or equal to 1024",
    ),
    "the first port": (("ui", "studies/x", "--port", "1"), "'--port': Input should be greater than or equal to 1024"),
    "a web server's port": (
        ("ui", "studies/x", "--port", "80"),
        "'--port': Input should be greater than or equal to 1024",
    ),
    "port 0": (("ui", "studies/x", "--port", "0"), "'--port': Input should be greater than or equal to 1024"),
    "a port beyond the last": (
        ("ui", "studies/x", "--port", "65536"),
        "'--port': Input should be less than or equal to 65535",
    ),
    "a study's name that is no UTF-8": (("plan", "caf\udce9.yaml"), "rename the file or folder"),
    "a folder's": (("check", "manifest", "\udcd6\udcd0"), "rename the file or folder"),
    "a table's": (("report", "\udcff.csv"), "rename the file or folder"),
    "a storage's": (("plan", "--storage", "caf\udce9"), "--storage: 'caf\\udce9' is not text in UTF-8"),
    "an arm's": (("report", "x.csv", "--baseline", "\ud800"), "--baseline"),
    "a reader without data": (("plan", "--reader", "casme2"), "give --data PATH, too"),
    "threads beyond sense": (("plan", "--resources", "cpu=1e5"), "resources.cpu: '1e5' is not valid"),
    "threads that torch dies of": (("run", "--serial", "--resources", "cpu=4096"), "on this machine at most"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_unfit_arguments(case, tmp_path):
    arguments, told = UNFIT[case]
    said = refused(*map(str, arguments), cwd=tmp_path)
    assert told in said.replace("\n", " ")
    assert list(tmp_path.iterdir()) == []


STUDY = """
name: halves
question: what?
storage: s
dataset: {path: clips, options: {classes: [a, b]}}
stages: {ablate: {design: listed, arms: {one: {depth: 2}}}}
"""


@pytest.mark.parametrize("text", ["what?", "one", "path: clips", "storage: s", "classes: [a, b"])
def test_half_a_character_in_a_study_file(text, tmp_path):
    before, _, word = text.rpartition(" ")
    (tmp_path / "study.yaml").write_text(STUDY.replace(text, f'{before} "{word}\\udc80"'))
    refused("plan", "study.yaml", cwd=tmp_path, tells=("study.yaml: line ", "invalid Unicode character escape code"))


MARKUP = ("[/nope]", "[red]", "[bold]x[/bold]", "[link=x]y[/link]", ":smile:", "\\[red]")


@pytest.mark.parametrize("name", MARKUP)
def test_markup_in_names_is_text(name, tmp_path):
    refused("plan", f"{name}.yaml", cwd=tmp_path, tells=(f"error: {name}.yaml: ",))
