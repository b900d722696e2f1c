import subprocess
import sys
from itertools import product
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.config import ARCHITECTURES, TrialConfig
from study.models.geometry import INTERPRETER, Block, Infeasible, fold_group, geometry, infeasible, training_bytes

# arXiv 1904.01390, CAS(ME)^2 (96 frames) and SMIC (18), three classes.
PAPER = [
    ("full_face", 96, 44_241_667, (345_600,)),
    ("fusion_intermediate", 96, 177_088_515, (86_400, 86_400)),
    ("fusion_late", 96, 177_221_123, (86_400, 86_400)),
    ("full_face", 18, 1_643_267, (12_800,)),
    ("fusion_intermediate", 18, 6_694_915, (3_200, 3_200)),
    ("fusion_late", 18, 6_827_523, (3_200, 3_200)),
]


@pytest.mark.parametrize(("name", "frames", "parameters", "features"), PAPER)
def test_the_papers_sizes(name, frames, parameters, features):
    network = geometry(TrialConfig(frames=frames, **ARCHITECTURES[name]), 3)
    assert network.parameters == parameters
    assert tuple(stream.features for stream in network.streams) == features


def test_multiply_adds_by_hand():
    network = geometry(TrialConfig(frames=6, crop=8, kernel_time=2, kernel_space=3, filters=2, hidden=4, depth=2), 3)
    # 5x6x6 after the convolution, of which the pooling keeps 3x6x6; pooled to 1x2x2, where block 2 leaves it.
    assert network.multiply_adds == 108 * 2 * 18 + 4 * 4 * 2 * 27 + 16 * 4 + 4 * 3


def test_pooled_head_has_the_size_of_its_grid():
    sizes = {
        geometry(TrialConfig(frames=frames, crop=crop, depth=2, head="pool", grid=2, filters=4), 3).streams[0].features
        for frames, crop in product((18, 40), (32, 64))
    }
    assert sizes == {8 * 2**3}


def test_infeasible_names_every_factor_and_what_fits():
    assert infeasible(TrialConfig(frames=12)) == [
        "kernel_time: 15 frames do not fit in frames: 12 frames (pooling needs 3); at most 10"
    ]
    with pytest.raises(Infeasible) as caught:
        geometry(TrialConfig(frames=12, crop=16, kernel_space=7, regions="eyes+mouth", fusion="late"), 3)
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["kernel_time", "kernel_space"]
    assert "at most 5" in caught.value.problems[1]
    assert infeasible(TrialConfig(frames=2, kernel_time=1))[0].startswith("frames:")


settings = st.builds(
    TrialConfig,
    regions=st.sampled_from(("face", "eyes", "mouth", "eyes+mouth", "face+eyes+mouth", "frame")),
    fusion=st.sampled_from(("none", "intermediate", "late")),
    frames=st.integers(2, 40),
    crop=st.integers(8, 70),
    depth=st.integers(1, 4),
    filters=st.integers(1, 8),
    kernel_space=st.sampled_from((1, 3, 5, 7)),
    kernel_time=st.integers(1, 19),
    head=st.sampled_from(("flatten", "pool")),
)


@given(settings)
def test_a_network_has_no_empty_tensor_or_is_refused(config):
    if infeasible(config):
        with pytest.raises(Infeasible):
            geometry(config, 3)
        return
    network = geometry(config, 3)
    assert min(min(layer.shape) for layer in network.layers if isinstance(layer, Block)) >= 1
    assert network.parameters == sum(
        layer.filters * (layer.inputs * prod(layer.kernel) + 1)
        if isinstance(layer, Block)
        else layer.inputs * layer.units + layer.units
        for layer in network.layers
    )


def test_every_depth_fits_wherever_the_first_block_does():
    grid = product((1, 2, 3, 4), (18, 32, 64, 96), (32, 48, 64), (3, 5, 7), (3, 7, 15))
    for depth, frames, crop, space, time in grid:
        geometry(TrialConfig(depth=depth, frames=frames, crop=crop, kernel_space=space, kernel_time=time), 3)


def test_fold_groups_follow_declared_memory():
    config = TrialConfig()
    one, four = (INTERPRETER + training_bytes(config, 3, folds) for folds in (1, 4))
    assert fold_group(config, 3, four, "cpu", 16) == 4
    assert fold_group(config, 3, four - 1, "cpu", 12) == 3
    assert fold_group(config, 3, one - 1, "cpu", 16) == 1
    assert fold_group(config, 3, 2**40, "cpu", 5) == 3  # 3 and 2, not 4 and 1
    assert fold_group(config, 3, 2**40, "cuda", 16) == 16
    assert fold_group(config, 3, 2**40, "cpu", 2) == 2


def test_a_plan_needs_no_torch():
    code = "import sys; import study.models.geometry; assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
