"""`losolab doctor`: what would keep a study from running, here or on a cluster, found before it starts."""

import re
import shutil
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from search_spaces.config import TrialConfig
from search_spaces.errors import UserError, first_of, shown
from search_spaces.yaml_file import read
from study.cluster import nodes as cluster
from study.cluster.nodes import Member, Node
from study.system.hardware import multiplies_bfloat16, ray_folder, ray_folder_problem

_LEAST_DISK = 2**30
_BOOTSTRAP = Path("~/ray_bootstrap_config.yaml")  # the launcher leaves the cluster file there, on the head
_SSH = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=8", "-o", "StrictHostKeyChecking=accept-new"]
_EXPECTED = "a cluster file of machines over SSH"
_PLACEHOLDERS = re.compile(r"HEAD_ADDRESS|WORKER_\d+|USER")
_ASKED = """
python3 - << END
import importlib.metadata as installed, sys
try:
    ray = installed.version("ray")
except installed.PackageNotFoundError:
    ray = "none"
print("its Python: %d.%d" % sys.version_info[:2])
print("its ray:", ray)
END
echo "its rsync: $(command -v rsync)"
"""


@dataclass(frozen=True)
class Diagnosis:
    """What was looked at, where, what was found; `remedy` where it is not good."""

    where: str
    what: str
    verdict: Literal["good", "note", "bad"]
    found: str
    remedy: str = ""


def here(storage: Path, tracking_uri: str | None, trial: TrialConfig | None = None) -> list[Diagnosis]:
    """This machine, on which a study would run without a cluster. trial: what to train two steps of on its GPU."""
    node = cluster.node_here(trial)
    return [*_of_node(node), _ray_folder(node), *_faces(storage, [node]), *tracking(tracking_uri)]


def of_cluster(members: Sequence[Member], needed: int, storage: Path, tracking_uri: str | None) -> list[Diagnosis]:
    """A running cluster that this process has joined; `needed`: bytes of the clips that its nodes will hold."""
    nodes = [member.node for member in members]
    return [
        *_absent(members),
        *_versions(nodes),
        *(finding for member in members for finding in _of_member(member, needed)),
        *_faces(storage, nodes),
        *tracking(tracking_uri),
    ]


def launchable(path: Path) -> list[Diagnosis]:
    """What `ray up` would stumble over: the cluster file's lines to edit, and its machines, over SSH."""
    provider, auth = _machines(path)
    hosts, user = [provider["head_ip"], *(provider.get("worker_ips") or [])], auth["ssh_user"]
    left = [text for text in [*hosts, user] if _PLACEHOLDERS.fullmatch(text)]
    if left:
        remedy = f"write your machines and user into the lines marked EDIT of {path}"
        return [Diagnosis(path.name, "placeholders", "bad", f"not edited: {', '.join(left)}", remedy)]
    found = [Diagnosis(path.name, "placeholders", "good", "all edited"), *_laptop(auth)]
    if any(finding.what == "ssh" for finding in found):
        return found
    with ThreadPoolExecutor(16) as pool:
        return found + [f for of_host in pool.map(lambda host: _of_host(host, auth), hosts) for f in of_host]


