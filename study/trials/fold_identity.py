"""Identity of a fold: the key that names it, the arithmetic that made it, and the code that did."""

import hashlib
import json
import subprocess
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from search_spaces.config import TrialConfig
from search_spaces.digests import digest
from search_spaces.network_inputs import data_parts
from study.data.clips import ClipNames
from study.training.protocol import Fold
from study.trials.network_sources import source_name, sources

# Changed by hand, together with the portable golden digest, when the same key would give other predictions.
TRAINING_VERSION = 2

ROOT = Path(__file__).parents[2]
# What a fold's predictions are made by. A test holds every module that training imports against it.
TRAINING_SOURCES = (
    "study/training/*.py",
    "study/classical/*.py",
    "study/trials/trial.py",
    "study/models/*.py",
    "study/data/sampling.py",
    "study/data/resize.py",
    "study/system/random_bits.py",
    "search_spaces/digests.py",
    "search_spaces/network_inputs.py",
)
# Digests of the training code whose folds are the same bytes, which the golden digests and the ledger in
# tests/study/ledger/older prove: a study begun by one of them goes on by another, and is copied from, without a mark.
SAME_CODE = frozenset(
    {
        "474b495b4746fa26ac7214a2f0e42b652a63884681e6f01502b9a1692455331c",  # commit e2f47eb
        "ef692f25f9f6f80a6da38374f72ccd8594500c89dd572dee7b97c0b18879b15d",  # commit 95bc9e8
        "42df8a00e6ec03e5e7b46ea903b4dc22a20e7f4844b39d4cedc32d2cb1e0cf69",  # commit 67ee91a
        "4f1aa72d4b4cccc1ad6237fa01840dfdf59321f2672fa436592c8c6201c7c35d",  # today
    }
)
_VERSIONS = ("losolab", "torch", "numpy", "ray", "optuna", "mlflow", "decord", "av", "scikit-learn", "scikit-image")


@dataclass(frozen=True)
class Arithmetic:
    """What decides the last bits of a prediction besides its key. Bytes are promised within one arithmetic."""

    device: str  # cpu, or the name of the GPU
    capability: str  # instruction set that torch uses, or the GPU's compute capability
    threads: int
    torch: str
    precision: str
    group: int  # folds trained as one network
    libraries: str = ""  # of a baseline that no gradient trains: what computes it

    def machine(self) -> tuple[str, str, int, str]:
        """The part that is one for a whole study; precision and group follow from the configuration."""
        return self.device, self.capability, self.threads, self.torch

    def to_json(self) -> str:
        """As ledgers keep it: what is blank is left out, so that those of older ones stay as they are."""
        return json.dumps({name: part for name, part in asdict(self).items() if part != ""}, sort_keys=True)


@cache
def read_arithmetic(text: str) -> Arithmetic:
    """An arithmetic as ledgers keep it (JSON): they have a handful, and ask for those of all folds, time and again."""
    return Arithmetic(**json.loads(text))


def fold_key(config: TrialConfig, clips: ClipNames, fold: Fold) -> str:
    """SHA-256 of everything a fold's predictions are a function of, but for the arithmetic.

    What a user's own network is made of enters only where there is one, so that no fold made before is orphaned. Clips
    as a ledger names them know its digest; else the network is looked at.
    """
    own: dict[str, str] = {}
    if config.own_network:
        n_classes = len(clips.classes)
        known = clips.digests.get(source_name(config, n_classes))
        own = {"network": known or sources(config, n_classes).digest()}
    return digest(
        {
            "configuration": config.key(),
            "seed": fold.seed,
            "train": digest(clips.ids[fold.train].tolist()),
            "test": digest(clips.ids[fold.test].tolist()),
            "data": clips.data_digest(data_parts(config)),
            "training_version": TRAINING_VERSION,
            **own,
        }
    )


@cache
def code() -> dict[str, str]:
    """SHA-256 of each file that trains: when one changes and TRAINING_VERSION does not, a study is refused."""
    files = sorted(path for pattern in TRAINING_SOURCES for path in ROOT.glob(pattern))
    return {path.relative_to(ROOT).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def same_code(one: str, other: str) -> bool:
    """Whether two digests of the code that trains stand for the same predictions, to the byte."""
    return one == other or {one, other} <= SAME_CODE


def changed_code(before: dict[str, str]) -> list[str]:
    """The files of the source that trains that are not as they were, where that can change a prediction."""
    now = code()
    if same_code(digest(before), digest(now)):
        return []
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


@cache
def provenance() -> dict[str, str]:
    """Versions of the packages, and the commit of a checkout with a digest of its uncommitted changes."""
    found = {"code": digest(code())}
    for package in _VERSIONS:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    if (ROOT / ".git").exists():
        found["commit"] = _git("rev-parse", "HEAD").decode().strip()
        if difference := _git("diff", "HEAD"):
            found["uncommitted"] = hashlib.sha256(difference).hexdigest()
    return found


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False).stdout
