"""What is different on a cluster: where files are found, which nodes serve, what the doctor says of them."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from search_spaces.errors import UserError
from search_spaces.spec import Resources
from study.cli.plan_view import nodes_that_serve
from study.cluster import checks, nodes
from study.cluster.nodes import Member, Node
from study.cluster.ray_session import QUIET, runtime_environment
from study.cluster.submission import submitted
from study.trials.trial import Device

ROOT = Path(__file__).parents[3]
AVX2, AVX512 = (Device("cpu", kind, None, "2.13.0") for kind in ("AVX2", "AVX512"))
H100 = Device("NVIDIA H100", "9.0", 80 * 2**30, "2.13.0")
NODE = Node("one", "3.11.7", {p: "1" for p in nodes.DEPENDENCIES}, "c0de", AVX512, (), 2**40, 2**33, True, ())
RESOURCES = {"CPU": 8.0, "memory": 2.0**34, "object_store_memory": 2.0**30}
ONE = Member("10.0.0.1", RESOURCES, NODE)


def lacking_torch(_trial) -> Node:
    raise ModuleNotFoundError("No module named 'torch'", name="torch")


def other(name: str, resources: dict[str, float] | None = None, **changes) -> Member:
    return Member("10.0.0.2", RESOURCES | (resources or {}), replace(NODE, name=name, **changes))


def bad(findings) -> list[tuple[str, str]]:
    return [(finding.where, finding.what) for finding in findings if finding.verdict == "bad"]


@pytest.fixture
def at_home(tmp_path, monkeypatch):
    """A home elsewhere, and no Ray address."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_script_in_its_checkout_is_not_submitted(at_home):
    assert submitted(ROOT / "study", ["first.yaml"]) == ["first.yaml"]
    assert "RAY_ADDRESS" not in os.environ


def test_a_copied_script_joins_and_finds_a_study_of_the_checkout(at_home):
    (at_home / "own.yaml").touch()
    found = submitted(at_home, ["search_spaces/default.yaml", "--data", "clips", "--resources", "cpu=1"])
    assert found == [str(ROOT / "search_spaces/default.yaml"), "--data", "clips", "--resources", "cpu=1"]
    assert submitted(at_home, ["own.yaml"]) == [str(at_home / "own.yaml")]
    assert os.environ.pop("RAY_ADDRESS") == "auto"


def test_a_script_in_another_checkout_is_not_submitted_either(at_home):
    """The package may be installed elsewhere, and not editable."""
    (at_home / "study").mkdir()
    (at_home / "study/__init__.py").touch()
    assert submitted(at_home / "study", ["first.yaml"]) == ["first.yaml"]
    assert "RAY_ADDRESS" not in os.environ


def test_a_job_writes_to_the_home_and_not_into_its_snapshot(at_home, monkeypatch):
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    monkeypatch.chdir(ROOT)
    assert submitted(ROOT / "study", ["ray_cluster.yaml"]) == [str(ROOT / "ray_cluster.yaml")]
    assert Path.cwd() == at_home
    assert runtime_environment() is None


def test_all_nodes_run_the_checkout():
    assert runtime_environment() == {
        "py_modules": [str(ROOT / name) for name in ("search_spaces", "analysis", "study")]
    }


def test_nodes_without_room_for_a_trial_do_not_serve():
    small, gpu = other("small", {"memory": 2.0**30}), other("gpu", {"GPU": 1.0}, gpus=(H100,))
    assert nodes.serving([ONE, small, gpu], Resources(gpu=0)) == [ONE, gpu]
    assert nodes.serving([ONE, small, gpu], Resources(gpu=0.5)) == [gpu]


def test_the_plan_says_which_nodes_serve():
    small, gpu = other("small", {"memory": 2.0**30}), other("gpu", {"GPU": 1.0}, gpus=(H100,))
    held, (serve,) = nodes_that_serve([ONE, small], Resources())
    assert held == 8
    assert "one (trials at a time: 8); without room for a trial: small" in serve
    assert nodes_that_serve([ONE, gpu], Resources(gpu=0.5))[0] == 2
    assert "--mixed" in nodes_that_serve([ONE, other("old", cpu=AVX2)], Resources())[1][1]
    with pytest.raises(UserError, match="none of the nodes one holds one trial"):
        nodes_that_serve([ONE], Resources(cpu=9))


def test_nodes_that_compute_differently_are_named_with_what_to_do():
    old, gpu = other("old", cpu=AVX2), other("gpu", {"GPU": 1.0}, gpus=(H100,))
    assert nodes.arithmetic_problem([ONE, gpu], Resources(gpu=0)) is None
    problem = nodes.arithmetic_problem([ONE, old], Resources(gpu=0))
    assert "old: cpu AVX2" in problem and "one: cpu AVX512" in problem and "--mixed" in problem
    another = other("another", {"GPU": 1.0}, gpus=(replace(H100, name="NVIDIA A100", capability="8.0"),))
    assert "A100" in nodes.arithmetic_problem([gpu, another], Resources(gpu=1))


