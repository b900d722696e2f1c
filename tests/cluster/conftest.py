"""Four hosts on this machine: laptop, head and two workers, each with its own network, processes, home and disk.

Network namespaces joined by a bridge, real sshd, no route to anywhere else. Killing a host's first process is a power
failure; taking its cable's end down is a pulled cable. Needs root, iproute2, util-linux, sshd and rsync.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
_TOOLS = ("ip", "unshare", "nsenter", "ssh-keygen", "rsync", "mount", "git")
_SSHD = "/usr/sbin/sshd"
_NAMES = ("laptop", "head", "worker1", "worker2")
_START = """
set -e
mount --make-rprivate /
for part in {interpreter}; do mkdir -p {folder}/home/$part; mount --bind {home}/$part {folder}/home/$part; done
mount --rbind {folder}/home {home}
mkdir -p /tmp/ray; mount -t tmpfs -o size=2g tmpfs /tmp/ray
mount -t tmpfs -o size=3g tmpfs /dev/shm; mount -t tmpfs tmpfs /run; mkdir /run/sshd
mount -t overlay overlay -o lowerdir={prefix},upperdir={folder}/upper,workdir={folder}/work {prefix}
hostname {name}; ip link set lo up
{sshd} -D -e -f {folder}/sshd_config &
wait
"""
_SSHD_CONFIG = """
HostKey {folder}/host_key
PidFile {folder}/sshd.pid
PermitRootLogin yes
StrictModes no
UsePAM no
MaxStartups 100
"""
# The hosts have no internet: the packages are those of this environment, and pip only has to install the checkout.
_BASHRC = """
export PATH={prefix}/bin:$PATH PIP_NO_INDEX=1 PIP_NO_BUILD_ISOLATION=0 PIP_ROOT_USER_ACTION=ignore
"""


@dataclass
class Host:
    """A machine of the lab. `folder` holds its home and what it changed of the virtual environment."""

    name: str
    address: str
    network: str
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def on(self) -> None:
        """Switch the host on, and wait until its sshd answers."""
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", self.network]
            + ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts", "--ipc"]
            + ["bash", str(self.folder / "start.sh")],
            stdout=(self.folder / "log").open("ab"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        _until(lambda: (self.folder / "sshd.pid").exists() and self._first() > 0, f"{self.name} to start", 20)

    def off(self) -> None:
        """Power failure: every process of the host ends at once."""
        if self.process is not None:
            os.kill(self._first(), signal.SIGKILL)
            self.process.wait()
            self.process = None
            (self.folder / "sshd.pid").unlink(missing_ok=True)

    def cable(self, state: str) -> None:
        """Plug the network cable `up` or `down`."""
        subprocess.run(["ip", "link", "set", f"{self.network}p", state], check=True)

    def start(self, command: str, **options: object) -> subprocess.Popen[str]:
        """Start a command in a login shell of this host, in its home."""
        inside = ["nsenter", "-t", str(self._first()), "-m", "-n", "-p", "-u", "-i"]
        clean = [
            "env",
            "-i",
            f"HOME={Path.home()}",
            "LANG=C.UTF-8",
            "TERM=dumb",
            "USER=root",
            "PATH=/usr/bin:/bin:/usr/sbin:/sbin",
        ]
        shell = ["bash", "--rcfile", "/dev/null", "-c", f". ~/.bashrc; cd ~; {command}"]
        given = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL} | options
        return subprocess.Popen([*inside, *clean, *shell], text=True, **given)  # type: ignore[call-overload]

    def run(self, command: str, *, timeout: float = 300, code: int | None = 0) -> str:
        """What a command prints. Fails unless it ends with `code` (None: any)."""
        process = self.start(command)
        try:
            printed, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            printed, _ = process.communicate()
            pytest.fail(f"{self.name}$ {command}\ndid not end in {timeout:g} s:\n{printed[-4000:]}")
        if code is not None and process.returncode != code:
            pytest.fail(f"{self.name}$ {command}\nended with {process.returncode}:\n{printed[-6000:]}")
        return printed

    def processes(self) -> list[str]:
        """Command lines of the host's processes, without those that keep it up."""
        lines = self.run("ps -eo args=").splitlines()
        return [line for line in lines if not line.startswith(("bash", "ps -eo", "sshd", _SSHD))]

    def _first(self) -> int:
        """The host's first process, seen from outside."""
        assert self.process is not None, f"{self.name} is off"
        return _child(_child(self.process.pid, "unshare"), "bash")


