"""The ready studies of the paper, planned on trees of its datasets' shapes; and its published numbers."""

import pytest

from analysis.questions.literature import read
from search_spaces import READY
from search_spaces.study_file import find_study, load_study
from study.models.geometry import geometry
from study.planning import prepared_study


def planned(name: str, tree) -> prepared_study.Study:
    spec = load_study(find_study(READY / f"{name}.yaml"), {"storage": str(tree.root / "studies")}, data=tree.root)
    return prepared_study.prepare(spec, "")


@pytest.fixture
def smic(tree):
    for subject in range(1, 5):
        for label, short in (("negative", "ne"), ("positive", "po"), ("surprise", "sur")):
            folder = f"SMIC_all_cropped/HS/s{subject}/micro/{label}/s{subject}_{short}_01"
            tree.images(folder, range(20), "reg_image{}.bmp")
    return tree


@pytest.fixture
def squared(tree):
    rows = []
    for participant, subject in ((1, "15"), (2, "16"), (9, "25")):
        for label in ("anger", "happy", "disgust"):
            rows.append([participant, f"{label}1_1", 5, 8, 14, 4, "negative", "micro-expression", label])
            tree.images(f"selectedpic/s{subject}/{label}1_1", range(5, 15))
    tree.sheet("CAS(ME)^2code_final(Updated).xlsx", rows, "CASFEcode_final", **{"naming rule1": [[1, "s15", 1]]})
    return tree


def test_its_networks_on_smic_have_its_parameters_under_both_practices(smic):
    made = planned("paper", smic)
    arms = {arm.name: arm.config for arm, _ in made.plan.arms}
    sizes = [geometry(arms[n], 3).parameters for n in ("baseline", "intermediate fusion", "late fusion")]
    assert sizes == [1_643_267, 6_694_915, 6_827_523]  # the paper's code, at 18 frames
    for name, config in arms.items():
        practice = (config.protocol, config.checkpoint)
        assert practice == (("holdout(0.2)", "test_oracle") if "published" in name else ("loso", "last"))
    assert any("cannot be rebuilt: which clips were in its one split" in note for note in made.index.notes)


def test_table_ix_has_a_cell_of_each_kernel_under_both_practices(squared):
    made = planned("paper_squared", squared)
    cells = [(a.config.kernel_space, a.config.kernel_time, a.config.protocol) for a, _ in made.plan.arms[:24]]
    assert len({*cells}) == 24
    assert geometry(made.spec.baseline_config(), 3).parameters == 44_241_667
    assert any("Six of the twelve cells" in note for note in made.index.notes)


def test_its_published_numbers_bear_their_marks():
    rows = read(READY / "paper_literature.csv")
    chosen = {row.method for row in rows if "epoch chosen on the test fold" in row.marks}
    assert {"MicroExpSTCNN (full face)", "MicroExpFuseNet intermediate", "MicroExpFuseNet late"} == chosen
