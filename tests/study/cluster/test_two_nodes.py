"""A cluster that loses a node in the middle and later gets another: the same result, and the new node is used."""

import os
import signal
import time

import pytest

from tests.processes import MARK, parent, training

NODE = {"num_cpus": 1, "memory": 4 * 2**30, "object_store_memory": 200 * 2**20}


@pytest.fixture
def cluster(forty, monkeypatch):
    monkeypatch.setenv(MARK, str(forty.folder))
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    yield cluster
    cluster.shutdown()


@pytest.mark.slow
def test_a_node_is_lost_and_another_comes(cluster, forty, forty_undisturbed):
    lost = cluster.add_node(**NODE)
    # Where this machine has a token, losolab joins with it; this cluster wants none.
    driver = forty.start("--address", cluster.address, env={"RAY_AUTH_MODE": "disabled"})
    try:
        forty.until(8, driver)
        _until(forty, driver, trials=2)
        raylet = lost.all_processes["raylet"][0].process.pid
        for pid in [pid for pid in training(str(forty.folder)) if parent(pid) == raylet]:
            os.kill(pid, signal.SIGKILL)
        cluster.remove_node(lost, allow_graceful=False)
        _until(forty, driver, trials=1)
        forty.until(forty.folds() + 8, driver)
        cluster.add_node(**NODE)
        _until(forty, driver, trials=2)
        output, _ = driver.communicate(timeout=300)
    finally:
        driver.kill()
        driver.communicate()
    assert driver.returncode == 0, output
    assert forty.rows() == forty_undisturbed
    assert forty.query("select sum(trained) from attempt") == [(320,)]
    (lost_attempts,) = forty.query("select count(*) from attempt where error is not null")[0]
    assert lost_attempts <= 1, "only the lost node's trial was disturbed, if it was not between two"


def _until(forty, driver, trials: int) -> None:
    """Wait until so many processes train."""
    deadline = time.monotonic() + 90
    while (now := len(training(str(forty.folder)))) != trials:
        assert driver.poll() is None, driver.stdout.read()
        assert time.monotonic() < deadline, f"{now} processes train, not {trials}"
        time.sleep(0.1)
