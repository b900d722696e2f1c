import copy
import json
import subprocess
import sys

import pandas as pd
import pytest

from analysis.questions.ablation import ablations
from analysis.report.report import report
from analysis.results.load import load_results
from search_spaces.errors import UserError


def rows(**more):
    """Two configurations of 3 subjects and 3 clips: `full` is right on all, `half` on all but one."""
    table = [
        {"subject": f"s{i}", "clip_id": f"c{j}", "y_true": label, "y_pred": label, "configuration": name}
        for name in ("full", "half")
        for i in range(3)
        for j, label in enumerate(("neg", "null", "sur"))
    ]
    table[-1]["y_pred"] = "neg"
    return pd.DataFrame(table).assign(**more)


def save(frame, path):
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path, index=False)
    return path


def problems(*paths, **options):
    with pytest.raises(UserError) as caught:
        load_results(*paths, **options)
    return caught.value.problems


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_plain_table_needs_four_columns(tmp_path, suffix):
    plain = rows()[lambda frame: frame.configuration == "half"].drop(columns="configuration")
    results = load_results(save(plain, tmp_path / f"ours{suffix}"))
    assert results.metadata.classes == ("neg", "null", "sur")  # a label is a word, whatever pandas makes of it
    assert [arm.arm for arm in results.metadata.arms] == ["ours"]
    assert ablations(results)[0].findings[0].score.accuracy == pytest.approx(8 / 9)


def test_configurations_seeds_and_factors(tmp_path):
    both = pd.concat([rows(seed=seed) for seed in (1, 2)])
    both["depth"] = both.configuration.map({"full": 2, "half": 1})
    results = load_results(save(both, tmp_path / "ours.csv"), baseline="full")
    assert [trial.seeds for trial in results.trials] == [(1, 2), (1, 2)]
    found = ablations(results)[-1]
    assert found.baseline.arm.arm == "full" and found.findings[1].arm.changes == {"depth": "1"}
    assert found.findings[1].comparison.losses == 1


def test_order_of_rows_is_nothing_and_clips_are_joined_by_name(tmp_path):
    table = rows()
    shuffled = table.sample(frac=1, random_state=3)
    one, two = (load_results(save(t, tmp_path / "x.csv"), baseline="full") for t in (table, shuffled))
    assert one.predictions.equals(two.predictions)


def test_a_file_without_configuration_is_one(tmp_path):
    table = rows().drop(columns="configuration")
    paths = [save(table[:9], tmp_path / "a.csv"), save(table[9:], tmp_path / "b.csv")]
    assert [arm.arm for arm in load_results(*paths).metadata.arms] == ["a", "b"]


def test_what_is_wrong_with_a_table_is_told_by_row(tmp_path):
    assert problems(tmp_path / "no.csv")[0].startswith(f"{tmp_path / 'no.csv'}: not there; expected: a CSV file with")
    bare = save(rows().drop(columns=["subject", "y_pred"]), tmp_path / "bare.csv")
    assert "columns missing: subject, y_pred" in problems(bare)[0]
    table = rows(seed="1")
    table.loc[2, "seed"], table.loc[3, "y_true"] = "one", ""
    found = problems(save(table, tmp_path / "bad.csv"))
    assert any("row 5: no y_true" in p for p in found) and any(
        "row 4: seed 'one' is not an integer" in p for p in found
    )
    found = problems(save(rows(probabilities="[0.5, x]"), tmp_path / "bad.csv"))
    assert "is not a JSON list of numbers" in found[0] and len(found) == 18


def test_missing_and_doubled_clips_and_strange_labels(tmp_path):
    table = pd.concat([rows()[:-1], rows()[:1]])
    table.iloc[4, table.columns.get_loc("y_pred")] = "sleepy"
    found = problems(save(table, tmp_path / "bad.csv"))
    assert "arm 'full', seed 0, subject 's0': clip c0 is predicted twice" in found
    assert "arm 'half', seed 0, subject 's2': clip c2 is missing that others predict" in found
    assert "arm 'full', seed 0, subject 's1': clip c1 has a y_pred that is none of neg, null, sur" in found


