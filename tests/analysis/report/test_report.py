import copy
import csv
import json
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest

import analysis.questions.ablation
import analysis.report.report
from analysis.report.report import publish, report, write
from analysis.results.load import load_results
from analysis.results.results import PREDICTIONS, TRIALS, Results
from analysis.stats.confusion import confusions

LINKS = {"src", "href", "xlink:href", "data", "action", "poster", "srcset", "background", "cite"}


class Page(HTMLParser):
    """Everything that a page refers to, its tags, its cells by table, and its words."""

    def __init__(self, source):
        super().__init__()
        self.links, self.tags, self.tables, self.words, self.open = [], [], {}, [], None
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in LINKS]
        if tag == "table":
            self.open = self.tables.setdefault(dict(attributes)["id"], [])
        elif tag == "tr":
            self.open.append([])
        elif tag in ("td", "th"):
            self.open[-1].append("")

    def handle_endtag(self, tag):
        self.open = None if tag == "table" else self.open

    def handle_data(self, data):
        self.words.append(data)
        if self.open and self.open[-1] and data.strip():
            self.open[-1][-1] += data


@pytest.fixture(scope="module")
def folder(simulate, arms, arm, tmp_path_factory):
    extra = arm("hidden=512", 0.9, {"hidden": 512}, states={2: "failed"})
    where = tmp_path_factory.mktemp("study")
    write(load_results(simulate((*arms, extra), search=6).save(where)), where / "report")
    return where / "report"


def page(folder):
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_predictions_are_counted_once(simulate, arms, monkeypatch):
    results, calls = simulate(arms, search=4).results(), []
    for module in (analysis.report.report, analysis.questions.ablation):
        monkeypatch.setattr(module, "confusions", lambda of: calls.append(of) or confusions(of))
    report(results)
    assert len(calls) == 1


def test_all_files_are_there_and_no_others(folder):
    names = {"report.html", "report.md", "report.json", "numbers.tex", "tables", "figures"}
    names |= {"table.tex", "paper.tex", "table.csv", "forest.pdf", "forest.png"}
    assert {path.name for path in folder.iterdir()} == names
    tables = ["classes", "components", "conventions", "planted", "sensitivity", "variance"]
    expected = {f"ablate-{name}" for name in tables} | {"cost", "failures", "search", "selection"}
    assert {path.name for path in (folder / "tables").iterdir()} == {
        f"{n}.{s}" for n in expected for s in ("tex", "csv")
    }
    assert {path.name for path in (folder / "figures").iterdir()} == {"ablate-confusions.pdf", "ablate-subjects.pdf"}


def test_html_refers_to_nothing_outside_itself(folder):
    source, found = (folder / "report.html").read_text(encoding="utf-8"), page(folder)
    assert all(link.startswith("#") for link in found.links)
    assert "default-src 'none'; style-src 'unsafe-inline'" in source  # a browser would refuse any request
    assert not {"script", "link", "iframe", "object", "embed", "img", "base"} & set(found.tags)
    assert "@import" not in source and "<!DOCTYPE svg" not in source
    assert all(part.startswith("#") for part in (piece.strip("'\" ") for piece in source.split("url(")[1:]))
    without_names = source.replace('xmlns="http://www.w3.org/2000/svg"', "").replace(
        'xmlns:xlink="http://www.w3.org/1999/xlink"', ""
    )
    assert "http://" not in without_names and "https://" not in without_names
    assert len(source) < 3_000_000


def test_html_shows_table_and_figure(folder):
    found = page(folder)
    assert "svg" in found.tags
    tables = ["classes", "components", "conventions", "planted", "sensitivity", "variance"]
    expected = {f"table-ablate-{name}" for name in tables} | {"table-ablate"}
    assert set(found.tables) == expected | {"table-cost", "table-failures", "table-search", "table-selection"}
    assert [row[0] for row in found.tables["table-ablate"][1:3]] == ["baseline", "regions=eyes"]


def test_all_formats_show_the_same_numbers(folder):
    html = page(folder).tables["table-ablate"][1:]
    markdown = [
        [cell.strip() for cell in line.strip("| \n").split(" | ")]
        for line in (folder / "report.md").read_text(encoding="utf-8").split("## Ablation")[1].splitlines()
        if line.startswith("|")
    ][2 : 2 + len(html)]
    assert markdown == html
    digits = list(csv.reader((folder / "table.csv").open(encoding="utf-8")))[1:]
    latex = (folder / "table.tex").read_text(encoding="utf-8")
    for shown, row in zip(html, digits, strict=True):
        together = " ".join(shown).replace("−", "-").replace(",", "")
        assert all(number in together for number in row[2:9] if number)
        assert all(text.replace("−", "$-$").replace("–", "--").replace("_", r"\_") in latex for text in shown)


def test_json_holds_every_number_and_where_it_comes_from(folder):
    found = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    eyes = next(a for a in found["stages"]["ablate"]["arms"] if a["arm"] == "regions=eyes")
    assert len(eyes["uf1_by_seed"]) == 3 and np.sum(eyes["confusion"]) == 450
    assert eyes["comparison"]["p"] <= 0.05 and len(eyes["comparison"]["joint"]) == 2
    assert found["tables"]["ablate"]["rows"][1]["uf1"] == eyes["interval"]["estimate"]
    assert len(found["provenance"]["predictions (sha256)"]) == 64 and found["provenance"]["code"] == "abc123"
    assert found["method"]["unit"] == "subject"


def test_failures_and_gaps_are_named(folder):
    words = " ".join(page(folder).words)
    assert "No score for 1 of 9 arms: hidden=512." in words
    assert "hidden=512: incomplete: 2 of 3 seeds; seed 2 failed (out of memory)." in words


