"""Folds of other studies of the same storage: served where key and arithmetic are the same, and not otherwise."""

import importlib
import shutil
import sys

import pytest

from search_spaces.errors import UserError
from study.data import readers
from study.ledger import writer
from study.ledger.schema import read_only
from study.trials import fold_identity
from tests.golden_digest import golden_digest

ONE = {"stages": {"ablate": {"design": "one_at_a_time", "seeds": 1, "vary": {"input": ["gray"]}}}}


def counts(folder):
    """(folds, of them copied, trained here, the studies that they came from)."""
    with read_only(folder) as db:
        folds, copied = db.execute("select count(*), sum(origin is not null) from fold").fetchone()
        trained = db.execute("select sum(trained) from attempt").fetchone()[0]
        origins = {row[0] for row in db.execute("select distinct origin from fold where origin is not null")}
    return folds, copied, trained, origins


def test_the_same_study_from_another_path_reuses_all_folds(small, videos, tmp_path):
    """Another name, and its videos read from a folder of the user's own."""
    first = small.run(**ONE)
    moved = tmp_path / "elsewhere" / "clips"
    shutil.copytree(readers.materialise(small.prepared().index, videos / "data").root, moved)
    second = small.run(**ONE, name="second", dataset={"reader": "manifest", "path": str(moved)})
    assert counts(second) == (10, 10, 0, {"small"})
    assert golden_digest(second) == golden_digest(first)
    third = small.run(**ONE, name="third")
    assert counts(third) == (10, 10, 0, {"small"}), "the origin is who trained it, not who copied it"
    shutil.rmtree(first)
    assert counts(small.run(**ONE, name="fourth")) == (10, 10, 0, {"small"})


def test_a_larger_study_trains_the_rest(small):
    small.run(**ONE)
    more = {"stages": {"ablate": ONE["stages"]["ablate"] | {"vary": {"input": ["gray"], "depth": [2]}}}}
    assert counts(small.run(**more, name="more")) == (15, 10, 5, {"small"})
    assert counts(small.run(**more, name="more")) == (15, 10, 5, {"small"})


@pytest.mark.parametrize(
    "other",
    [{"baseline.epochs": 3}, {"dataset": {"reader": "synthetic", "options": {"subjects": 5, "clips": 5, "seed": 1}}}],
    ids=["configuration", "data"],
)
def test_another_configuration_or_other_data_are_trained(small, other):
    small.run(**ONE)
    assert counts(small.run(**ONE, name="other", **other))[1:3] == (0, 10)


def test_another_version_of_the_training_is_trained(small, monkeypatch):
    small.run(**ONE)
    monkeypatch.setattr(fold_identity, "TRAINING_VERSION", 99)
    assert counts(small.run(**ONE, name="other"))[1:3] == (0, 10)


def test_folds_of_changed_code_are_not_served(small, monkeypatch):
    from study.ledger import fold_reuse

    small.run(**ONE)
    monkeypatch.setattr(fold_reuse, "code", lambda: {"study/training/train.py": "other"})
    assert counts(small.run(**ONE, name="other"))[1:3] == (0, 10)


def test_folds_of_another_arithmetic_are_served_only_to_a_mixed_study(small, monkeypatch):
    small.run(**ONE)
    two_threads = {"resources": {"cpu": 2, "gpu": 0}}
    assert counts(small.run(**ONE, name="other", **two_threads))[1:3] == (0, 10)
    mixed = {"name": "mixed", **ONE, **two_threads}
    assert counts(small.run(mixed=True, **mixed))[1:3] == (10, 0)


def test_a_study_goes_on_with_another_arithmetic_only_as_mixed_and_is_marked(small):
    small.run(**ONE)
    more = {"stages": {"ablate": ONE["stages"]["ablate"] | {"seeds": 2}}, "resources": {"cpu": 2}}
    with pytest.raises(UserError, match=r"arithmetic.threads was 1 .* is now 2; .*--mixed, which marks the folds"):
        small.run(**more)
    folder = small.run(mixed=True, **more)
    with read_only(folder) as db:
        threads = db.execute("select json_extract(arithmetic, '$.threads'), count(*) from fold group by 1").fetchall()
    assert list(map(tuple, threads)) == [(1, 10), (2, 10)]
    with pytest.raises(UserError, match="--mixed"):
        small.run(**more)


def test_a_fold_is_copied_from_ledgers_of_this_version_alone(small):
    import sqlite3

    folder = small.run(**ONE)
    db = sqlite3.connect(writer.ledger_path(folder))
    db.execute("pragma user_version = 99")
    db.close()
    assert counts(small.run(**ONE, name="other"))[1:3] == (0, 10)


def test_a_damaged_ledger_of_another_study_stops_nobody(small):
    """Its first page is whole, so that it opens; its rows cannot be read."""
    path = writer.ledger_path(small.run(**ONE))
    content = path.read_bytes()
    path.write_bytes(content[:8192] + b"\xff" * (len(content) - 8192))
    assert counts(small.run(**ONE, name="other"))[1:3] == (0, 10)


NETWORK = """
from torch import nn

def factory(shapes, n_classes):
    ((channels, frames, height, width),) = shapes.values()
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * frames * height * width, n_classes))
"""


@pytest.mark.slow
def test_an_edited_network_is_not_served_from_old_folds(small, tmp_path, monkeypatch):
    from study.trials import network_sources

    monkeypatch.syspath_prepend(tmp_path)
    baseline = {"architecture": "full_face", "frames": 6, "epochs": 2, "network": "edited_network:factory"}
    baseline["input"] = "frame_difference"

    def run(source: str, name: str):
        """As if in a process of its own: a module is imported once."""
        (tmp_path / "edited_network.py").write_text(source)
        sys.modules.pop("edited_network", None)
        importlib.invalidate_caches()
        network_sources._known.clear()  # look at the files again
        return small.run(**ONE, name=name, baseline=baseline)

    run(NETWORK, "first")
    assert counts(run(NETWORK, "same"))[1:3] == (10, 0)
    edited = NETWORK.replace("nn.Flatten(), ", "nn.Flatten(), nn.ReLU(), ")
    assert counts(run(edited, "edited"))[1:3] == (0, 10)
    with pytest.raises(UserError, match=r"edited_network.py was .* give the changed study a new name"):
        run(edited, "first")


@pytest.mark.slow
def test_ray_serves_them_as_well(small):
    from study.scheduling.ray_executor import RayTune

    first = small.run(**ONE)
    assert counts(second := small.run(RayTune(slots=2), **ONE, name="second")) == (10, 10, 0, {"small"})
    assert golden_digest(second) == golden_digest(first)