def test_a_good_cluster_is_good(tmp_path):
    assert bad(checks.of_cluster([ONE, other("two")], 2**20, tmp_path, None)) == []


@pytest.mark.parametrize(
    ("member", "what"),
    [
        (other("two", versions=NODE.versions | {"torch": "2"}), "torch"),
        (other("two", python="3.12.1"), "Python"),
        (other("two", code="another"), "losolab"),
        (other("two", {"object_store_memory": 2.0**20}), "object store"),
        (other("two", token=False), "token"),
        (other("two", {"GPU": 2.0}, gpus=(H100,)), "devices"),
        (other("two", disk=2**20), "disk"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_doctor_names_the_node_the_fault_and_a_remedy(member, what, tmp_path):
    findings = checks.of_cluster([ONE, replace(ONE, node=replace(NODE, name="three")), member], 2**24, tmp_path, None)
    assert bad(findings) == [("two", what)]
    assert all(finding.remedy for finding in findings if finding.verdict == "bad")


def test_a_tracking_server_that_does_not_answer():
    (finding,) = checks.tracking("http://127.0.0.1:9")
    assert finding.verdict == "bad"
    assert "losolab mlflow sync" in finding.remedy
    assert list(checks.tracking("sqlite:///mlflow.db")) == []


def test_where_faces_lie(tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/face.arrow").write_bytes(b"0" * 2**20)
    spilled = other("two", spilled=("/tmp/ray/session_2026/ray_spilled_objects_1",))
    found = [f for f in checks.of_cluster([ONE, spilled], 0, tmp_path, None) if f.what == "faces"]
    assert [(f.where, f.verdict) for f in found] == [("one", "note"), ("two", "note")]


def test_a_cluster_file_as_shipped_is_not_edited():
    (finding,) = checks.launchable(ROOT / "ray_cluster.yaml")
    assert "HEAD_ADDRESS, WORKER_1, WORKER_2, USER" in finding.found
    assert "EDIT" in finding.remedy


def test_a_machine_that_does_not_answer(tmp_path, at_home):
    found = checks.launchable(edited(tmp_path))
    assert {("this machine", "key"), ("this machine", "token"), ("127.0.0.1", "ssh")} <= set(bad(found))


def edited(folder: Path) -> Path:
    content = yaml.safe_load((ROOT / "ray_cluster.yaml").read_text())
    content["provider"] |= {"head_ip": "127.0.0.1", "worker_ips": None}
    content["auth"] |= {"ssh_user": "nobody", "ssh_private_key": str(folder / "none")}
    (folder / "cluster.yaml").write_text(yaml.safe_dump(content))
    return folder / "cluster.yaml"


def test_a_login_shell_may_greet_and_python_may_be_missing(tmp_path, at_home, monkeypatch):
    ssh = tmp_path / "bin/ssh"
    ssh.parent.mkdir()
    ssh.write_text("#!/bin/sh\necho Welcome to 42\necho 'its ray: 0.1'\necho 'its rsync: /usr/bin/rsync'\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}:{os.environ['PATH']}")
    found = [finding for finding in checks.launchable(edited(tmp_path)) if finding.where == "127.0.0.1"]
    assert bad(found) == [("127.0.0.1", "Python"), ("127.0.0.1", "ray")]
    assert "none, this machine has" in found[1].found


def test_a_machine_without_ssh(tmp_path, at_home, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ("this machine", "ssh") in bad(checks.launchable(edited(tmp_path)))


@pytest.mark.parametrize(
    "content", [b"name: study", b"{provider: {head_ip: h}, auth: {}}", b"{provider: {head_ip: h}, auth: }", b"\xff"]
)
def test_a_file_that_is_no_cluster_file(content, tmp_path):
    (tmp_path / "study.yaml").write_bytes(content)
    with pytest.raises(UserError, match="expected: a cluster file"):
        checks.launchable(tmp_path / "study.yaml")


@pytest.mark.slow
def test_a_real_ray_is_asked(tmp_path, monkeypatch):
    """One node with a small object store and no token."""
    import ray

    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # Ray asks for a token by itself where there is one
    ray.init("local", num_cpus=1, object_store_memory=100 * 2**20, include_dashboard=False, **QUIET)
    try:
        (member,) = nodes.members()
        assert member.node.code == nodes.node_here().code
        found = bad(checks.of_cluster([member], 2**30, tmp_path, None))
        assert {what for _, what in found} == {"object store", "token"}
        monkeypatch.setattr(nodes, "node_here", lacking_torch)
        with pytest.raises(UserError, match=r"node [\d.]+ cannot say .*No module named 'torch'"):
            nodes.members()
    finally:
        ray.shutdown()