def _child(pid: int, name: str) -> int:
    """`ip netns exec` becomes unshare itself, so that a process may already be the one looked for."""
    if Path(f"/proc/{pid}/comm").read_text().strip() == name:
        return pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else 0


def _until(condition, what: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"waited {seconds:g} s for {what}")
        time.sleep(0.1)


@pytest.fixture(scope="session")
def until():
    return _until


@dataclass(frozen=True)
class Lab:
    laptop: Host
    head: Host
    workers: tuple[Host, Host]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if missing := [tool for tool in _TOOLS if not shutil.which(tool)] + [s for s in [_SSHD] if not Path(s).exists()]:
        pytest.skip(f"a lab of hosts needs {', '.join(missing)}")
    if os.geteuid() or subprocess.run(["unshare", "--mount", "--net", "true"], capture_output=True).returncode:
        pytest.skip("a lab of hosts needs root and the right to make namespaces")
    folder, tag = tmp_path_factory.mktemp("lab"), f"l{os.getpid() % 10_000}"
    bridge, hosts = f"{tag}b", [_host(folder, tag, number, name) for number, name in enumerate(_NAMES, 1)]
    try:
        _ip(f"link add {bridge} type bridge", f"link set {bridge} up")
        for number, host in enumerate(hosts, 1):
            _wire(host, bridge, number)
            host.on()
        _check_out(hosts[0])
        yield Lab(hosts[0], hosts[1], (hosts[2], hosts[3]))
    finally:
        for host in hosts:
            host.off()
            subprocess.run(["ip", "netns", "del", host.network], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", bridge], capture_output=True, check=False)


def _host(folder: Path, tag: str, number: int, name: str) -> Host:
    host = Host(name, f"10.83.0.{number}", f"{tag}{number}", folder / name)
    for part in ("home/.ssh", "upper", "work"):
        (host.folder / part).mkdir(parents=True)
    key, own = folder / "key", host.home / ".ssh"
    if not key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", host.folder / "host_key"], check=True)
    shutil.copy(key.with_suffix(".pub"), own / "authorized_keys")
    if name in ("laptop", "head"):
        shutil.copy(key, own / "id_ed25519")
    base = Path(sys.base_prefix)
    below = base.relative_to(Path.home()).parts[:1] if base.is_relative_to(Path.home()) else ()
    values = {"folder": host.folder, "home": Path.home(), "prefix": sys.prefix, "name": name, "sshd": _SSHD}
    (host.folder / "start.sh").write_text(_START.format(interpreter=" ".join(below), **values))
    (host.folder / "sshd_config").write_text(_SSHD_CONFIG.format(**values))
    (host.home / ".bashrc").write_text(_BASHRC.format(**values))
    (host.home / ".profile").write_text(". ~/.bashrc\n")
    return host


def _wire(host: Host, bridge: str, number: int) -> None:
    _ip(
        f"netns add {host.network}",
        f"link add {host.network}p type veth peer name eth0 netns {host.network}",
        f"link set {host.network}p master {bridge} up",
        f"-n {host.network} addr add {host.address}/24 dev eth0",
        f"-n {host.network} link set eth0 up",
    )


def _ip(*commands: str) -> None:
    for command in commands:
        subprocess.run(["ip", *command.split()], check=True)


def _check_out(laptop: Host) -> None:
    """The repository as it is here, what is not committed included, in the laptop's home."""
    listed = subprocess.run(
        ["git", "-C", REPOSITORY, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
        text=True,
    ).stdout.split("\0")
    for name in filter(None, listed):
        if (REPOSITORY / name).is_file():
            target = laptop.home / "losolab" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, target)
