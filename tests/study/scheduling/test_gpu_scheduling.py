"""Trials on GPUs that Ray only counts: how they are packed, on which model, and what a broken process costs."""

import json
import os
import time
from functools import partial
from pathlib import Path

import pytest

from search_spaces.errors import UserError
from search_spaces.spec import Resources
from study.scheduling import serial_executor
from study.scheduling.ray_executor import RayTune
from study.training import train as training
from study.trials import trial as trials
from study.trials.trial import device_here, run_trial
from tests.golden_digest import golden_digest

MANY = {"ablate": {"design": "one_at_a_time", "seeds": 6, "vary": {"input": ["gray"]}}}
NODE = {"num_cpus": 8, "memory": 20 * 2**30, "object_store_memory": 200 * 2**20}


@pytest.mark.parametrize(
    ("share", "cards", "slots"),
    [(0.25, 4, 16), (1 / 3, 4, 12), (0.4, 4, 8), (0.5, 4, 8), (0.6, 4, 4), (0.7, 8, 8), (1, 4, 4)],
)
def test_whole_cards_are_counted_first(share, cards, slots):
    assert Resources(cpu=0.1, gpu=share).slots({"CPU": 64, "GPU": cards, "memory": 2**40}) == slots


def test_only_cards_of_the_model_named_hold_a_trial():
    node = {"CPU": 8, "GPU": 2, "memory": 2**40, "accelerator_type:A100": 1.0}
    assert Resources(accelerator="A100").where(False).slots(node) == 2
    assert Resources(accelerator="H100").where(False).slots(node) == 0


@pytest.mark.parametrize("gpu", [2, 1.5, 0.0001])
def test_more_than_one_card_is_refused(gpu):
    with pytest.raises(ValueError, match="a trial trains on one"):
        Resources(gpu=gpu)


def test_a_card_that_torch_cannot_use_is_told_with_the_machine():
    with pytest.raises(UserError, match=rf"on {os.uname().nodename} torch .* is built for a CPU and sees no GPU"):
        device_here(Resources(gpu=0.5))


def test_a_study_without_folds_takes_other_resources_and_defaults_are_what_they_are(small):
    """What was asked for decides nothing before it computed something; afterwards only what it decided."""
    with pytest.raises(UserError, match="sees no GPU"):
        small.run(resources={"gpu": 1})
    small.run(resources={"gpu": 0})
    small.run(resources={})
    small.run(resources={"gpu": 0, "memory": 2})
    with pytest.raises(UserError, match=r"arithmetic\.memory was 2"):
        small.run(resources={"gpu": 0, "memory": 3})


def test_a_laptop_plans_for_the_card_that_is_named(small):
    groups = {
        name: small.prepared(resources={"gpu": 0.5} | given).plan
        for name, given in (("none", {}), ("H100", {"accelerator": "H100"}), ("memory", {"memory": 3}))
    }
    assert [bool(plan.warnings) for plan in groups.values()] == [True, False, False]
    assert "name its model" in groups["none"].warnings[0]


def stand_in(trial, clips, done, resources, *, log, most):
    """Trains on the CPU what a GPU was booked for, and writes down when and on which; all cards first have trials."""
    began = time.time()
    with Path(log, "began").open("a") as file:
        file.write("x")
    while time.time() < began + 60 and Path(log, "began").stat().st_size < most:
        time.sleep(0.05)
    yield from run_trial(trial, clips, done, Resources(gpu=0))
    with Path(log, "ended").open("a") as file:
        file.write(json.dumps([os.environ.get("CUDA_VISIBLE_DEVICES"), began, time.time()]) + "\n")


@pytest.fixture
def cards(monkeypatch):
    """A cluster of two nodes: four H100 and two A100, as far as Ray knows."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    head = NODE | {"num_gpus": 4, "resources": {"accelerator_type:H100": 1.0}, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    cluster.add_node(**NODE, num_gpus=2, resources={"accelerator_type:A100": 1.0})
    yield cluster
    cluster.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "most", "on"),
    [({"gpu": 0.4, "accelerator": "H100"}, 8, "0123"), ({"gpu": 1, "accelerator": "A100"}, 2, "01")],
)
def test_trials_share_cards_as_they_are_cut(given, most, on, small, cards, tmp_path):
    executor = RayTune(address=cards.address, run=partial(stand_in, log=str(tmp_path), most=most))
    small.run(executor, stages=MANY, resources={"cpu": 0.5} | given)
    spans = [json.loads(line) for line in (tmp_path / "ended").read_text().splitlines()]
    assert len(spans) == 12
    at_once = {
        card: max(sum(b <= began < e for c, b, e in spans if c == card) for _, began, _ in spans)
        for card in {card for card, *_ in spans}
    }
    assert set(at_once) == set(on)
    assert max(at_once.values()) == most // len(on) and sum(at_once.values()) == most


def breaking(trial, clips, done, resources, *, marker, always):
    """The first process to come here has a broken GPU ever after; `always`: this trial breaks every process."""
    try:
        Path(marker).touch(exist_ok=False)
        trials.broken_here = True
    except FileExistsError:
        pass
    if getattr(trials, "broken_here", False) or trial.number == always:

        def train(*_):
            raise RuntimeError("CUDA error: an illegal memory access was encountered\nCompile with TORCH_USE_CUDA_DSA")

        training.train = train
        trials.broken_here = True
    yield from run_trial(trial, clips, done, resources)


@pytest.mark.slow
def test_a_broken_process_fails_no_trial_but_the_one_that_breaks_all(small, tmp_path):
    whole = golden_digest(small.run(serial_executor.serial, storage=str(tmp_path / "whole")))
    run = partial(breaking, marker=str(tmp_path / "marker"), always=None)
    folder = small.run(RayTune(slots=2, run=run))
    assert small.query("select count(*) from outcome where state = 'complete'") == [(20,)]
    assert golden_digest(folder) == whole
    assert 1 <= small.query("select count(*) from attempt where error = 'its process died'")[0][0] <= 2


@pytest.mark.slow
def test_a_trial_that_breaks_three_processes_fails_alone_with_the_words(small, tmp_path):
    (tmp_path / "marker").touch()
    folder = small.run(RayTune(slots=2, run=partial(breaking, marker=str(tmp_path / "marker"), always=3)))
    states = small.query("select state, count(*) from outcome group by state order by state")
    assert states == [("complete", 19), ("failed", 1)], folder
    ((why,),) = small.query("select why from outcome where state = 'failed'")
    assert "3 times" in why and "CUDA error: an illegal memory access" in why


def test_a_broken_process_ends_a_study_without_ray(small, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "train", training.train)
    monkeypatch.setattr(trials, "broken_here", False, raising=False)
    run = partial(breaking, marker=str(tmp_path / "marker"), always=None)
    with pytest.raises(UserError, match="can use its GPU no more: the same command goes on"):
        small.run(partial(serial_executor.serial, run=run))