def test_two_datasets_without_a_column_for_them_are_refused(tmp_path):
    other = rows()
    other["y_true"] = other.y_pred = other.y_true.map({"neg": "sur", "sur": "neg", "null": "null"})
    together = pd.concat([rows(), other])
    found = problems(save(together, tmp_path / "both.csv"))
    assert found[0].startswith(
        "subject 's0', clip 'c0': its y_true is 'neg' (both.csv, row 2), 'sur' (both.csv, row 20)"
    )
    assert all("give every row its `dataset`" in problem for problem in found)
    casme = save(rows(clip_id=[f"x{i}" for i in range(18)]), tmp_path / "casme.csv")
    smic = save(rows(), tmp_path / "smic.csv")
    assert problems(smic, casme)[0].startswith("subject 's0': other clips in casme.csv than in smic.csv")
    named = save(rows(dataset="smic"), tmp_path / "named.csv")
    assert problems(named, casme) == [
        "casme.csv: no column dataset, which other files have; if these are two datasets, give every row its `dataset`"
    ]


def test_two_datasets_with_their_column_are_a_composite(tmp_path):
    paths = [save(rows(dataset=name), tmp_path / f"{name}.csv") for name in ("smic", "casme")]
    results = load_results(*paths, baseline="full")
    assert len(results.predictions) == 36 and results.metadata.dataset == "casme, smic"
    assert ablations(results)[0].subjects == 6


def test_a_baseline_that_is_no_arm(tmp_path):
    found = problems(save(rows(), tmp_path / "x.csv"), baseline="nobody")
    assert found == ["--baseline nobody: none of the arms; they are: full, half"]


def test_several_studies_of_the_same_clips_are_one(simulate, arm, tmp_path):
    first = simulate((arm("baseline", 0.7), arm("depth=2", 0.5, {"depth": 2})), subjects=6, search=3)
    second = copy.deepcopy(simulate((arm("baseline", 0.4), arm("late", 0.6, {"fusion": "late"})), subjects=6, search=2))
    second.metadata["name"] = "other"
    results = load_results(first.save(tmp_path / "a"), second.save(tmp_path / "b"))
    assert [a.arm for a in results.metadata.arms] == ["baseline", "depth=2", "other: baseline", "late"]
    assert results.metadata.name == "toy_study + other" and results.metadata.baseline == "baseline"
    assert len({t.trial for t in results.trials}) == len(results.trials) == 17
    found = {f.arm.arm: f for f in ablations(results)[-1].findings}
    alone = {f.arm.arm: f for f in ablations(second.results())[-1].findings}
    assert found["late"].score.interval == alone["late"].score.interval and found["late"].comparison
    other = load_results(tmp_path / "a", tmp_path / "b", baseline="late")
    assert {f.arm.arm: dict(f.arm.changes) for f in ablations(other)[-1].findings}["depth=2"]["depth"] == 2


def test_studies_that_cannot_meet_are_refused_all_reasons_at_once(simulate, arm, tmp_path):
    one = simulate((arm("baseline", 0.7),), subjects=6).save(tmp_path / "a")
    other = copy.deepcopy(simulate((arm("baseline", 0.7),), subjects=5))
    other.metadata.update(name="other", protocol="holdout")
    two = other.save(tmp_path / "b")
    found = problems(one, two)
    assert any("leave-one-subject-out and holdout do not compare" in p for p in found)
    assert any("clips are in one of them only, such as dataset 'toy', subject" in p for p in found)
    assert any("given 2 times" in p for p in problems(one, one))


def test_a_subject_in_several_folds_trained_its_own_test(simulate, arm):
    study = copy.deepcopy(simulate((arm("baseline", 0.7),), subjects=4))
    study.predictions[0]["held_out"] = "s03"
    with pytest.raises(UserError, match=r"arm 'baseline', seed 1, subject 's00'.*subject trained its own test"):
        study.results()


def test_a_report_of_predictions_from_elsewhere(tmp_path):
    made = report(load_results(save(rows(), tmp_path / "x.csv"), baseline="full"))
    assert json.dumps(made.data) and any("Predictions made elsewhere" in warning for warning in made.warnings)


