"""Reading a study file: every mistake at once, each with file, key, value and what is valid."""

import textwrap
from pathlib import Path

import pytest

from search_spaces.errors import UserError
from search_spaces.study_file import READY, load_study


def problems(tmp_path: Path, text: str, **sizes: int) -> list[str]:
    path = tmp_path / "study.yaml"
    path.write_text(textwrap.dedent(text))
    with pytest.raises(UserError) as caught:
        load_study(path, **sizes)
    assert all(problem.startswith(f"{path}: ") for problem in caught.value.problems)
    return [problem.removeprefix(f"{path}: ") for problem in caught.value.problems]


def test_all_mistakes_at_once(tmp_path):
    found = problems(
        tmp_path,
        """
        name: t b
        dataset: {reader: synthetic, pth: 3}
        baseline: {architecture: fusion_intermediate, frames: 1200, kernel_tim: 3}
        stages:
          search:
            design: search
            factors: {architecture: [full_face, fusion_lat], depth: [1, 9], learning_rate: {low: 1e-3, hig: 0.1}}
          ablate:
            design: one_at_a_tim
        resources: {cpu: 0}
        """,
    )
    for i, words in enumerate(
        [
            ("name", "'t b'"),
            ("dataset.pth", "unknown key", "did you mean path?", "reader, path, options"),
            ("baseline.frames", "1200", "256"),
            ("baseline.kernel_tim", "did you mean kernel_time?"),
            ("stages.search.proposals", "is missing"),
            ("stages.search.factors.architecture[1]", "'fusion_lat'", "did you mean fusion_late?"),
            ("stages.search.factors.depth[1]", "9", "4"),
            ("stages.search.factors.learning_rate.high", "is missing"),
            ("stages.search.factors.learning_rate.hig", "low, high, log"),
            ("stages.ablate.design", "'one_at_a_tim'", "did you mean one_at_a_time? valid: listed, factorial"),
            ("resources.cpu", "0", "from 0.01 to 4096"),
        ]
    ):
        assert all(word in found[i] for word in words), found[i]
    assert len(found) == 11


def test_arms_that_contradict_themselves_are_named(tmp_path):
    found = problems(
        tmp_path,
        """
        name: t
        dataset: {path: x}
        baseline: {regions: eyes+mouth}
        stages:
          ablate:
            design: one_at_a_time
            arms: {baseline: {depth: 2}, one eye: {regions: eyes, fusion: late}}
        """,
    )
    assert [next(word for word in ("stages.ablate.arms", "arm one eye", "baseline") if word in f) for f in found]
    assert any("arm one eye: regions: eyes has one stream, so fusion: late must be none" in f for f in found)
    assert any("baseline is the name of an arm that losolab makes itself" in f for f in found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: a\nname: b\n", "key given twice: name"),
        ("- a\n- b\n", "mapping"),
        ("name: [", "not valid YAML"),
        ("", "mapping"),
        ("name: a\ndataset: {}\nstages: {ablate: {design: factorial, factors: {depth: []}}}", "depth"),
        ("name: a\ndataset: {}\nstages: {}", "stages"),
        ("name: a\ndataset: {}\nstages: {later: {design: listed}}", "stages.later"),
        (
            "name: a\ndataset: {}\nbaseline: {architecture: full_face, fusion: late}\nstages: {}",
            "architecture already sets fusion",
        ),
        (
            "name: a\ndataset: {}\nstages: {search: {design: search, proposals: 3, "
            "factors: {dropout: {low: 0.5, high: 0.1}}}}",
            "low must be below high",
        ),
        *(
            (
                "name: a\ndataset: {}\n"
                f"stages: {{search: {{design: search, proposals: 3, factors: {{depth: [2]}}, {k}}}}}",
                words,
            )
            for k, words in (
                ("race: {pp: 0.1}", "stages.search.race.pp: unknown key; did you mean p? valid here: p, first"),
                ("race: {p: 0.7}", "stages.search.race.p: 0.7 is not valid"),
                ("race: often", "stages.search.race: 'often' is not valid; valid: none"),
                ("race: {p: 0.1}, objectives: [uf1, parameters]", "race must be none where there are several"),
                ("objectives: [parameters]", "objectives must be uf1, then parameters"),
                ("sampler: nsga2", "stages.search.sampler: 'nsga2'"),
            )
        ),
    ],
)
def test_each_mistake_is_told(tmp_path, text, words):
    assert any(words in problem for problem in problems(tmp_path, text))


def test_a_missing_file_names_the_ready_studies(tmp_path):
    with pytest.raises(UserError, match="ready ones are default, frames_and_crop"):
        load_study(tmp_path / "none.yaml")


def test_options_replace_parts_of_the_file():
    spec = load_study(READY / "default.yaml", {"storage": "there", "resources.cpu": "2"}, proposals=3, seeds=5)
    assert (str(spec.storage), spec.resources.cpu) == ("there", 2)
    assert spec.stages["search"].proposals == 3
    assert spec.stages["ablate"].seeds == 5
    assert spec.stages["search"].seeds == 1


def test_identity_is_all_but_what_may_change():
    spec = load_study(READY / "default.yaml")
    free = load_study(READY / "default.yaml", {"resources.cpu": 4, "storage": "there"}, seeds=7)
    assert free.identity() == spec.identity()
    assert load_study(READY / "default.yaml", proposals=99).identity() == spec.identity()
    assert load_study(READY / "default.yaml", {"baseline.grid": 3}).identity() == spec.identity()  # the default
    assert load_study(READY / "default.yaml", {"stages.search.startup": 7}).identity() != spec.identity()
    assert load_study(READY / "default.yaml", {"baseline.depth": 2}).identity() != spec.identity()


def test_data_elsewhere_keeps_the_reader_unless_it_is_synthetic(tmp_path):
    there = tmp_path / "there"
    dataset = load_study(READY / "default.yaml", data=there).dataset
    assert (dataset.reader, dataset.path, dataset.options) == ("manifest", there, {})
    path = tmp_path / "study.yaml"
    stages = "stages: {ablate: {design: listed, arms: {b: {depth: 2}}}}"
    path.write_text(f"name: a\ndataset: {{reader: casme2, options: {{labels: casme2_5}}}}\n{stages}")
    dataset = load_study(path, data=there).dataset
    assert (dataset.reader, dataset.path, dataset.options) == ("casme2", there, {"labels": "casme2_5"})


def test_a_factor_without_use_is_refused(tmp_path):
    stages = (
        "search: {design: search, proposals: 3, factors: {}}, ablate: {design: one_at_a_time, vary: {depth: [2, 2]}}"
    )
    found = problems(tmp_path, f"stages: {{{stages}}}")
    assert any("expected: at least one factor and its levels" in problem for problem in found)
    assert any("expected: each level once; given more than once: 2" in problem for problem in found)
