"""The machines of a cluster: what each has, whether a study's clips fit it, and whether they compute alike."""

import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from search_spaces.config import TrialConfig
from search_spaces.digests import digest
from search_spaces.errors import UserError
from search_spaces.spec import Resources
from study.cluster.ray_session import join, use_token
from study.data.clips import Clips
from study.planning.timing import Tried, tried
from study.system.hardware import ray_folder
from study.trials.fold_identity import code
from study.trials.trial import Device, device_here, gpus_here

DEPENDENCIES = ("ray", "torch", "numpy", "pyarrow", "scipy", "pydantic")  # what a process that trains imports
_STORE_KEPT_FREE = 0.1
_STORE_BESIDE_CLIPS = 256 * 2**20


@dataclass(frozen=True)
class Node:
    """A machine as a process on it finds it; memory and disk in bytes."""

    name: str
    python: str
    versions: dict[str, str]
    code: str  # digest of the source that trains
    cpu: Device
    gpus: tuple[Device, ...]  # that torch sees
    disk: int  # free where Ray spills
    shared_memory: int  # size of /dev/shm, 0 where there is none
    token: bool
    spilled: tuple[str, ...]  # folders that may hold face pixels
    tried: Tried | None = None  # on its GPU, where that was asked for


@dataclass(frozen=True)
class Member:
    """A node of a running cluster: what Ray says of it, and what a task on it found."""

    address: str
    resources: dict[str, float]
    node: Node

    @property
    def store(self) -> int:
        """Bytes of its object store."""
        return int(self.resources.get("object_store_memory", 0))


def node_here(trial: TrialConfig | None = None) -> Node:
    """This machine. trial: a configuration to train two steps of, where there is a GPU."""
    gpus, shared, temporary = gpus_here(), Path("/dev/shm"), ray_folder()
    return Node(
        name=platform.node(),
        python=platform.python_version(),
        versions={package: _version(package) for package in DEPENDENCIES},
        code=digest(code()),
        cpu=device_here(Resources(gpu=0)),
        gpus=gpus,
        disk=shutil.disk_usage(temporary if temporary.exists() else "/").free,
        shared_memory=shutil.disk_usage(shared).total if shared.exists() else 0,
        token=os.environ.get("RAY_AUTH_MODE") == "token",
        spilled=tuple(str(path) for path in sorted(temporary.glob("session_2*/ray_spilled_objects*"))),
        tried=tried(trial, Resources(gpu=1)) if trial and gpus else None,
    )


def members(trial: TrialConfig | None = None) -> list[Member]:
    """The living nodes of the cluster that this process has joined, each asked by a task of its own (`node_here`).

    Raises UserError with all that could not answer, a package that is missing there for one.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    shown = {"env_vars": {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}}  # else Ray hides the GPUs from who asks for none
    ask = ray.remote(num_cpus=0, max_retries=1, runtime_env=shown)(node_here)
    alive = [node for node in ray.nodes() if node["Alive"]]
    where = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in alive]
    answers = [ask.options(scheduling_strategy=place).remote(trial) for place in where]
    ray.wait(answers, num_returns=len(answers), timeout=120)
    found, problems = [], []
    for node, answer in zip(alive, answers, strict=True):
        address = node["NodeManagerAddress"]
        try:
            found.append(Member(address, node["Resources"], ray.get(answer, timeout=1)))
        except ray.exceptions.RayError as problem:
            why = str(problem).strip().splitlines()[-1]
            problems.append(f"node {address} cannot say what it has ({why}); install ~/losolab there, or take it out")
    if problems:
        raise UserError(problems)
    return found


def members_of(address: str, trial: TrialConfig | None = None) -> list[Member]:
    """The living nodes of the cluster at an address, which this process then leaves. Raises UserError."""
    use_token()
    import ray

    join(address)
    try:
        return members(trial)
    finally:
        ray.shutdown()


def refuse_unfit(members: Sequence[Member], clips: Clips, resources: Resources, *, mixed: bool) -> None:
    """Raises UserError where the clips do not fit the nodes' object stores, or the nodes compute differently."""
    problems = [text for member in members if (text := store_problem(member, clips_bytes(clips)))]
    if not mixed and (text := arithmetic_problem(serving(members, resources), resources)):
        problems.append(text)
    if problems:
        raise UserError(problems)


def serving(members: Sequence[Member], resources: Resources) -> list[Member]:
    """The nodes that hold a trial."""
    return [member for member in members if resources.slots(member.resources)]


def clips_bytes(clips: Clips) -> int:
    """What every node that trains holds of a study's clips."""
    return sum(array.nbytes for array in clips.pixels.values())


def store_for(clips: Clips) -> int:
    """Bytes of object store that a Ray of our own is given, so that the clips are never spilled to disk."""
    return int(clips_bytes(clips) * 1.25) + _STORE_BESIDE_CLIPS


def store_problem(member: Member, needed: int) -> str | None:
    """Why the clips would not fit a node's object store, and what to do; None where they fit."""
    if needed <= member.store * (1 - _STORE_KEPT_FREE):
        return None
    short = f"its object store holds {member.store / 2**20:,.0f} MiB, the clips need {needed / 2**20:,.0f}"
    cause = ""
    if 0 < member.node.shared_memory < needed:
        cause = (
            f" (and /dev/shm is {member.node.shared_memory / 2**20:,.0f} MiB: enlarge it, in a container --shm-size)"
        )
    return (
        f"node {member.node.name}: {short}; start it with: ray start --object-store-memory={int(needed * 1.25)}{cause}"
    )


def arithmetic_problem(members: Sequence[Member], resources: Resources) -> str | None:
    """Why these nodes' last digits would differ, and what to do; None where they are of one kind."""
    kinds: dict[tuple[str, str, str], list[str]] = {}
    for member in members:
        for device in set(member.node.gpus if resources.gpu else [member.node.cpu]):
            kinds.setdefault((device.name, device.capability, device.torch), []).append(member.node.name)
    if len(kinds) < 2:
        return None
    listed = "; ".join(f"{', '.join(names)}: {' '.join(kind)}" for kind, names in sorted(kinds.items()))
    return (
        f"the nodes compute differently ({listed}), and a study keeps to one arithmetic; take some out of the cluster, "
        "give all the lowest capability (export ATEN_CPU_CAPABILITY=avx2 in ~/.profile), or go on with --mixed"
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
