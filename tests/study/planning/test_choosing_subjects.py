"""Subjects that choose and subjects that test: who they are, what they train, and who is asked what."""

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import moving_patch
import numpy as np
import pytest

from analysis.questions.ablation import ablations
from analysis.questions.main_table import headline
from analysis.report.report import report
from analysis.results.load import load_results
from analysis.stats.confusion import confusions
from analysis.stats.inference import compare
from analysis.stats.metrics import uf1
from search_spaces.errors import UserError
from search_spaces.study_file import load_study
from study.ledger.audit import audit
from study.ledger.schema import read_only
from study.planning import prepared_study
from study.planning.choosing_subjects import many_that_choose, settled
from study.planning.status import status
from study.scheduling import serial_executor
from study.scheduling.ray_executor import RayTune
from study.search.optuna_journal import write_journal
from study.trials.subject_order import Course
from tests.golden_digest import golden_digest
from tests.training_run import train

FILE = Path(__file__).parents[1] / "ledger/older/begun.yaml"


def run(storage: Path, data: Path, executor=serial_executor.serial, **parts) -> Path:
    own = {"storage": str(storage), "name": "split", "baseline.epochs": 3, "stages.search.chosen_by": 0.4} | parts
    study = prepared_study.prepare(load_study(FILE, own, data=data), FILE.read_text())
    assert train(study, executor) == 0
    return study.folder


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("choosers") / "clips"
    moving_patch.write(folder, ("casme2", "samm"))
    return folder


@pytest.fixture(scope="module")
def split(tmp_path_factory, data) -> Path:
    return run(tmp_path_factory.mktemp("choosers") / "studies", data)


def spec(**parts):
    return load_study(FILE, {f"stages.search.{name}": value for name, value in parts.items()}, data=Path("clips"))


def with_classes(random_clips, subjects: int, labels):
    """Clips of so many subjects, each with these labels by its place in the order that trials take."""
    clips = random_clips(2 * subjects, subjects)
    place = {name: i for i, name in enumerate(Course.of(clips, "loso").parts)}
    seen, own = dict.fromkeys(place, 0), []
    for name in clips.subjects.tolist():
        own.append(labels(place[name], seen[name]))
        seen[name] += 1
    return replace(clips, labels=np.array(own))


@pytest.mark.parametrize(("subjects", "share", "many"), [(20, 0.4, 8), (21, 0.4, 9), (12, 0.5, 6), (10, 0.1, 2)])
def test_the_share_is_rounded_up(random_clips, subjects, share, many):
    clips = with_classes(random_clips, subjects, lambda place, clip: clip % 2)
    clips = replace(clips, classes=("a", "b"))
    assert many_that_choose(spec(chosen_by=share), clips) == many


def test_more_choose_until_every_class_has_two_subjects_on_both_sides(random_clips):
    """Class b is shown by the subjects at places 1, 6, 8 and 9 alone: seven choose, not four."""
    clips = with_classes(random_clips, 10, lambda place, clip: int(place in (1, 6, 8, 9) and clip == 0))
    clips = replace(clips, classes=("a", "b"))
    assert many_that_choose(spec(chosen_by=0.4), clips) == 7
    few = with_classes(random_clips, 10, lambda place, clip: int(place in (1, 6, 8) and clip == 0))
    with pytest.raises(UserError, match=r"chosen_by: 0.4 .* class b: 2 subjects that choose, 1 that test; write all"):
        many_that_choose(spec(chosen_by=0.4), replace(few, classes=("a", "b")))


@pytest.mark.parametrize(("subjects", "usual"), [(12, "all"), (13, "all"), (14, 0.4), (68, 0.4)])
def test_a_study_that_does_not_say_leaves_eight_to_test(random_clips, tmp_path, subjects, usual):
    clips = replace(with_classes(random_clips, subjects, lambda place, clip: clip), classes=("a", "b"))
    assert settled(spec(), clips, tmp_path / "new").stages["search"].chosen_by == usual
    assert settled(spec(chosen_by="all"), clips, tmp_path / "new").stages["search"].chosen_by == "all"


@pytest.mark.parametrize("given", ["half", 0, 1, 1.5, -0.4, [], "0,4"])
def test_what_is_no_share_is_refused(given):
    with pytest.raises(UserError, match=r"chosen_by: .*expected: a share of the subjects from 0.1 to 0.9, or all"):
        spec(chosen_by=given)


@pytest.mark.slow
def test_the_search_trains_those_that_choose_and_later_stages_all(split):
    about = load_results(str(split))
    choosers = set(about.metadata.chosen_by)
    assert 5 <= len(choosers) < 12 and {dataset for dataset, _ in choosers} == {"casme2", "samm"}
    rows = about.predictions
    for stage, own in rows.groupby("stage"):
        held_out = set(own[["dataset", "subject"]].itertuples(index=False, name=None))
        assert held_out == choosers if stage == "search" else len(held_out) == 12
    assert audit(split).problems == ()
    with closing(read_only(split)) as db:
        asked = "select count(*) from outcome where state = 'pruned'"
        assert db.execute(asked).fetchone()[0] > 0, "no proposal lost its race: nothing is proved of it"
        folds = db.execute("select count(*) from fold").fetchone()[0]
    assert sum(stage.folds for stage in status(split).stages) == folds
    assert sum(stage.planned_folds - stage.never - stage.folds for stage in status(split).stages) == 0
    assert write_journal(split).stat().st_size > 0