@pytest.mark.slow
def test_the_same_results_give_the_same_bytes_in_any_order(simulate, tmp_path):
    study = simulate(search=4)
    shuffled = np.random.default_rng(1).permutation(len(study.predictions))
    rows = pa.Table.from_pylist([study.predictions[i] for i in shuffled], PREDICTIONS)
    other = Results.of(rows, pa.Table.from_pylist(study.trials[::-1], TRIALS), study.results().metadata)
    write(study.results(), tmp_path / "one")
    write(other, tmp_path / "two")
    for path in (tmp_path / "one").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes(), path.name


def test_labels_shuffled_and_still_above_chance_open_the_report(simulate, arms, arm, tmp_path):
    leaky = (*arms, arm("shuffled_labels", 0.3, {"control": "shuffled_labels"}, seeds=(1, 2, 3, 4, 5)))
    made = report(simulate(leaky).results())
    assert made.warnings[0].startswith("Labels were shuffled in shuffled_labels") and "above chance" in made.warnings[0]
    words = "".join(Page(publish(made, tmp_path).read_text(encoding="utf-8")).words)
    assert words.index("Labels were shuffled") < words.index("The baseline reaches")
    assert any(cell.text == "ABOVE CHANCE" for row in made.tables()[0].rows for cell in row.cells)


def test_notes_of_the_study_open_the_report(simulate):
    study = simulate()
    study.metadata["notes"].append("The code differs from what made these folds.")
    assert report(study.results()).warnings == ("The code differs from what made these folds.",)
    study.metadata["notes"].clear()


def test_names_are_escaped(simulate, arm, tmp_path):
    name = "<b>&depth=2"
    write(simulate((arm("baseline", 0.7), arm(name, 0.6, {"depth": 2}))).results(), tmp_path)
    source = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<b>&depth" not in source and "&lt;b&gt;&amp;depth=2" in source


def test_the_last_stage_stands_in_front_though_confirm_makes_the_claims(simulate, arm, tmp_path):
    confirm = [arm(name, skill, stage="confirm", seeds=(5, 6)) for name, skill in (("baseline", 0.7), ("top", 0.8))]
    made = report(simulate((*confirm, arm("baseline", 0.7), arm("other", 0.4))).results())
    publish(made, tmp_path)
    assert {"tables/confirm.csv", "tables/confirm-paper.tex", "figures/confirm-forest.pdf", "table.csv"} <= {
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")
    }
    assert "other" in (tmp_path / "table.csv").read_text() and "top" in (tmp_path / "tables/confirm.csv").read_text()
    assert "top" in made.answers()[0] and "other" in made.answers()[1]


def test_what_is_not_shown_has_a_word(simulate, arm):
    made = report(simulate((arm("baseline", 0.7), arm("other", 0.4)), search=8).results())
    said = {section.question: section.answer for section in made.sections}
    assert said["Which factors do the search's scores vary with?"] == (
        "Not computed: fANOVA needs at least 10 complete trials, and the search has 6."
    )


def test_one_seed_is_one_seed_and_minus_is_no_hyphen(simulate, arm):
    made = report(simulate((arm("baseline", 0.8, seeds=(1,)), arm("null", 0.2, seeds=(11,)))).results())
    assert "1 seed an arm" in made.tables()[0].caption
    assert any("differs from the baseline by −0." in said for said in made.warnings)


def test_a_score_too_good_to_be_true_is_asked_after(simulate, arm):
    strange = report(simulate((arm("baseline", 0.5), arm("leaky", 1.0))).results()).warnings
    assert strange[0].startswith("UF1 of leaky (1.000) is that of a network that hardly ever errs")
    assert not any("hardly ever errs" in said for said in report(simulate().results()).warnings)


def test_a_class_that_one_subject_alone_shows_is_told(simulate, arm):
    study = copy.deepcopy(simulate((arm("baseline", 0.7), arm("other", 0.4))))
    for row in study.predictions:
        row["y_true"] = "negative" if row["y_true"] == "surprise" and row["subject"] != "s00" else row["y_true"]
    told = report(study.results()).warnings[0]
    assert told.startswith("Classes that one subject alone shows: surprise (subject s00)") and "at most 0.67" in told


def test_a_study_in_which_nothing_is_complete_still_has_a_report(simulate, arm, tmp_path):
    broken = (
        arm("baseline", 0.7, states={1: "failed", 2: "failed", 3: "running"}),
        arm("other", 0.4, states={1: "failed"}),
    )
    words = " ".join(Page(write(simulate(broken).results(), tmp_path).read_text(encoding="utf-8")).words)
    assert "The baseline has no score" in words and "out of memory" in words


def test_a_search_alone_has_a_report(simulate, tmp_path):
    assert set(Page(write(simulate((), search=5).results(), tmp_path).read_text(encoding="utf-8")).tables) == {
        "table-search",
        "table-selection",
        "table-cost",
        "table-failures",
    }


def test_a_write_that_fails_leaves_the_old_file_and_no_part(simulate, tmp_path, monkeypatch):
    made = report(simulate().results())
    publish(made, tmp_path)
    before = (tmp_path / "report.html").read_bytes()
    monkeypatch.setattr("pathlib.Path.replace", lambda self, target: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        publish(made, tmp_path)
    assert (tmp_path / "report.html").read_bytes() == before
    assert not list(tmp_path.glob(".*.partial"))


def test_the_analysis_needs_neither_torch_nor_ray():
    heavy = {"torch", "ray", "mlflow", "optuna", "av", "decord", "sklearn", "study"}
    code = f"import sys, analysis.report.report, analysis.results.load; print(*{heavy!r}.intersection(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
