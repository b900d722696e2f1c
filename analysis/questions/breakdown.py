"""The same predictions by class, by dataset, and by the other conventions that papers use."""

from collections.abc import Sequence

import numpy as np

from analysis.questions.ablation import Ablation
from analysis.results.results import Results
from analysis.stats import metrics
from analysis.stats.confusion import Confusions, Counts
from analysis.tables import Cell, Column, Row, Table, number, text

VARIANT = Column("Variant", ("variant",), numeric=False)
PARAMETERS = Column("Params", ("parameters",))


def per_class(found: Ablation, classes: Sequence[str], folds: str = "") -> Table:
    """F1, recall and precision of each class, and macro-precision, which is not UAR. folds: what `class_folds` says."""
    measures = ("F1", "recall", "precision")
    columns = [VARIANT, *(Column(f"{m} {c}", (f"{m.lower()}_{c}",)) for m in measures for c in classes)]
    columns += [Column("Macro-precision", ("macro_precision",)), PARAMETERS]
    rows = tuple(
        Row(f.kind, (
            text(f.arm.arm),
            *(number(v, 3) for v in (*s.f1, *s.recall, *s.precision, s.macro_precision)),
            number(f.cost.parameters),
        ))
        for f in found.findings
        if (s := f.score)
    )  # fmt: skip
    caption = "Of the pooled confusions, mean over seeds; – where a class is never predicted, so that 0/0 is no number."
    return Table(f"{found.stage}-classes", "By class", " ".join(filter(None, [caption, folds])), tuple(columns), rows)


def class_folds(results: Results) -> str:
    """In how many folds of a seed each class is trained and tested; nothing where subjects are on both sides."""
    whole = next((trial for trial in results.trials if trial.complete and trial.by_subject and trial.arm), None)
    if whole is None:
        return ""
    rows = results.predictions
    rows = rows[(rows.trial == whole.trial) & (rows.seed == whole.seeds[0])]
    many = rows.held_out.nunique()
    own = {name: rows.held_out[rows.y_true == name].nunique() for name in results.metadata.classes}
    told = ", ".join(f"{name} {many - (tested == 1)} and {tested}" for name, tested in own.items())
    return f"Of the {many} folds of a seed train and test a class: {told}."


def per_dataset(found: Ablation, counted: Confusions) -> Table | None:
    """UF1, UAR and accuracy of each dataset of a composite, from the same predictions; None for one dataset."""
    of = np.array([dataset for dataset, _ in counted.subjects])
    names = sorted(set(of.tolist()))
    if len(names) < 2:
        return None
    measures = (("UF1", metrics.uf1), ("UAR", metrics.uar), ("Acc", metrics.accuracy))
    columns = [Column(f"{m} (pooled)", (f"{m.lower()}_pooled",)) for m, _ in measures]
    columns += [Column(f"{m} {name}", (f"{m.lower()}_dataset_{name}",)) for name in names for m, _ in measures]
    rows = []
    for f in found.findings:
        if f.score is None:
            continue
        parts = [f.score.counts, *(f.score.counts[of == name] for name in names)]
        cells = [_mean(measure(part.sum(0))) for part in parts for _, measure in measures]
        rows.append(Row(f.kind, (text(f.arm.arm), *cells, number(f.cost.parameters))))
    sizes = ", ".join(f"{name} {(of == name).sum()} subjects, {_clips(counted, of == name)} clips" for name in names)
    caption = f"Each dataset's own clips of the same predictions (trained on all together), mean over seeds: {sizes}."
    return Table(f"{found.stage}-datasets", "By dataset", caption, (VARIANT, *columns, PARAMETERS), tuple(rows))


def conventions(found: Ablation) -> Table:
    """What the same predictions would be called elsewhere."""
    columns = (
        VARIANT,
        Column("UF1 (pooled)", ("uf1",)),
        Column("Weighted F1", ("weighted_f1",)),
        Column("Fold mean of F1", ("fold_mean_f1",)),
        Column("UAR", ("uar",)),
        Column("Macro-precision", ("macro_precision",)),
        Column("Acc", ("accuracy",)),
        Column("Fold mean of Acc", ("fold_mean_accuracy",)),
        PARAMETERS,
    )
    rows = tuple(
        Row(f.kind, (text(f.arm.arm), *_conventions(f.score.counts), number(f.cost.parameters)))
        for f in found.findings
        if f.score
    )
    caption = (
        "The same predictions under the names that papers use, mean over seeds. Only the pooled UF1, UAR and Acc are "
        "claims here. Weighted F1 lets the largest class lead. A fold mean is the mean over subjects of each one's own "
        "score (F1 over the classes that it has or is given): it hangs on how 0/0 is counted, and compares with no "
        "pooled number. Macro-precision has been published as UAR: it is the UAR of the transposed matrix."
    )
    return Table(f"{found.stage}-conventions", "Other conventions", caption, columns, rows)


def _conventions(counts: Counts) -> list[Cell]:
    pooled = counts.sum(0)
    return [
        _mean(metrics.uf1(pooled)),
        _mean(metrics.weighted_f1(pooled)),
        _mean(metrics.fold_mean_f1(counts)),
        _mean(metrics.uar(pooled)),
        _mean(metrics.macro_precision(pooled)),
        _mean(metrics.accuracy(pooled)),
        _mean(metrics.accuracy(counts).mean(0)),
    ]


def _mean(values: metrics.Floats) -> Cell:
    return number(float(values.mean()), 3)


def _clips(counted: Confusions, of: Sequence[bool] | metrics.Array) -> int:
    return int(counted.clips[np.asarray(of)].sum())
