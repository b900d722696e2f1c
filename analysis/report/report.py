"""The report of a study: HTML, Markdown, LaTeX, CSV, figure and JSON from one set of findings."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

import jinja2

from analysis.questions.ablation import Ablation, Finding, ablations
from analysis.questions.literature import Published
from analysis.questions.main_table import paper, sentence, verdict
from analysis.questions.ranking import states
from analysis.questions.selection import Selection, select
from analysis.report import figures, opening_box
from analysis.report.latex_numbers import macros
from analysis.report.sections import Drawing, Section, sections
from analysis.results.results import Results
from analysis.stats.bbc import DRAWS
from analysis.stats.confusion import confusions
from analysis.stats.inference import LEVEL, RESAMPLES, Comparison
from analysis.tables import Column, Row, Table, number, text
from search_spaces.errors import UserError
from search_spaces.files import written_whole

PACKAGES = ("losolab", "numpy", "scipy", "pandas", "pyarrow", "matplotlib")
STAGES = {"confirm": 1, "ablate": 2}  # in which order they run; all others come before
_LINES = 50_000  # of predictions that are digested at a time


@dataclass(frozen=True, eq=False)
class Report:
    """All that a report says. warnings: what it must open with. stages: those with arms; the last makes the claims.

    A study goes on after its claims: its last stage is another, `last`.
    """

    results: Results
    warnings: tuple[str, ...]
    stages: tuple[Ablation, ...]
    selection: Selection | None
    sections: tuple[Section, ...]
    failures: Table | None
    data: dict[str, str]
    provenance: dict[str, str]

    @property
    def last(self) -> Ablation | None:
        """The stage in which the study ended: changes around what was confirmed come after it."""
        return max(self.stages, key=lambda found: STAGES.get(found.stage, 0), default=None)

    def tables(self) -> list[Table]:
        """The tables of this report, in order; what a terminal prints is the first of them."""
        found = [*(table for section in self.sections for table in section.tables), self.failures]
        return [table for table in found if table and table.rows]

    def drawings(self) -> list[Drawing]:
        """The figures of this report, in order."""
        return [drawing for section in self.sections for drawing in section.drawings]

    def answers(self) -> list[str]:
        """What each stage says in a sentence, the last first; without stages, what the search says."""
        with_arms = [sentence(found) for found in reversed(self.stages)]
        return with_arms or [section.answer for section in self.sections[:1]]


def report(results: Results, published: Sequence[Published] = ()) -> Report:
    """Compute everything once. published: rows of the literature, shown beside.

    Raises UserError where no trial is complete, with why each is not.
    """
    if results.predictions.empty:
        raise UserError(_nothing(results))
    counted = confusions(results)
    stages = ablations(results, counted)
    chosen = select(results, counted)
    return Report(
        results=results,
        warnings=tuple(opening_box.warnings(results, counted, stages)),
        stages=stages,
        selection=chosen,
        sections=sections(results, counted, stages, chosen, published),
        failures=failures(results),
        data=data(results),
        provenance=provenance(results),
    )


def write(results: Results, folder: Path) -> Path:
    """Compute the report and publish it into `folder`; the path of report.html."""
    return publish(report(results), folder)


def publish(made: Report, folder: Path) -> Path:
    """Write report.html, .md, .json, numbers.tex, every table (tables/NAME.tex, .csv) and figure (figures/NAME.pdf).

    The last stage's main table and forest plot stand in front as table.tex, paper.tex (at the size of the text),
    table.csv, forest.pdf and forest.png. Each file appears whole or not at all.
    """
    for name in (".", "tables", "figures"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    last, stages = made.last, {found.stage for found in made.stages}
    _put(folder / "report.html", _render("report.html.j2", made))
    _put(folder / "report.md", _render("report.md.j2", made))
    _put(folder / "report.json", json.dumps(to_json(made), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    _put(folder / "numbers.tex", macros(made.stages, last, made.selection))
    for table in made.tables():
        is_front = last is not None and table.name == last.stage
        front = folder / "table" if is_front else folder / "tables" / table.name
        _put(front.with_name(f"{front.name}.tex"), table.to_latex())
        if table.name in stages:
            short = paper(table)
            _put(folder / "paper.tex" if is_front else folder / f"tables/{short.name}.tex", short.to_latex(paper=True))
        _put(front.with_name(f"{front.name}.csv"), table.to_csv())
    for drawing in made.drawings():
        front = (
            folder / "forest" if last and drawing.name == f"{last.stage}-forest" else folder / "figures" / drawing.name
        )
        _put(front.with_name(f"{front.name}.pdf"), figures.pdf(drawing.figure))
        if front.name == "forest":
            _put(front.with_name(f"{front.name}.png"), figures.png(drawing.figure))
    return folder / "report.html"


def _nothing(results: Results) -> str:
    """That there is nothing to report, and the reasons, each once."""
    lines = (trial.why.strip().splitlines()[-1] for trial in results.trials if trial.why and trial.why.strip())
    why = "; ".join(dict.fromkeys(lines))
    return f"nothing to report: none of {len(results.trials)} trials is complete" + (f" ({why})" if why else "")


def failures(results: Results) -> Table | None:
    """Every trial that is not complete, with its reason; None if there is none."""
    short = [trial for trial in results.trials if not trial.complete]
    columns = tuple(
        Column(title, (title.lower(),), numeric=title == "Trial")
        for title in ("Trial", "Stage", "Arm", "Seeds", "State", "Why")
    )
    rows = tuple(
        Row("missing", (number(t.trial), *map(text, (t.stage, t.arm, ", ".join(map(str, t.seeds)), t.state, t.why))))
        for t in short
    )
    caption = (
        f"{len(short)} of {len(results.trials)} trials are not complete; none of their predictions is in any score."
    )
    return Table("failures", "Trials without a result", caption, columns, rows) if rows else None


def data(results: Results) -> dict[str, str]:
    """The data and protocol in words."""
    about = results.metadata
    clips = results.predictions.drop_duplicates(["dataset", "subject", "clip_id"])
    sizes = clips.groupby(["dataset", "subject"]).size()
    labels = clips.y_true.value_counts()
    spread = f"; clips a subject: {sizes.min()} to {sizes.max()}, median {sizes.median():g}" if len(sizes) else ""
    return {
        "Dataset": about.dataset,
        "Digest of the data": about.dataset_digest,
        "Clips": f"{len(clips)} of {len(sizes)} subjects{spread}",
        "Classes": ", ".join(f"{name} {labels.get(name, 0)}" for name in about.classes),
        "Protocol": about.protocol,
        **(
            {"Chosen by": f"{len(about.chosen_by)} subjects, which alone the search holds out"}
            if about.chosen_by
            else {}
        ),
        "Baseline": about.baseline or "none",
        "Trials": states(results.trials),
    }


def provenance(results: Results) -> dict[str, str]:
    """Where the numbers come from: what the study recorded, the digest of the predictions, and the versions here."""
    recorded = {key: v if isinstance(v, str) else json.dumps(v) for key, v in results.metadata.provenance.items()}
    versions = {package: version(package) for package in PACKAGES}
    return {
        **recorded,
        "predictions (sha256)": _digest(results),
        "resampling": (
            f"stream(“analysis”, “subject swaps”, n), at most {RESAMPLES:,} swaps; (“analysis”, “subject "
            f"bootstrap”, n) and (“analysis”, “bootstrap interval”, n), {DRAWS:,} draws; subjects ordered by counts"
        ),
        "analysis ran with": ", ".join(f"{k} {v}" for k, v in {"Python": python_version(), **versions}.items()),
    }


def to_json(made: Report) -> dict[str, Any]:
    """Every number as computed, with where it comes from."""
    about = made.results.metadata
    return {
        "study": {
            "name": about.name,
            "question": about.question,
            "baseline": about.baseline,
            "classes": list(about.classes),
        },
        "warnings": list(made.warnings),
        "data": made.data,
        "method": {
            "metric": "UF1 of confusions pooled over folds, mean over seeds",
            "unit": "subject",
            "level": LEVEL,
            "equivalence": made.results.metadata.equivalence,
            "interval": "subject jackknife, t(n-1), logit scale",
            "test": "studentised subject swaps, step-down max-T over the variants",
            "selection": f"BBC-CV, {DRAWS} draws of subjects, pooled out-of-bag confusions, recentred interval",
            "effects": "least-squares contrasts of UF1; swaps of levels and max-T, or the jackknife and Holm",
        },
        "stages": {found.stage: _stage(found) for found in made.stages},
        "sections": [
            {"question": section.question, "answer": section.answer, "tables": [table.name for table in section.tables]}
            for section in made.sections
        ],
        "tables": {table.name: table.to_json() for table in made.tables()},
        "provenance": made.provenance,
    }


def _stage(found: Ablation) -> dict[str, Any]:
    always = found.constant
    return {
        "answer": sentence(found),
        "winner": found.winner,
        "chosen": found.chosen,
        "subjects that test": found.tests,
        "constant": {"answer": always.label, "uf1": always.score.interval.estimate} if always else None,
        "arms": [_arm(finding, found) for finding in found.findings],
    }


def _arm(finding: Finding, found: Ablation) -> dict[str, Any]:
    """What the tables leave out of an arm: changes, UF1 by seed, SE, all three intervals, confusion."""
    score, seen = finding.score, finding.comparison
    return {
        "arm": finding.arm.arm,
        "kind": finding.kind,
        "changes": dict(finding.arm.changes),
        "gap": asdict(finding.gap) if finding.gap else None,
        "chosen": finding.chosen,
        "verdict": verdict(finding, found.unlearned, found.testers is None),
        "tested": asdict(finding.tested.interval) if finding.tested else None,
        "seeds": list(finding.seeds),
        "uf1_by_seed": list(score.uf1) if score else None,
        "interval": asdict(score.interval) if score else None,
        "chance": score.chance if score else None,
        "confusion": score.counts.sum((0, 1)).tolist() if score else None,
        "comparison": _compared(seen) if seen else None,
    }


def _compared(seen: Comparison) -> dict[str, Any]:
    """All of a comparison; intervals that do not exist are null."""
    _, low, high = seen.shown
    there = {"joint": seen.joint if low is not None else None, "narrow": None if seen.bound is None else seen.narrow}
    return {**asdict(seen), "low": low, "high": high, **there, "detectable": seen.detectable}


def _digest(results: Results) -> str:
    """SHA-256 of the predicted labels, sorted by trial, seed and clip."""
    columns = ["trial", "seed", "dataset", "subject", "clip_id", "y_true", "y_pred"]
    state = hashlib.sha256()
    for start in range(0, max(1, len(results.predictions)), _LINES):  # all at once they would take much memory
        some = results.predictions[columns].iloc[start : start + _LINES]
        state.update(some.to_csv(index=False, header=start == 0).encode())
    return state.hexdigest()


def _render(template: str, made: Report) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("analysis.report"),
        autoescape=jinja2.select_autoescape(enabled_extensions=("html.j2",)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(report=made, about=made.results.metadata)


def _put(path: Path, content: str | bytes) -> None:
    with written_whole(path) as draft:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)
