"""What a plan says it could find, in sentences."""

from search_spaces.study_file import READY, load_study
from study.advice import advice
from study.costs import Costs, Size
from study.plan import planned

BASELINE = {"architecture": "full_face", "frames": 8, "kernel_time": 3, "crop": 32}


def said(design, subjects: int = 26) -> list[str]:
    spec = load_study(READY / "default.yaml", {"stages": {"ablate": design | {"seeds": 3}}, "baseline": BASELINE})
    return advice(planned(spec, Size(subjects, 145, 3), Costs()))


def test_what_one_at_a_time_finds_and_whether_a_factorial_would_find_more():
    alone, instead = said({"design": "one_at_a_time", "vary": {"depth": [2], "crop": [24], "filters": [16]}})
    assert alone.startswith(
        "ablate: 3 comparisons with the baseline, 26 subjects, 145 clips, 3 seeds: a UF1 difference"
    )
    assert "a factorial of" in instead and "8 configurations, 1 seed" in instead


def test_a_factorial_of_several_factors_and_of_none():
    several = said({"design": "factorial", "factors": {"depth": [1, 2], "crop": [24, 32]}})
    assert "a factor's effect, averaged over the others" in several[1]
    (one_cell,) = said({"design": "factorial", "factors": {"crop": [24]}})
    assert one_cell.startswith("ablate: 1 comparison with the baseline")


def test_five_subjects_find_nothing():
    design = {"design": "one_at_a_time", "vary": {"depth": [2]}}
    assert said(design, 5) == ["ablate: no difference whatever can be significant with 5 subjects"]
