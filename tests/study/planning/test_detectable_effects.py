"""What a plan says it could find, in sentences."""

from pathlib import Path

from analysis.stats.power import detectable
from search_spaces.study_file import READY, load_study
from study.planning.cost_model import Costs, Size
from study.planning.detectable_effects import advice
from study.planning.plan import planned

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
    assert said(design, 5) == ["ablate: no verdict possible: with 5 subjects no p is below 0.0625"]


SEARCH = {"design": "search", "proposals": 60, "factors": {"depth": [1, 2], "filters": [2, 4, 8], "hidden": [8, 16]}}


def of_a_search(subjects: int, choosers: int | None, best: int = 3, **search) -> list[str]:
    stages = {"search": SEARCH | search, "confirm": {"design": "top", "best": best, "seeds": 5}}
    spec = load_study(READY / "search.yaml", {"stages": stages, "baseline": BASELINE}, data=Path("clips"))
    return advice(planned(spec, Size(subjects, 442, 3), Costs(), choosers))


def test_a_search_says_who_chooses_what_that_saves_and_what_it_costs():
    search, confirm = of_a_search(68, 28)
    assert search.startswith("search: 28 of 68 subjects choose, 40 test what was chosen; 1,680 folds in place of 4,080")
    own = detectable(260, 40, 5, 3)
    assert confirm.startswith(
        f"confirm: at most 3 comparisons, 40 subjects that test, 5 seeds: a UF1 difference of {own:.3f}"
    )
    assert confirm.endswith(f"; all 68 would find {detectable(442, 68, 5, 3):.3f}, had none of them chosen")
    assert "all 68 subjects choose" in of_a_search(68, None)[0]


def test_so_few_subjects_that_no_verdict_is_possible():
    assert of_a_search(10, 5)[1] == "confirm: no verdict possible: with 5 subjects no p is below 0.0625"
    assert "hardly any verdict possible: the least p is 0.0156, of 4 rows" in of_a_search(12, 5, best=4)[1]
    assert "hardly any" not in of_a_search(12, 5, best=3)[1]
