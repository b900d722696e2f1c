"""The report's sections: a question, its answer in plain words, the tables and figures behind it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

from markupsafe import Markup
from matplotlib.figure import Figure

from analysis.questions import (
    ablation_path,
    breakdown,
    captions,
    cost,
    datasets,
    effects,
    importance,
    main_table,
    nested,
    pareto,
    ranking,
    selection,
    sensitivity,
    variance_components,
)
from analysis.questions.ablation import Ablation, Finding
from analysis.questions.choice import ON_CHOOSERS, judges
from analysis.questions.component_table import components
from analysis.questions.literature import Published, as_published
from analysis.questions.planted_answer import planted
from analysis.report import figures, fonts
from analysis.results.results import Results
from analysis.stats.confusion import Confusions
from analysis.tables import Table

FOREST = (
    "Thick: 95 % interval of each row by itself. Thin: interval that holds for all variants at once (single-step "
    "max-T; the verdict goes by the step-down p, which may find a little more). Filled: variants; open diamond: the "
    "null arm; open squares: controls."
)


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure with the name of its file, what it shows, and how to read it. It is drawn when it is first asked for."""

    name: str
    draw: Callable[[], Figure]
    alt: str
    caption: str

    @cached_property
    def figure(self) -> Figure:
        return fonts.with_fallbacks(self.draw())

    def svg(self) -> Markup:
        """As SVG to stand inside HTML; matplotlib escapes the names that it draws."""
        return Markup(figures.svg(self.figure))


@dataclass(frozen=True, eq=False)
class Section:
    """questions: smaller ones with their answers. stage: whose arms' changes are listed below the table, if any."""

    question: str
    answer: str
    tables: tuple[Table, ...]
    drawings: tuple[Drawing, ...] = ()
    questions: tuple[tuple[str, str], ...] = ()
    arms: tuple[Finding, ...] = ()


def sections(
    results: Results,
    counted: Confusions,
    stages: Sequence[Ablation],
    chosen: selection.Selection | None,
    published: Sequence[Published],
) -> tuple[Section, ...]:
    """All that these results can answer: the last stage first, it makes the study's claims."""
    found = [section for stage in reversed(stages) for section in _stage(results, counted, stage)]
    found += _search(results, counted, chosen)
    found += [section for stage in reversed(stages) for section in _details(results, counted, stage)]
    found.append(Section("What did it cost?", cost.answer(results), (cost.table(results),)))
    claims = stages[-1] if stages else None
    others = as_published(published, claims, results.metadata.dataset, int(counted.clips.sum()))
    if others:
        said = "They stand here as published; no test can tell a difference to numbers that were made in another way."
        found.append(Section("What have others published?", said, (others,)))
    return tuple(found)


def _stage(results: Results, counted: Confusions, found: Ablation) -> Iterator[Section]:
    """A stage's own claim, what was planted, and the effects of its factors."""
    alt = f"Differences to the {found.centre}"
    forest = Drawing(f"{found.stage}-forest", partial(figures.forest, found), alt, FOREST)
    drawn = (forest,) if any(f.comparison for f in found.findings) else ()
    parts = components(results, found)
    tables = (main_table.headline(results, found), *([_told(parts, found)] if parts else []))
    asked = main_table.questions(found)
    yield Section(main_table.question(found), main_table.sentence(found), tables, drawn, asked, found.findings)
    if parts_of := datasets.table(found, counted):
        asks = "Is a difference another in one dataset than in the others?"
        yield Section(asks, _marked(datasets.answer(parts_of), found), (parts_of,))
    if inside := nested.nested(results, counted, found):
        asks = "What is the choice among these configurations worth?"
        yield Section(asks, nested.answer(inside), (nested.table(inside),))
    truth = planted(results, found)
    if truth:
        said = _planted(truth)
        yield Section("Does the study find what was planted in the data?", said, (truth,))
    seen = effects.effects(results, found)
    if seen:
        how = "swaps of levels" if seen.swapped else "subject jackknife"
        caption = f"Line: 95 % interval by {how}; blue: main effects, grey: interactions."
        drawing = Drawing(f"{found.stage}-effects", partial(figures.effects, seen), "Effects of factors", caption)
        asks = "Does a factor matter, averaged over the others?"
        yield Section(asks, _marked(effects.answer(seen), found), (_told(effects.table(seen), found),), (drawing,))
    way = ablation_path.path(results, found)
    if way:
        asks = f"Which changes lead from the {found.centre} to the best?"
        yield Section(asks, _marked(ablation_path.answer(way), found), (_told(ablation_path.table(way), found),))


def _told(table: Table, found: Ablation) -> Table:
    """A table of a stage in which something was chosen, with by whom."""
    return replace(table, caption=" ".join([table.caption, *captions.by_whom(found)]))


def _marked(answer: str, found: Ablation) -> str:
    """An answer that holds on the subjects that chose, with the mark."""
    return f"{answer} That is {ON_CHOOSERS}." if found.chosen and found.testers is None else answer