def test_the_winner_is_the_best_by_those_that_choose(split):
    results = load_results(str(split))
    counted = confusions(results)
    vote = counted.among(results.metadata.chosen_by)
    scores = {}
    for trial in results.trials:
        if trial.stage == "confirm" and trial.arm != "null":
            scores.setdefault(trial.configuration, []).append(uf1(counted.of([trial.trial])[vote].sum(0)).mean())
    winner = next(trial for trial in results.trials if trial.arm == "winner")
    assert winner.configuration == max(scores, key=lambda key: np.mean(scores[key]))


def test_what_was_chosen_is_tested_by_those_without_a_vote(split):
    """Δ, p and verdict of a stage with chosen arms are those of the testers' confusions, the null arm's too."""
    results = load_results(str(split))
    counted = confusions(results)
    test = ~counted.among(results.metadata.chosen_by)
    found = {stage.stage: stage for stage in ablations(results, counted)}
    confirm = found["confirm"]
    counts = {f.arm.arm: f.score.counts for f in confirm.findings}
    variants = [f.arm.arm for f in confirm.family]
    rows = {name: counts[name][test] for name in [*variants, "null"]}
    again = compare(counts["baseline"][test], rows, variants)
    assert {f.arm.arm: f.comparison for f in confirm.findings if f.comparison} == again
    assert all(f.comparison.subjects == test.sum() for f in found["ablate"].family)
    table = headline(results, confirm)
    assert f"chosen by {12 - test.sum()} of the subjects" in table.caption
    assert (
        f"of the {test.sum()} subjects that had no vote in the choice; their clips were in its training"
        in table.caption
    )
    at = [column.title for column in table.columns].index("UF1 tested [95 % CI]")
    pooled = uf1(counts["baseline"][test].sum(0)).mean()
    assert table.rows[0].cells[at].values[0] == pytest.approx(pooled)
    assert not any("chose it" in cell.text for row in table.rows for cell in row.cells)
    assert counted.clips.sum() == 60, "clips of all subjects, though the first run is a search's"
    assert report(results).data["Chosen by"] == f"{12 - test.sum()} subjects, which alone the search holds out"


@pytest.mark.slow
def test_a_study_in_which_all_chose_is_marked(split, tmp_path, data):
    """The same study with `all`: every verdict bears the mark, the report opens with it and has the corrected Δ."""
    folder = run(tmp_path / "studies", data, **{"stages.search.chosen_by": "all"})
    results = load_results(str(folder))
    assert results.metadata.chosen_by == () and len(results.predictions.subject.unique()) == 6
    made = report(results)
    verdicts = [row.cells[-6].text for table in made.tables() if table.name == "confirm" for row in table.rows]
    assert sum("on subjects that chose it" in verdict for verdict in verdicts) == len(made.stages[-1].family) > 0
    assert any("the search chose by the scores of the same 12 subjects" in said for said in made.warnings)
    assert "on subjects that chose it" in made.answers()[0]


def test_it_goes_on_as_it_began_and_refuses_another_share(split, tmp_path, data, capsys):
    assert json.loads(closing_row(split))["stages"]["search"]["chosen_by"] == 0.4
    begun = load_study(FILE, {"storage": str(split.parent), "name": "split", "baseline.epochs": 3}, data=data)
    assert prepared_study.prepare(begun, "").spec.stages["search"].chosen_by == 0.4
    with pytest.raises(UserError, match=r"stages.search.chosen_by was 0.4"):
        run(split.parent, data, **{"stages.search.chosen_by": "all"})


def closing_row(folder: Path) -> str:
    with closing(read_only(folder)) as db:
        return db.execute("select resolved from study").fetchone()[0]


@pytest.mark.slow
def test_one_digest_under_serial_and_ray(split, data, tmp_path):
    assert golden_digest(run(tmp_path / "studies", data, RayTune(slots=2))) == golden_digest(split)


@pytest.mark.slow
def test_whatever_a_winners_stage_is_compared_with_its_arms_were_chosen(split, tmp_path, data):
    """Behind another study's name, and with an arm in the winner's place."""
    other = run(tmp_path, data, name="other")
    both = load_results(str(split), str(other))
    assert any(arm.arm == "other: winner" for arm in both.metadata.arms)
    assert both.metadata.chosen_by == load_results(str(split)).metadata.chosen_by
    ablate = {stage.stage: stage for stage in ablations(both)}["ablate"]
    assert all(f.chosen for f in ablate.findings) and ablate.testers is not None
    arm = next(f.arm.arm for f in ablate.findings if f.kind == "variant")
    around = {stage.stage: stage for stage in ablations(load_results(str(split), baseline=arm))}["ablate"]
    assert around.chosen and around.testers is not None


@pytest.mark.slow
def test_where_all_chose_in_one_of_two_studies_none_is_left_to_test(split, tmp_path, data):
    other = run(tmp_path, data, name="other", **{"stages.search.chosen_by": "all"})
    both = load_results(str(split), str(other))
    assert len(both.metadata.chosen_by) == 12
    assert all(stage.chosen and stage.testers is None for stage in ablations(both))


def test_a_search_that_nothing_follows_is_judged_by_all(random_clips, tmp_path):
    clips = random_clips(count=200, subjects=40)
    whole = load_study(FILE, {}, data=Path("clips"))
    alone = whole.model_copy(update={"stages": {"search": whole.stages["search"]}})
    chosen = [settled(one, clips, tmp_path).stages["search"].chosen_by for one in (whole, alone)]
    assert chosen == [0.4, "all"]
