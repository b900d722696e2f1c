"""What must not matter does not: order of rows, names of subjects, order of classes; and every format says the same."""

import csv
import io
import json
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.questions.selection import select
from analysis.report.report import publish, report
from analysis.results.load import load_results
from analysis.stats import metrics
from analysis.stats.confusion import confusions

CLASSES = ("neg", "pos", "sur")


def table(seed, subjects):
    """Predictions of three configurations and two seeds on a few clips a subject; above 14 subjects swaps are drawn."""
    generator = np.random.default_rng(seed)
    rows = []
    for subject in range(subjects):
        labels = [*range(3), *generator.integers(0, 3, generator.integers(0, 4))]
        for clip, label in enumerate(labels):
            for configuration, skill in (("a", 0.7), ("b", 0.6), ("c", 0.3)):
                for run in (1, 2):
                    said = label if generator.random() < skill else int(generator.integers(3))
                    rows.append((f"s{subject:02d}", f"c{clip}", CLASSES[label], CLASSES[said], configuration, run))
    return pd.DataFrame(rows, columns=["subject", "clip_id", "y_true", "y_pred", "configuration", "seed"])


def numbers(frame, folder):
    """Every number of the report but figures and importance, and what the files hold."""
    path = folder / "predictions.csv"
    frame.to_csv(path, index=False)
    made = report(load_results(path, baseline="a"))
    return [row for t in made.tables() for row in t.to_json()["rows"]]


def plain(rows):
    """The numbers of rows without names."""
    return [value for row in rows for value in row.values() if isinstance(value, int | float)]


STUDIES = st.tuples(st.integers(0, 1000), st.sampled_from([5, 16]))


@settings(max_examples=3, deadline=None)
@given(STUDIES, st.integers(0, 2**32 - 1))
def test_the_order_of_rows_changes_nothing_bit_for_bit(tmp_path_factory, study, shuffle):
    frame, folder = table(*study), tmp_path_factory.mktemp("rows")
    assert json.dumps(numbers(frame, folder)) == json.dumps(numbers(frame.sample(frac=1, random_state=shuffle), folder))


@settings(max_examples=3, deadline=None)
@given(STUDIES, st.permutations(range(16)))
def test_names_of_subjects_change_nothing(tmp_path_factory, study, order):
    frame, folder = table(*study), tmp_path_factory.mktemp("names")
    renamed = frame.assign(subject=frame.subject.map(lambda name: f"x{order[int(name[1:])]:02d}"))
    one, other = (plain(numbers(some, folder)) for some in (frame, renamed))
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


@settings(max_examples=3, deadline=None)
@given(STUDIES, st.permutations(CLASSES))
def test_the_order_of_classes_changes_nothing(tmp_path_factory, study, order):
    """Classes are put in the order of their names: so other names are another order."""
    frame, folder = table(*study), tmp_path_factory.mktemp("classes")
    names = dict(zip(CLASSES, order, strict=True))
    renamed = frame.assign(y_true=frame.y_true.map(names), y_pred=frame.y_pred.map(names))
    one, other = ({key: row[key] for row in numbers(some, folder) if row.get("variant") for key in KEYS if key in row}
                  for some in (frame, renamed))  # fmt: skip
    assert one.keys() == other.keys() and set(KEYS) == set(one)
    for key, value in one.items():
        assert other[key] == pytest.approx(value, abs=1e-12), key


KEYS = ("uf1", "uf1_low", "uf1_high", "difference", "difference_low", "p", "p_adjusted", "bootstrap_t_low", "uar")


@settings(max_examples=20, deadline=None)
@given(STUDIES, st.permutations(CLASSES))
def test_a_selection_does_not_hang_on_names(tmp_path_factory, study, order):
    frame, folder, found = table(*study), tmp_path_factory.mktemp("choice"), []
    names = dict(zip(CLASSES, order, strict=True))
    for some in (frame, frame.assign(y_true=frame.y_true.map(names), y_pred=frame.y_pred.map(names))):
        some.to_csv(folder / "x.csv", index=False)
        results = load_results(folder / "x.csv")
        chosen = select(results, confusions(results))
        found.append((chosen.winner, *np.round([*chosen.corrected, chosen.left_out, chosen.again], 11)))
    assert found[0] == found[1]