def _search(results: Results, counted: Confusions, chosen: selection.Selection | None) -> Iterator[Section]:
    """The best of a search, and what its scores vary with."""
    tried = ranking.ranking(results, counted)
    if chosen:
        tables = (selection.table(chosen), *([tried] if tried else []))
        asks = f"Is the best of {len(chosen.tried)} as good as its score?"
        yield Section(asks, selection.answer(chosen), tables)
    elif tried:
        said = "It cannot be told: fewer than two configurations are complete."
        yield Section("Is the best of the search as good as its score?", said, (tried,))
    if points := pareto.pareto(results, counted):
        caption = "Blue: the Pareto front; grey: configurations that another beats in everything."
        drawing = Drawing("pareto-front", partial(figures.front, points), "Pareto front of the search", caption)
        seen = pareto.against_smallest(points, counted)
        tables = (pareto.table(points, seen, judges(results)),)
        yield Section("What does a smaller network cost?", pareto.answer(points, seen), tables, (drawing,))
    asks = "Which factors do the search's scores vary with?"
    try:
        shares = importance.importances(results, counted)
    except ModuleNotFoundError as missing:
        shares = f"{missing.name} is not installed (pip install 'losolab[run]' brings it)"
    if isinstance(shares, str):
        yield Section(asks, f"Not computed: {shares}.", ())
    elif shares:
        caption = "Bar: share; line: spread; orange tick: noise floor. Grey: not above noise."
        drawing = Drawing("importance", partial(figures.importances, shares), "Importance of factors", caption)
        yield Section(asks, importance.answer(shares), (importance.table(shares),), (drawing,))


def _details(results: Results, counted: Confusions, found: Ablation) -> Iterator[Section]:
    """The same predictions by class, dataset and subject; by other methods; and where the variance is."""
    if not any(f.score for f in found.findings):
        return
    classes = results.metadata.classes
    own = f" ({found.stage})" if len({arm.stage for arm in results.metadata.arms}) > 1 else ""
    tables = [
        breakdown.per_class(found, classes, breakdown.class_folds(results)),
        breakdown.per_dataset(found, counted),
        breakdown.conventions(found),
    ]
    yield Section(
        f"Which classes, datasets and subjects does it get wrong?{own}",
        _weakest(found, classes),
        tuple(table for table in tables if table),
        tuple(_pictures(counted, found, classes)),
    )
    other = sensitivity.table(found, [dataset for dataset, _ in counted.subjects])
    yield Section(f"Would another method say otherwise?{own}", sensitivity.answer(found, other), (other,))
    parts = variance_components.table(found)
    if parts:
        yield Section(f"What do the scores vary with?{own}", variance_components.answer(parts), (parts,))


def _pictures(counted: Confusions, found: Ablation, classes: Sequence[str]) -> Iterator[Drawing]:
    """The confusions of the baseline or winner (or first arm), by dataset; and the arms' differences by subject."""
    scored = [(f.arm.arm, f.score.counts) for f in found.findings if f.score]  # the baseline is first of them
    if scored:
        name, counts = scored[0]
        names = sorted({dataset for dataset, _ in counted.subjects})
        rows = {one: [i for i, (dataset, _) in enumerate(counted.subjects) if dataset == one] for one in names}
        panels = {"all clips": counts} | ({one: counts[own] for one, own in rows.items()} if len(rows) > 1 else {})
        caption = "Shares of the true class, pooled over folds; below them clips, mean over seeds."
        drawn = partial(figures.matrices, panels, classes, name)
        yield Drawing(f"{found.stage}-confusions", drawn, f"Confusion matrices of {name}", caption)
    base = found.baseline.score if found.baseline else None
    if base and any(f.comparison for f in found.findings):
        than = f"Clips that an arm has more (blue) or fewer (red) right than the {found.centre}"
        caption = f"{than}; subjects by its accuracy."
        by_subject = partial(figures.subjects, found, base, counted.subjects)
        yield Drawing(f"{found.stage}-subjects", by_subject, "Differences by subject", caption)


def _weakest(found: Ablation, classes: Sequence[str]) -> str:
    score = next((f for f in found.findings if f.score), None)
    if score is None or score.score is None:
        return "Nothing is complete."
    recall = score.score.recall
    low, high = (pick(range(len(classes)), key=lambda c: recall[c]) for pick in (min, max))
    return (
        f"{score.arm.arm} recalls {classes[high]} best ({100 * recall[high]:.0f} % of its clips) and {classes[low]} "
        f"worst ({100 * recall[low]:.0f} %)."
    )


def _planted(truth: Table) -> str:
    agrees = [row.cells[-1].text for row in truth.rows]
    yes, no = agrees.count("yes"), agrees.count("NO")
    if not yes + no:
        return "No arm of this study shows a planted effect."
    return f"{'Yes' if not no else 'Not everything'}: {yes} of {yes + no} planted effects come out as planted."
