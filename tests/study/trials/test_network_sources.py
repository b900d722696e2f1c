"""What a user's own network is made of: all of it is in the key of its folds, and nothing else."""

import importlib
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import pytest

from search_spaces.config import TrialConfig
from search_spaces.errors import UserError
from study.cluster.ray_session import runtime_environment
from study.ledger.audit import audit
from study.planning.status import status
from study.training.protocol import loso
from study.trials import network_sources
from study.trials.fold_identity import fold_key

FACTORY = """
import json, os
from pathlib import Path
import numpy
import torch
from torch import nn
from parts.layers import WIDTH

class Net(nn.Module):
    def __init__(self, shapes, n_classes):
        super().__init__()
        from late import ACTIVATION
        ((channels, frames, height, width),) = shapes.values()
        self.first = nn.Linear(channels * frames * height * width, WIDTH)
        self.activation = ACTIVATION()
        self.out = nn.Linear(WIDTH, n_classes)
        self.mean = torch.tensor(json.loads(Path(__file__).with_name("mean.json").read_text()))
        nn.init.constant_(self.out.bias, float(os.environ.get("LOSOLAB_TEST_BIAS", 0)))

    def forward(self, x):
        return self.out(self.activation(self.first(x.flatten(1) - self.mean)))
"""
FILES = {
    "nets.py": FACTORY,
    "parts/__init__.py": "",
    "parts/layers.py": "WIDTH = 4",
    "late.py": "from torch.nn import ReLU as ACTIVATION",
    "mean.json": "0.5",
    "unused.py": "raise AssertionError",
}
CONFIG = TrialConfig(network="nets:Net", frames=4, crop=16, epochs=1)
PARTS = ("nets", "parts", "late")


@pytest.fixture
def nets(tmp_path, monkeypatch):
    folder = tmp_path / "nets"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(folder)
    anew()
    yield folder
    anew()


def anew() -> None:
    """As if in a process of its own: a module is imported once."""
    for name in [name for name in sys.modules if name.split(".")[0] in PARTS]:
        del sys.modules[name]
    importlib.invalidate_caches()
    network_sources._known.clear()  # look at the files again


def test_every_module_and_file_that_building_loads_is_in_it(nets):
    found = network_sources.sources(CONFIG, 3)
    assert list(found.modules) == ["late.py", "nets.py", "parts/__init__.py", "parts/layers.py"]
    assert list(found.files) == ["mean.json"]
    assert list(found.distributions) == ["numpy"]
    places = network_sources.importable_places(network_sources.discovered([CONFIG], 3))
    assert places == [str(nets / name) for name in ("late.py", "nets.py", "parts")]
    assert runtime_environment(places)["py_modules"][-3:] == places


EDITS = {
    "a helper": ("parts/layers.py", "WIDTH = 5"),
    "a module that the factory imports": ("late.py", "from torch.nn import Tanh as ACTIVATION"),
    "a file that it reads": ("mean.json", "0.25"),
}


@pytest.mark.slow
def test_an_edit_of_any_of_them_is_another_key_and_nothing_else_is(nets, random_clips, monkeypatch):
    clips = replace(random_clips(), digests={"index": "", "face": ""})
    fold = loso(clips, 0)[0]

    def key() -> str:
        anew()
        return fold_key(CONFIG, clips, fold)

    first = key()
    (nets / "unused.py").write_text("another = 1")
    assert key() == first, "initial weights that a seed draws, or what is not loaded, are in the key"
    for what, (name, text) in EDITS.items():
        before = (nets / name).read_text()
        (nets / name).write_text(text)
        assert key() != first, what
        (nets / name).write_text(before)
    monkeypatch.setenv("LOSOLAB_TEST_BIAS", "0.5")
    assert key() != first, "a weight that no seed draws, wherever it came from"


def test_a_worker_takes_it_over_where_its_modules_are_the_same(nets):
    found = network_sources.discovered([CONFIG], 3)
    anew()
    network_sources.adopt(found)
    assert network_sources.discovered([CONFIG], 3) == found
    anew()
    (nets / "parts/layers.py").write_text("WIDTH = 5")
    with pytest.raises(UserError, match=r"this node has another parts/layers.py, or none"):
        network_sources.adopt(found)


def test_what_cannot_be_built_is_told(nets):
    (nets / "parts/layers.py").write_text("WIDTH = 'wide'")
    with pytest.raises(UserError, match="raises TypeError"):
        network_sources.sources(CONFIG, 3)


@pytest.mark.slow
def test_its_study_is_kept_with_its_sources_and_read_without_them(nets, small):
    """`ledger check` and `status` need no network for what the ledger holds; an older ledger is refused, with why."""
    baseline = {"architecture": "full_face", "frames": 6, "epochs": 2, "network": "nets:Net"}
    stages = {"ablate": {"design": "one_at_a_time", "seeds": 1, "vary": {"input": ["frame_difference"]}}}
    folder = small.run(baseline=baseline, stages=stages)
    assert (folder / "networks/parts/layers.py").read_text() == "WIDTH = 4"
    code = f"""
import sys
from pathlib import Path
from study.ledger.audit import audit
from study.planning.status import status
folder = Path({str(folder)!r})
found = audit(folder)
print(found.folds, found.problems, sum(stage.folds for stage in status(folder).stages), "nets" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "10 () 10 False\n", done.stderr
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as db:
        identity = json.loads(db.execute("select identity from study").fetchone()[0])
        name = next(name for name in identity["data"] if name.startswith("source of "))
        del identity["data"][name]
        identity["data"]["source of nets:Net"] = "0" * 64
        db.execute("update study set identity=?", (json.dumps(identity),))
        db.commit()
    assert audit(folder).problems == () and "keys were not checked" in audit(folder).notes[0]
    assert sum(stage.folds for stage in status(folder).stages) == 10
    with pytest.raises(UserError, match=r"source of nets:Net is that of the factory's module alone"):
        small.run(baseline=baseline, stages=stages)
