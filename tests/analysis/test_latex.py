import copy
import re
import shutil
import subprocess

import pytest

from analysis.latex import escaped
from analysis.questions.main_table import paper
from analysis.report.report import report
from analysis.tables import Column, Row, Table, interval, number, text

# Of each kind two that a person tells apart, and that must not be printed alike.
NAMES = (
    "50 % & a_b # {c} $d$ ~ ^", r"\cmd", "[A] eyes", "* ours", "ours", "lr > 0.1", "lr < 0.1", "face|eyes", "face-eyes",
    "α = 10", "β = 10", "Ω", "≥ 3 blocks", "≤ 3 blocks", "≠ 3", "→ 3", "微表情", "表情", "Привет", "اسم", "a--b", "a–b",
    'x"y', "x”y", "café", "cafe", "Łódź", "m²", "½", "1/2", "emoji 😀", "zero\u200bwidth", "?`", "¿", "a,,b",
)  # fmt: skip


def named(*names: str) -> Table:
    columns = Column("Variant", ("variant",), numeric=False), Column("✓ UF1 [95 % CI]", ("uf1", "low", "high"))
    rows = tuple(Row("variant", (text(name), interval((0.643, 0.56, 0.717)))) for name in names)
    return Table("toy", "Toy", "Of α, 微 and −1.", columns, rows, ("A note_with *.",))


def compiled(folder, source: str, packages: str = "booktabs") -> str:
    """What a page with this table prints."""
    if shutil.which("pdflatex") is None or shutil.which("pdftotext") is None:
        pytest.skip("no pdflatex, or no pdftotext, on this machine")
    (folder / "table.tex").write_text(source, encoding="utf-8")
    page = rf"\documentclass{{article}}\usepackage{{{packages}}}\begin{{document}}\input{{table.tex}}\end{{document}}"
    (folder / "page.tex").write_text(page)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True)
    if b"sty' not found" in done.stdout:
        pytest.skip(f"this LaTeX lacks one of {packages}")
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    read = subprocess.run(["pdftotext", "-layout", "page.pdf", "-"], cwd=folder, capture_output=True, text=True)
    return read.stdout


def test_every_name_is_printed_and_no_two_alike(tmp_path):
    shown = compiled(tmp_path, named(*NAMES).to_latex())
    rows = re.findall(r"^ *(.*?) *0\.643 \[0\.560, 0\.717\]$", shown, re.MULTILINE)
    assert len(set(rows)) == len(rows) == len(NAMES), rows
    assert {"[A] eyes", "* ours", "ours", "lr > 0.1", "face|eyes", "α = 10", "≥ 3 blocks"} <= set(rows)
    assert "✓ UF1" in shown and "U+8868 U+60C5" in rows


def test_a_paper_form_breaks_long_names_and_intervals(tmp_path):
    long = "architecture=fusion_intermediate, learning_rate=0.0031"
    shown = compiled(tmp_path, named(*NAMES[:12], long, "x" * 74).to_latex(paper=True), "booktabs,graphicx")
    assert re.search(r"^ *α = 10 +0\.643\n +\[0\.560, 0\.717\]$", shown, re.MULTILINE)
    assert "intermediate,\n" in shown and "xxxxxxxxxxxx\n" in shown and "0.0031" in shown


def test_latex_is_an_escaped_booktabs_table_without_preamble():
    latex = named("regions=eyes & 50 %_x", "a|b").to_latex()
    assert r"regions=eyes \& 50 \%\_x" in latex and r"note\_with" in latex and "a$|$b" in latex
    for part in (r"\toprule", r"\midrule", r"\bottomrule", r"\begin{tabular}{lr}", r"\label{tab:toy}", r"\caption["):
        assert part in latex
    for part in (r"\documentclass", r"\hline", "−", "α"):
        assert part not in latex
    assert latex.replace(r"\{", "").count("{") == latex.replace(r"\}", "").count("}")


def test_a_table_is_never_stretched_and_stands_off_its_caption():
    latex = named("a").to_latex()
    assert r"\ifdim\wd0>\textwidth\resizebox{\textwidth}{!}{\usebox0}\else\usebox0\fi" in latex
    assert latex.count(r"\textwidth}{!}") == 1 and r"\par\addvspace{6pt}" in latex


def test_special_characters_of_latex():
    assert escaped(r"50 % of a_b & {c} #1 $x ~ ^ \y") == (
        r"50 \% of a\_b \& \{c\} \#1 \$x \textasciitilde{} \textasciicircum{} \textbackslash{}y"
    )
    assert escaped("é ñ ï ẹ ß") == r"\'{e} \~{n} " + '\\"{\\i} ' + r"\d{e} \ss{}"
    assert escaped("") == "" and escaped("a\nb  c") == r"a b \ c"


def test_the_papers_form_has_eight_columns_and_the_full_one_all_that_are_filled(simulate, arms):
    study = copy.deepcopy(simulate(arms))
    for trial in study.trials:
        trial |= {"seconds": None, "multiply_adds": None}
    (whole, *_) = report(study.results()).tables()
    short = paper(whole)
    assert short.titles() == [
        "Variant", "UF1 [95 % CI]", "UAR", "Acc", "ΔUF1 [95 % CI]", "p adj", "Verdict", "Params",
    ]  # fmt: skip
    assert short.texts()[1][1] == whole.texts()[1][1]
    for made in (whole.to_latex(), whole.to_markdown()):
        assert "Seconds" not in made.replace("Seconds: one", "") and "M mult-adds" not in made and "Seed SD" in made
    assert "seconds" in whole.to_csv().splitlines()[0]


def test_titles_may_be_alike():
    made = Table("t", "T", "", (Column("a_b", ("x",)), Column("a_b", ("y",))), (Row("plain", (number(1), number(2))),))
    assert r"a\_b & a\_b" in made.to_latex()
