import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from study.data.clips import ClipIndex
from study.data.readers import manifest
from study.data.synthetic.dataset import Synthetic
from study.data.synthetic.writer import synthesize

SMALL = Synthetic(subjects=3, clips=4, seed=7)


@pytest.fixture(scope="session")
def spec() -> Synthetic:
    return SMALL


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic dataset as files. Tests that change it copy it first."""
    folder = tmp_path_factory.mktemp("data") / "faces"
    synthesize(folder, SMALL)
    return folder


@pytest.fixture(scope="session")
def index(dataset: Path) -> ClipIndex:
    return manifest.read(dataset, {})


@pytest.fixture(scope="session")
def media() -> Path:
    """Real clips, which are never copied into the repository."""
    folder = Path(__file__).parents[3] / ".." / "shared" / "media"
    if not folder.is_dir():
        pytest.skip(f"the real clips are not here: {folder}")
    return folder


@pytest.fixture(scope="session")
def openface() -> Callable[..., Path]:
    """Write landmarks [frames, 68, 2] as FeatureExtraction does: spaces after the commas, frames from 1."""

    def written(path, points, success=(1, 1, 1, 1, 1)):
        with path.open("w") as file:
            writer = csv.writer(file)
            axes = [f" {axis}_{point}" for axis in "xy" for point in range(68)]
            writer.writerow(["frame", " face_id", " timestamp", " confidence", " success", *axes])
            for number, (own, found) in enumerate(zip(points, success, strict=True), 1):
                writer.writerow([number, " 0", " 0.0", " 0.9", f" {found}", *own[:, 0], *own[:, 1]])
        return path

    return written
