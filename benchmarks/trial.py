"""A whole trial against the code a researcher writes today, decoding included: CPU-seconds of 100 epochs of LOSO.

    python -m benchmarks.trial [--repetitions 5] [--precision float32]

48 videos of 150 frames, 640 x 480, 8 subjects, the paper's network on SMIC (setting b of loso_epoch.py). The rival
decodes in the Dataset (decord, resized as it decodes), has a DataLoader of 2 workers, and trains fold after fold with
nn.Conv3d. Measured in turns are an epoch of one fold of the rival; an epoch of a group of folds here, and what a trial
has to do once: decode, cut, sample. All else is multiplication. Seconds are CPU-seconds of a process and its children.
"""

import argparse
import resource
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

from benchmarks import machine, plain
from benchmarks.decode import ENCODERS, encode, remux
from search_spaces.config import TrialConfig
from study.data.cache import store
from study.data.clips import CLIP_INDEX, ClipIndex
from study.models.folded_network import FoldedNetwork
from study.models.geometry import fold_group
from study.system.memory import tune_malloc
from study.training.protocol import loso
from study.training.train import Material, fit

CLIPS, FRAMES, SUBJECTS, EPOCHS = 48, 150, 8, 100
FACE = {"face_left": 180, "face_top": 60, "face_width": 280, "face_height": 340}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--precision", default="float32")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(machine.describe())
    with tempfile.TemporaryDirectory() as name:
        index = videos(Path(name))
        config = replace(TrialConfig(), precision=given.precision, epochs=1)
        rival = usual(config, index)
        tune_malloc()  # after the rival has its networks; it runs in the same process, and profits
        clips = store.load(index, ("face",), Path(name) / "warm", processes=1)
        once, epoch, theirs = [], [], []
        group = loso(clips, 0)[: fold_group(config, 3, 2 * 2**30, "cpu", SUBJECTS)]
        names = [(fold.seed, fold.held_out) for fold in group]
        network = FoldedNetwork(config, 3, names)
        for turn in range(given.repetitions):
            theirs.append(seconds(rival))
            target = Path(name) / f"cache{turn}"
            decoded = seconds(lambda target=target: store.load(index, ("face",), target, processes=1))
            made: list[Material] = []
            sampled = seconds(lambda made=made: made.append(Material(config, clips, group, "cpu")))
            once.append(decoded + sampled * SUBJECTS / len(group))
            epoch.append(seconds(lambda made=made: fit(network, made[0], config)) / len(group))
    ratios = [EPOCHS * SUBJECTS * a / (b + EPOCHS * SUBJECTS * c) for a, b, c in zip(theirs, once, epoch, strict=True)]
    a, b, c = map(statistics.median, (theirs, once, epoch))
    print(f"usual: {a:.2f} s an epoch of a fold, {EPOCHS * SUBJECTS * a:.0f} s a trial of {SUBJECTS} folds")
    print(
        f"losolab, {given.precision}: {b:.2f} s once, {c:.3f} s an epoch of a fold (groups of {len(group)}), "
        f"{b + EPOCHS * SUBJECTS * c:.0f} s a trial"
    )
    print(f"median ratio {statistics.median(ratios):.1f} (from {min(ratios):.1f} to {max(ratios):.1f})")


def seconds(work: Callable[[], object]) -> float:
    """CPU-seconds of this process and of the children that it waited for."""
    before = used()
    work()
    return used() - before


def used() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


class Videos(Dataset[tuple[torch.Tensor, int]]):
    """A clip is decoded whenever it is asked for."""

    def __init__(self, config: TrialConfig, index: ClipIndex, rows: np.ndarray) -> None:
        self.config, self.rows = config, [index.table.slice(int(row), 1).to_pylist()[0] for row in rows]
        self.root, self.classes = index.root, index.classes

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        import decord

        row, side = self.rows[number], self.config.crop
        video = decord.VideoReader(str(self.root / row["source"]), width=side, height=side, num_threads=1)
        chosen = np.linspace(0, len(video) - 1, self.config.frames).round().astype(int)
        frames = video.get_batch(chosen).asnumpy().astype(np.float32).mean(axis=3)
        return torch.from_numpy((frames - 127) / 64)[None], self.classes.index(row["label"])


def usual(config: TrialConfig, index: ClipIndex) -> Callable[[], None]:
    """An epoch of one fold."""
    subjects = np.array(index.table["subject"].to_pylist())
    videos = Videos(config, index, np.flatnonzero(subjects != subjects[0]))
    loader = DataLoader(videos, batch_size=config.batch_size, shuffle=True, num_workers=2)
    network = plain.Network(config, 3)
    optimiser = torch.optim.SGD(network.parameters(), config.learning_rate)

    def epoch() -> None:
        for pixels, labels in loader:
            optimiser.zero_grad()
            F.cross_entropy(network({"face": pixels}), labels).backward()
            optimiser.step()

    return epoch


def videos(folder: Path) -> ClipIndex:
    """Three textures that move, in three codecs; the other files hold the same frames under another title."""
    originals = [encode(folder / f"o{n}{suffix}", n, *rest, FRAMES) for n, (suffix, *rest) in enumerate(ENCODERS)]
    blank = {field.name: None for field in CLIP_INDEX}
    rows = []
    for number in range(CLIPS):
        name = f"clip{number:03}"
        source = remux(originals[number % len(originals)], folder / name, name).name
        own = {"clip_id": name, "dataset": "textures", "subject": f"s{number % SUBJECTS}", "label": "abc"[number % 3]}
        rows.append(blank | own | {"onset": 0, "offset": FRAMES - 1, "source": source} | FACE)
    rows.sort(key=lambda row: (row["subject"], row["clip_id"]))
    return ClipIndex(pa.Table.from_pylist(rows, CLIP_INDEX), folder, "textures", ("a", "b", "c"))


if __name__ == "__main__":
    main()