def _machines(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The sections `provider` and `auth` of a cluster file, whose machines and user are text. Raises UserError."""
    content = read(path, _EXPECTED)
    sections = [content.get(name) if isinstance(content, dict) else None for name in ("provider", "auth")]
    provider, auth = [section if isinstance(section, dict) else {} for section in sections]
    texts = {"provider.head_ip": provider.get("head_ip"), "auth.ssh_user": auth.get("ssh_user")}
    texts |= {"auth.ssh_private_key": auth["ssh_private_key"]} if "ssh_private_key" in auth else {}
    problems = []
    if isinstance(workers := provider.get("worker_ips") or [], list):
        texts |= {f"provider.worker_ips[{number}]": host for number, host in enumerate(workers)}
    else:
        problems.append(f"{path}: provider.worker_ips: {shown(workers)} is no list; expected: {_EXPECTED}")
    for key, value in texts.items():
        if not isinstance(value, str):
            problems.append(f"{path}: {key}: {shown(value)} is no text; expected: {_EXPECTED}")
    if problems:
        raise UserError(first_of(problems))
    return provider, auth


def tracking(uri: str | None) -> Iterator[Diagnosis]:
    """Whether the tracking server answers from here: the mirror runs beside the driver."""
    address = urlsplit(uri or "")
    if not uri or not address.hostname:
        return
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname, port), timeout=5).close()
        yield Diagnosis("tracking", "server", "good", f"{address.hostname}:{port} answers")
    except OSError as error:
        later = "leave --tracking-uri out and send the runs later: losolab mlflow sync"
        remedy = f"start it, open its port to this machine, or {later}"
        yield Diagnosis("tracking", "server", "bad", f"{address.hostname}:{port}: {error.strerror or error}", remedy)


def _of_node(node: Node) -> Iterator[Diagnosis]:
    gpus = ", ".join(gpu.name for gpu in node.gpus) or "none"
    versions = ", ".join(f"{name} {node.versions[name]}" for name in ("ray", "torch"))
    yield Diagnosis(node.name, "versions", "good", f"Python {node.python}, {versions}")
    yield Diagnosis(node.name, "devices", "good", f"CPU with {node.cpu.capability}; GPUs: {gpus}")
    bfloat16 = "has" if bool(multiplies_bfloat16()) else "lacks"
    yield Diagnosis(
        node.name, "bfloat16", "good", f"the CPU {bfloat16} bfloat16 units; without them it is slower than float32"
    )
    yield from _tried(node)
    yield _disk(node)


def _tried(node: Node) -> Iterator[Diagnosis]:
    """What two steps of training took on a GPU, where they were asked for."""
    if (done := node.tried) is None:
        return
    if done.problem:
        remedy = "install the torch build of this machine's CUDA; free the card of other programs (nvidia-smi)"
        yield Diagnosis(node.name, "training", "bad", done.problem, remedy)
    else:
        found = (
            f"two steps of {done.folds} folds as one network: {done.seconds:.2f} s, {done.memory:,.0f} MiB of the card"
        )
        yield Diagnosis(node.name, "training", "good", f"{found} ({done.expected:,.0f} expected)")


def _of_member(member: Member, needed: int) -> Iterator[Diagnosis]:
    node = member.node
    seen = int(member.resources.get("GPU", 0))
    shares = f"{member.resources.get('CPU', 0):g} CPUs with {node.cpu.capability}, {seen} GPUs"
    if seen == len(node.gpus):
        yield Diagnosis(node.name, "devices", "good", shares)
    else:
        remedy = "install the torch build of this machine's CUDA, or correct --num-gpus of ray start"
        yield Diagnosis(node.name, "devices", "bad", f"Ray sees {seen} GPUs, torch {len(node.gpus)}", remedy)
    if problem := cluster.store_problem(member, needed):
        found, _, remedy = problem.partition("; ")
        yield Diagnosis(node.name, "object store", "bad", found.partition(": ")[2], remedy)
    else:
        yield Diagnosis(
            node.name, "object store", "good", f"{member.store / 2**20:,.0f} MiB, needs {needed / 2**20:,.0f}"
        )
    yield from _tried(node)
    if not node.token:
        remedy = (
            "ray get-auth-token --generate, copy ~/.ray/auth_token to all nodes, start Ray with RAY_AUTH_MODE=token"
        )
        yield Diagnosis(node.name, "token", "bad", "Ray answers whoever reaches its ports", remedy)
    else:
        yield Diagnosis(node.name, "token", "good", "Ray asks for the token")
    yield _disk(node)


def _absent(members: Sequence[Member]) -> Iterator[Diagnosis]:
    """Machines of the cluster file that did not join; known on the head of a launched cluster."""
    if not (file := _BOOTSTRAP.expanduser()).is_file():
        return
    listed = read(file, _EXPECTED)["provider"].get("worker_ips") or []
    for address in sorted(set(listed) - {member.address for member in members}):
        remedy = "ray up again; if it stays away, see /tmp/ray/session_latest/logs/monitor.out on the head"
        yield Diagnosis(address, "joined", "bad", "is in the cluster file and not in the cluster", remedy)


def _versions(nodes: Sequence[Node]) -> Iterator[Diagnosis]:
    """The nodes that differ from the first, which is the one that most are like."""
    named: dict[str, Callable[[Node], str]] = {
        "Python": lambda node: node.python,
        "losolab": lambda node: node.code[:12],
    }
    named |= {package: lambda node, p=package: node.versions[p] for package in cluster.DEPENDENCIES}  # type: ignore[misc]
    for name, of in named.items():
        (usual, _), *others = Counter(map(of, nodes)).most_common()
        if not others:
            yield Diagnosis("all nodes", name, "good", usual)
        for node in nodes if others else ():
            if of(node) != usual:
                remedy = "install ~/losolab with its constraints file there, as setup_commands of the cluster file do"
                yield Diagnosis(node.name, name, "bad", f"{of(node)}, elsewhere {usual}", remedy)


def _disk(node: Node) -> Diagnosis:
    free = f"{node.disk / 2**30:.1f} GiB free where Ray keeps its files"
    if node.disk >= _LEAST_DISK:
        return Diagnosis(node.name, "disk", "good", free)
    return Diagnosis(node.name, "disk", "bad", free, "make room there, or set RAY_TMPDIR to another disk")


def _ray_folder(node: Node) -> Diagnosis:
    """Whether a Ray that is started here can keep its files where it would."""
    if problem := ray_folder_problem():
        found, _, remedy = problem.partition("; ")
        return Diagnosis(node.name, "Ray's folder", "bad", found, remedy)
    return Diagnosis(node.name, "Ray's folder", "good", str(ray_folder()))


def _faces(storage: Path, nodes: Sequence[Node]) -> Iterator[Diagnosis]:
    """Where pixels of faces lie: datasets' licences want them found, and removed in the end."""
    for name in ("cache", "data"):
        if files := [path for path in (storage / name).rglob("*") if path.is_file()]:
            size = sum(path.stat().st_size for path in files) / 2**20
            yield Diagnosis(
                nodes[0].name, "faces", "note", f"{storage / name}: {size:,.0f} MiB", "losolab data cache remove"
            )
    for node in nodes:
        for folder in node.spilled:
            remedy = f"a run of this session may use it; when none does: rm -r {folder}"
            yield Diagnosis(node.name, "faces", "note", f"{folder}: spilled objects", remedy)


def _laptop(auth: dict[str, Any]) -> Iterator[Diagnosis]:
    for tool in ("ssh", "rsync"):
        if not shutil.which(tool):
            yield Diagnosis("this machine", tool, "bad", "not installed", f"install {tool}")
    key = Path(auth.get("ssh_private_key", "~/.ssh/id_ed25519"))
    if not key.expanduser().is_file():
        remedy = "make it with ssh-keygen -t ed25519 and copy it with ssh-copy-id, or name yours in the cluster file"
        yield Diagnosis("this machine", "key", "bad", f"{key}: there is no such file", remedy)
    if not Path("~/.ray/auth_token").expanduser().is_file():
        yield Diagnosis("this machine", "token", "bad", "no ~/.ray/auth_token", "ray get-auth-token --generate")


def _of_host(host: str, auth: dict[str, Any]) -> list[Diagnosis]:
    """A machine of the cluster file as SSH finds it."""
    key = Path(auth.get("ssh_private_key", "~/.ssh/id_ed25519")).expanduser()
    target = f"{auth['ssh_user']}@{host}"
    login = [*_SSH, "-i", str(key), target, "bash --login -s"]
    asked = subprocess.run(login, input=_ASKED, capture_output=True, text=True, check=False)
    if asked.returncode == 255:
        words = asked.stderr.strip().splitlines()
        remedy = f"switch it on, and let your key in: ssh-copy-id -i {key} {target}"
        return [Diagnosis(host, "ssh", "bad", words[-1] if words else "no answer", remedy)]
    said = dict(re.findall(r"^its (\w+): (.+)$", asked.stdout, re.MULTILINE))  # a login shell may greet
    return [Diagnosis(host, "ssh", "good", f"answers to {target}"), *_tools(host, said)]


def _tools(host: str, said: Mapping[str, str]) -> Iterator[Diagnosis]:
    own = "{}.{}".format(*sys.version_info)
    python, ray = said.get("Python", "none"), said.get("ray", "none")
    if python == own:
        yield Diagnosis(host, "Python", "good", python)
    else:
        remedy = f"activate a Python {own} environment in ~/.profile there: Ray refuses nodes of another Python"
        yield Diagnosis(host, "Python", "bad", f"{python}, this machine has {own}", remedy)
    if ray == "none":
        yield Diagnosis(host, "ray", "note", "not installed yet: ray up installs it")
    elif ray != version("ray"):
        remedy = "ray up again: setup_commands install the versions of constraints.txt"
        yield Diagnosis(host, "ray", "bad", f"{ray}, this machine has {version('ray')}", remedy)
    else:
        yield Diagnosis(host, "ray", "good", ray)
    if "rsync" not in said:
        yield Diagnosis(host, "rsync", "bad", "not installed", "install rsync there")