def test_the_command_needs_nothing_beyond_the_plain_install(tmp_path):
    """As after `pip install losolab` alone: what trains cannot be imported."""
    path = save(rows(seed=1), tmp_path / "predictions.csv")
    arguments = ["report", str(path), "--baseline", "full", "--out", str(tmp_path / "out")]
    code = f"""
import sys
from importlib.abc import MetaPathFinder
class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "ray", "optuna", "mlflow", "decord", "av", "sklearn"):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from study.cli.app import main
main({arguments!r})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "inconclusive" in done.stdout and (tmp_path / "out/report.html").is_file()


def test_the_command_shows_the_literature_and_refuses_a_wrong_one(tmp_path, capsys):
    from study.cli.app import main

    path = save(rows(), tmp_path / "predictions.csv")
    published = tmp_path / "published.csv"
    published.write_text("method,dataset,metric,value,clips,source,marks\nSTSTNet,MEGC2019,UF1,73.53,442,paper,\n")
    command = ["report", str(path), "--literature", str(published), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as caught:
        main(command)
    assert caught.value.code == 2 and "for 73.5 % write 0.735" in capsys.readouterr().err.replace("\n", " ")
    published.write_text(published.read_text().replace("73.53", "0.7353"))
    with pytest.raises(SystemExit) as caught:
        main(command)
    assert caught.value.code == 0
    assert "STSTNet" in (tmp_path / "out/tables/literature.csv").read_text()


def test_whole_seeds_of_a_float_column_are_seeds(tmp_path):
    for suffix in (".csv", ".parquet"):
        results = load_results(save(rows(seed=3.0), tmp_path / f"ours{suffix}"))
        assert [trial.seeds for trial in results.trials] == [(3,), (3,)]
        for wrong in (2.5, float("inf")):
            found = problems(save(rows(seed=wrong), tmp_path / f"ours{suffix}"))
            assert f"seed {str(wrong)!r} is not an integer" in found[0]


def test_one_name_in_two_files_is_told_once(tmp_path):
    found = problems(save(rows(), tmp_path / "a.csv"), save(rows(), tmp_path / "b.csv"))
    assert found == [
        f"configuration {name!r}, seed 0: the same clips in a.csv and in b.csv; give each its own name"
        for name in ("full", "half")
    ]


def test_probabilities_that_contradict_the_prediction_or_are_none(tmp_path):
    table = rows()
    table["probabilities"] = [json.dumps([float(label == p) for label in ("neg", "null", "sur")]) for p in table.y_pred]
    table.loc[1, "probabilities"] = "[0.6, 0.3, 0.1]"
    table.loc[2, "probabilities"] = "[0.9, 0.9, 0.9]"
    assert problems(save(table, tmp_path / "x.csv")) == [
        "x.csv, row 3: y_pred is 'null', and the largest probability is of 'neg'",
        "x.csv, row 4: probabilities sum to 2.7, not to 1",
    ]


@pytest.mark.parametrize(("second", "told"), [("EP{}", True), ("c1{}", False)])
def test_subjects_whose_clips_have_names_of_two_kinds_are_told(tmp_path, second, told):
    """Two datasets with subjects of the same names, in one file without a column for them."""
    more = rows()
    more["clip_id"] = [second.format(clip) for clip in more.clip_id]
    notes = load_results(save(pd.concat([rows(), more]), tmp_path / "x.csv")).metadata.notes
    assert any("3 subjects are told apart by their names alone" in note for note in notes) is told


def test_no_verdict_between_rules_for_the_checkpoint(tmp_path):
    """A rule is no factor; what was chosen on the test fold bears a dagger everywhere and is compared with its like."""
    three = pd.concat([rows(), rows()[lambda table: table.configuration == "half"].assign(configuration="other")])
    three["checkpoint"] = three.configuration.map({"full": "test", "half": "last", "other": "last"})
    path = save(three, tmp_path / "x.csv")
    for baseline, compared, other in (("half", "other", "full †"), ("full", None, "half")):
        results = load_results(path, baseline=baseline)
        found = {finding.arm.arm: finding for finding in ablations(results)[0].findings}
        assert "not compared" in found[other].gap.state and "another rule" in found[other].gap.reason
        assert [f.arm.arm for f in found.values() if f.comparison] == ([compared] if compared else [])
        assert all("checkpoint" not in finding.arm.changes for finding in found.values())
    assert any(note.startswith("†: the epoch that predicts") for note in results.metadata.notes)
    three.loc[three.configuration == "half", "checkpoint"] = "best"
    assert problems(save(three, path)) == [
        "configuration 'half': checkpoint 'best'; expected: one of last, validation, test"
    ]