@settings(max_examples=10, deadline=None)
@given(STUDIES, st.integers(0, 2**32 - 1))
def test_shuffled_rows_of_a_perfect_prediction_stay_perfect(tmp_path_factory, study, shuffle):
    frame, folder = table(*study), tmp_path_factory.mktemp("perfect")
    perfect = frame.assign(y_pred=frame.y_true).sample(frac=1, random_state=shuffle)
    perfect.to_csv(folder / "x.csv", index=False)
    pooled = confusions(load_results(folder / "x.csv")).counts.sum((0, 1))
    assert metrics.uf1(pooled) == metrics.uar(pooled) == metrics.accuracy(pooled) == 1


def test_transposing_truth_and_prediction_changes_uar_but_not_uf1(tmp_path):
    frame = table(3, 8)
    found = []
    for columns in ({}, {"y_true": "y_pred", "y_pred": "y_true"}):
        one = frame[(frame.configuration == "b") & (frame.seed == 1)].rename(columns=columns)
        one.to_csv(tmp_path / "x.csv", index=False)
        pooled = confusions(load_results(tmp_path / "x.csv")).counts.sum((0, 1))
        found.append((metrics.uf1(pooled), metrics.uar(pooled)))
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-12) and found[0][1] != pytest.approx(found[1][1], abs=1e-3)


@pytest.fixture(scope="module")
def published(simulate, arms, arm, tmp_path_factory):
    cut = arm("hidden=512", 0.9, {"hidden": 512}, states={2: "failed"})
    made = report(simulate((*arms, cut), search=12).results())
    folder = tmp_path_factory.mktemp("report")
    publish(made, folder)
    return made, folder


def test_four_formats_of_every_table_hold_the_same_numbers(published):
    made, folder = published
    html = (folder / "report.html").read_text(encoding="utf-8")
    markdown = (folder / "report.md").read_text(encoding="utf-8")
    assert len(made.tables()) >= 10
    for shown in made.tables():
        front = folder / ("table" if shown.name == "ablate" else f"tables/{shown.name}")
        latex, digits = (
            front.with_name(f"{front.name}.{suffix}").read_text(encoding="utf-8") for suffix in ("tex", "csv")
        )
        grid = re.search(rf'id="table-{shown.name}".*?<tbody>(.*?)</tbody>', html, re.S).group(1)
        grids = markdown.split(f"### {shown.title}\n")[1].split("\n\n")
        rows = latex.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
        found = {
            "html": [signs(re.sub("<[^>]+>", " ", row)) for row in grid.split("</tr>")[:-1]],
            "markdown": [signs(line) for line in grids[1].splitlines()[2:]],
            "latex": [signs(line) for line in rows],
            "csv": [signs(" ".join(row)) for row in list(csv.reader(io.StringIO(digits)))[1:]],
        }  # fmt: skip
        assert found["html"] == found["markdown"] == found["latex"], shown.name
        for line, row in zip(found["csv"], found["html"], strict=True):
            assert set(row) <= set(line), shown.name


def signs(words):
    """The numbers of a line, without their thousands' commas."""
    bare = words.replace("$-$", "-").replace("−", "-").replace("--", " ").replace("\\", "")
    return [value.replace(",", "") for value in re.findall(r"[-+]?\d[\d,]*(?:\.\d+)?", bare)]


def test_an_incomplete_row_carries_its_mark_in_every_format(published):
    _, folder = published
    for name in ("report.html", "report.md", "table.tex", "table.csv", "report.json"):
        text = (folder / name).read_text(encoding="utf-8")
        line = next(line for line in text.replace("</tr>", "</tr>\n").splitlines() if "hidden=512" in line)
        near = text[text.index(line) :][:900]
        assert "incomplete" in near or "No score for" in near, name
        assert "incomplete" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX engine here")
def test_all_tables_and_numbers_compile_with_booktabs_alone(published, tmp_path):
    _, folder = published
    inputs = "".join(
        rf"\input{{{path}}}\clearpage" for path in [folder / "table.tex", *(folder / "tables").glob("*.tex")]
    )
    head = rf"\documentclass{{article}}\usepackage{{booktabs}}\input{{{folder / 'numbers.tex'}}}"
    (tmp_path / "page.tex").write_text(rf"{head}\begin{{document}}UF1 \UFBaseline. {inputs}\end{{document}}")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"], cwd=tmp_path, capture_output=True
    )
    if b"booktabs.sty' not found" in done.stdout:
        pytest.skip("this LaTeX has no booktabs")
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
