"""A trial on the resources that it is given."""

import pytest
import torch

from search_spaces.errors import UserError
from search_spaces.spec import Resources
from study.trials.trial import arithmetic_on, device_here
from tests.golden_digest import golden_digest


def test_a_gpu_is_used_where_there_is_one():
    assert Resources().where(True).gpu == 1
    assert Resources().where(False).gpu == 0
    assert Resources(gpu=0.25).where(False).gpu == 0.25
    assert Resources(gpu=0).where(True).gpu == 0


def test_threads_follow_the_cpus():
    assert [Resources(cpu=cpu).threads for cpu in (0.5, 1, 2.9, 4)] == [1, 1, 2, 4]


def test_the_fold_group_follows_declared_memory(small):
    clips, config = small.clips(), small.prepared().spec.baseline_config()
    device = device_here(Resources(gpu=0))
    groups = [
        arithmetic_on(device, config, clips, Resources(gpu=0, memory=memory), 5).group for memory in (1e-6, 2, 64)
    ]
    assert groups == [1, 3, 3]  # 5 folds, evened out


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_refused(small):
    with pytest.raises(UserError, match=r"resources\.gpu: 1 was asked for"):
        small.run(resources={"gpu": 1})


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same_bytes_twice(small, tmp_path):
    digests = {golden_digest(small.run(resources={"gpu": 1}, storage=str(tmp_path / name))) for name in "ab"}
    assert len(digests) == 1
