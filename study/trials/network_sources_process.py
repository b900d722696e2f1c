"""The process in which a user's factory is imported and called: `python -m study.trials.network_sources_process OUT`.

Nothing of the user's was imported in it before. It writes down what the factory has loaded, modules and other files,
and the tensors with which its networks begin.
"""

import ast
import hashlib
import json
import os
import site
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import packages_distributions, version
from importlib.util import source_from_cache
from pathlib import Path
from typing import Any

from search_spaces.config import TrialConfig
from search_spaces.errors import UserError
from search_spaces.files import written_whole
from study.trials.network_sources import Sources, sha

ROOT = Path(__file__).parents[2]
_LOSOLAB = frozenset({"study", "analysis", "search_spaces"})
_SYSTEM = ("/proc", "/sys", "/dev", "/etc")


def main(out: Path) -> None:
    """Answer what was asked on standard input: configurations of one network, and the number of classes."""
    asked, n_classes = json.load(sys.stdin)
    configs = [TrialConfig(**levels) for levels in asked]
    import torch

    from study.models import user_network  # noqa: F401 torch and all of ours come before the watch
    from study.system import dotted_path

    torch.set_num_threads(1)  # a pool of threads does not survive the fork
    watch = Watch()
    sys.addaudithook(watch)
    try:
        dotted_path.found("network", configs[0].network)
        said = [_in_a_fork(config, n_classes, watch) for config in configs]
    except UserError as mistake:
        said = [{"problem": str(mistake)}]
    with written_whole(out) as draft:
        draft.write_text(json.dumps(said))


class Watch:
    """An audit hook that remembers which files were opened to be read alone."""

    def __init__(self) -> None:
        self.read: set[str] = set()
        self.written: set[str] = set()

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or not isinstance(arguments[0], str | bytes | os.PathLike):
            return
        path, mode, flags = arguments
        reads = set(mode) <= set("rbtU") if mode else flags & os.O_ACCMODE == os.O_RDONLY
        (self.read if reads else self.written).add(str(Path(os.fsdecode(path)).absolute()))

    def files(self) -> list[Path]:
        """What was read, the source in the place of its bytecode."""
        paths = (Path(path) for path in sorted(self.read - self.written))
        return [path for path in map(_source, paths) if path.is_file()]


def _in_a_fork(config: TrialConfig, n_classes: int, watch: Watch) -> dict[str, Any]:
    """Each configuration is built by a copy of the process, so that none is told what another has loaded."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ours)
        with os.fdopen(theirs, "w") as answer:
            try:
                said = _built(config, n_classes, watch)
            except Exception as mistake:
                said = {"problem": str(mistake)}
            json.dump(said, answer)
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return dict(json.loads(text)) if text else {"problem": f"network {config.network!r}: its process died"}


def _built(config: TrialConfig, n_classes: int, watch: Watch) -> dict[str, Any]:
    from study.models.user_network import built

    networks = [built(config, n_classes, fold) for fold in ((0, "a"), (0, "b"))]
    modules = dict(sorted(_modules()))
    files: dict[str, list[str]] = {}
    for path in {path.resolve() for path in watch.files() if _is_users(path)} - set(modules.values()):
        files.setdefault(path.name, []).append(sha(path))
    found = Sources(
        modules={name: sha(path) for name, path in modules.items()},
        files={name: " ".join(sorted(files[name])) for name in sorted(files)},
        distributions=_distributions(modules),
        tensors=_constant(*networks),
    )
    return {"sources": asdict(found), "places": {name: str(path) for name, path in modules.items()}}


def _modules() -> Iterator[tuple[str, Path]]:
    """The user's modules that are imported: each one's path below an import path, by its name, and its file."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name != "__main__" and file and _is_users(path := _source(Path(file))):
            parts = [*name.split("."), "__init__"] if path.stem == "__init__" else name.split(".")
            yield "/".join(parts) + path.suffix, path.resolve()


def _is_users(path: Path) -> bool:
    """Whether a file is neither the system's, nor of an installed distribution, nor of losolab's packages."""
    path, paths = path.resolve(), sysconfig.get_paths()
    installed = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    installed += [*site.getsitepackages(), site.getusersitepackages(), *_SYSTEM]
    ours = [str(ROOT / package) for package in _LOSOLAB]
    return path.is_file() and not any(path.is_relative_to(Path(folder).resolve()) for folder in installed + ours)


def _source(path: Path) -> Path:
    """The source of a file of bytecode; any other file as it is."""
    try:
        return Path(source_from_cache(str(path))) if path.suffix == ".pyc" else path
    except ValueError:  # bytecode that lies without a source
        return path


def _distributions(modules: Mapping[str, Path]) -> dict[str, str]:
    """Versions of the installed distributions that these modules import by name."""
    user_network = {name.partition("/")[0].partition(".")[0] for name in modules}
    known = packages_distributions()
    tops = {top for path in modules.values() if path.suffix == ".py" for top in _imports(path)}
    names = {name for top in tops - user_network - _LOSOLAB - {"torch"} for name in known.get(top, ())}
    return {name: version(name) for name in sorted(names - {"torch"})}


def _imports(path: Path) -> Iterator[str]:
    """The first parts of the names that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _constant(one: Any, other: Any) -> str:
    """SHA-256 of the tensors that two networks of different seeds have in common, by name, type, shape and bytes."""
    first, second = dict(_tensors(one)), dict(_tensors(other))
    common = [name for name in sorted(first) if first[name] == second.get(name)]
    return hashlib.sha256(b"".join(name.encode() + first[name] for name in common)).hexdigest()


def _tensors(network: Any) -> Iterator[tuple[str, bytes]]:
    """Weights, buffers and plain attributes of a network's modules that are tensors, as bytes."""
    import torch

    for place, module in network.named_modules():
        held = vars(module)
        for name, tensor in {**held, **held["_parameters"], **held["_buffers"]}.items():
            if isinstance(tensor, torch.Tensor):
                flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
                yield f"{place}.{name}", f"{tensor.dtype} {tuple(tensor.shape)}".encode() + flat.numpy().tobytes()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
