"""What a user's own network is made of besides its configuration: the key of its folds holds it.

It is found by importing and calling the factory in a process of its own (own_sources_process.py), for in this one
modules may have been imported before.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from search_spaces.config import TrialConfig
from search_spaces.digests import digest
from search_spaces.errors import UserError
from search_spaces.network_inputs import side, streams

_ENTERS = ("network", "regions", "frames", "crop")  # the factors that decide what the factory is called with


@dataclass(frozen=True)
class Sources:
    """What importing a factory and calling it loads.

    modules: SHA-256 of each module's file outside the installed distributions, by its path below an import path;
    files: of every other file that is read, by its name; distributions: versions of those that the modules import, but
    for torch, which is in the arithmetic; tensors: SHA-256 of the initial weights and buffers that no seed changes.
    """

    modules: dict[str, str]
    files: dict[str, str]
    distributions: dict[str, str]
    tensors: str

    def digest(self) -> str:
        return digest(asdict(self))


_known: dict[str, tuple[Sources, dict[str, Path]]] = {}  # what was imported stays, whatever becomes of the files


def source_name(config: TrialConfig, n_classes: int) -> str:
    """What a ledger calls the sources of a configuration's own network."""
    sizes = ((region, side(config, region)) for region in streams(config))
    shown = ", ".join(f"{region} 1x{config.frames}x{size}x{size}" for region, size in sizes)
    return f"source of {config.network} for {shown} and {n_classes} classes"


def sources(config: TrialConfig, n_classes: int) -> Sources:
    """The sources of a configuration's own network. Raises UserError where it cannot be built."""
    return discovered([config], n_classes)[source_name(config, n_classes)]


def discovered(configs: Sequence[TrialConfig], n_classes: int) -> dict[str, Sources]:
    """The sources of all own networks among configurations, by their names. Raises UserError."""
    named = {source_name(config, n_classes): config for config in configs if config.own_network}
    missing: dict[str, list[TrialConfig]] = {}
    for name, config in named.items():
        if name not in _known:
            missing.setdefault(config.network, []).append(config)
    for network, own in missing.items():
        _known.update(_discover(network, own, n_classes))
    return {name: _known[name][0] for name in named}


def files_of(names: Iterable[str]) -> dict[str, Path]:
    """Where the modules of these sources lie, by their paths below an import path."""
    return {module: path for name in names for module, path in _known[name][1].items()}


def importable_places(names: Iterable[str]) -> list[str]:
    """The folders of packages and files of modules that a node must be sent to import these sources."""
    tops = ((path.parents[module.count("/")], module.partition("/")[0]) for module, path in files_of(names).items())
    return sorted({str(root / top) for root, top in tops})


def adopt(found: Mapping[str, Sources]) -> None:
    """Take what another process found, where the modules are the same here. Raises UserError where one is not."""
    for name, own in found.items():
        if name in _known:
            continue
        here = {module: _on_path(module) for module in own.modules}
        if wrong := [module for module, path in here.items() if path is None or sha(path) != own.modules[module]]:
            raise UserError(f"{name}: this node has another {', '.join(wrong)}, or none; install the same everywhere")
        _known[name] = own, {module: path for module, path in here.items() if path}


def keep(names: Iterable[str], folder: Path) -> None:
    """Copy the modules of these sources to a folder, so that a study can be understood when they are gone."""
    for module, path in files_of(names).items():
        target = folder / module
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _discover(
    network: str, configs: Sequence[TrialConfig], n_classes: int
) -> dict[str, tuple[Sources, dict[str, Path]]]:
    """The same, by a process of its own."""
    asked = [{name: getattr(config, name) for name in _ENTERS} for config in configs]
    path = os.pathsep.join(entry for entry in sys.path if entry)
    with tempfile.TemporaryDirectory(prefix="losolab-") as folder:
        out = Path(folder) / "found.json"
        done = subprocess.run(
            [sys.executable, "-P", "-m", "study.trials.network_sources_process", str(out)],
            input=json.dumps([asked, n_classes]),
            env=os.environ | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        if not out.is_file():
            last = "; ".join(done.stderr.strip().splitlines()[-1:]) or f"exit code {done.returncode}"
            raise UserError(f"network {network!r}: it cannot be built in a process of its own: {last}")
        said = json.loads(out.read_text())
    if problems := [own["problem"] for own in said if "problem" in own]:
        raise UserError(list(dict.fromkeys(problems)))
    return {
        source_name(config, n_classes): (Sources(**own["sources"]), {m: Path(p) for m, p in own["places"].items()})
        for config, own in zip(configs, said, strict=True)
    }


def sha(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _on_path(module: str) -> Path | None:
    return next((path for entry in sys.path if (path := Path(entry) / module).is_file()), None)
