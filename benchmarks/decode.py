"""The cache against decord alone, and against the training that it feeds: 160 clips of 100 frames, 640 x 480.

    python benchmarks/decode.py

Prints three ratios: building the cache with 2 processes to decord decoding the same files at full size with 2 processes
(in turns, medians); reading the whole cache back; loading a configuration's tensors to training its smallest trial.
"""

import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import av
import numpy as np
import pyarrow as pa

from search_spaces.config import TrialConfig
from study.data.cache import store
from study.data.clips import CLIP_INDEX, ClipIndex, Clips
from study.data.resize import area_resize

CLIPS, FRAMES, HEIGHT, WIDTH = 160, 100, 480, 640
SUBJECTS = 16
TURNS = 3
REGIONS = ("face", "eyes", "mouth")
FACE = {"face_left": 180, "face_top": 60, "face_width": 280, "face_height": 340}
ENCODERS = (  # of recordings that keep what the camera saw
    (".mp4", "libx264", "yuv420p", {"preset": "fast", "crf": "18"}),
    (".avi", "mjpeg", "yuvj420p", {"qmin": "3", "qmax": "3"}),
    (".avi", "mpeg4", "yuv420p", {"qmin": "3", "qmax": "3"}),
)


def main() -> None:
    from search_spaces.study_file import READY, load_study

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        index = videos(folder)
        building(index, folder)
        clips = reading(index, folder / "cache0")
    for title, config in {
        "the paper's SMIC": TrialConfig(),
        "the default study's baseline": load_study(READY / "default.yaml").baseline_config(),
    }.items():
        loading(title, config, clips)


def building(index: ClipIndex, folder: Path) -> None:
    """Seconds of wall clock and of CPU, in turns."""
    paths = [index.root / source for source in index.table["source"].to_pylist()]
    alone, built = [], []
    for turn in range(TURNS):
        alone.append(seconds(lambda: by_decord_alone(paths)))
        built.append(seconds(lambda turn=turn: store.load(index, REGIONS, folder / f"cache{turn}", processes=2)))
    for kind, name in enumerate(("wall clock", "CPU")):
        ratio = statistics.median(b[kind] / a[kind] for a, b in zip(alone, built, strict=True))
        a, b = (statistics.median(one[kind] for one in times) for times in (alone, built))
        print(f"building, {name}: decord alone {a:.1f} s, cache {b:.1f} s; median ratio of {TURNS} turns {ratio:.2f}")


def reading(index: ClipIndex, folder: Path) -> Clips:
    found: list[Clips] = []
    times = [seconds(lambda: found.append(store.load(index, REGIONS, folder)))[0] for _ in range(5)]
    size = sum(pixels.nbytes for pixels in found[0].pixels.values()) / 2**20
    print(f"reading back: {size:.0f} MiB in {1000 * statistics.median(times):.0f} ms")
    return replace(found[0], pixels={region: pixels.copy() for region, pixels in found[0].pixels.items()})


def loading(title: str, config: TrialConfig, clips: Clips) -> None:
    """The smallest trial has one seed: it loads its tensors once, and trains every group of folds for all epochs."""
    import torch  # here, or every process that decodes imported it, too

    from study.data.sampling import sample
    from study.models.geometry import fold_group
    from study.system.memory import tune_malloc
    from study.training.protocol import loso
    from study.training.train import train

    torch.set_num_threads(1)
    tune_malloc()
    size = fold_group(config, len(clips.classes), 2 * 2**30, "cpu", SUBJECTS)
    group = loso(clips, 0)[:size]
    loads = [seconds(lambda: sample.__wrapped__(clips, config, 0))[1] for _ in range(5)]
    one = seconds(lambda: train(replace(config, epochs=1), clips, group))[1]
    three = seconds(lambda: train(replace(config, epochs=3), clips, group))[1]
    trains = (one + (three - one) / 2 * (config.epochs - 1)) * SUBJECTS / size
    share = statistics.median(loads) / trains
    print(
        f"loading, {title}: {statistics.median(loads):.3f} s of {trains:.1f} s of training (CPU; "
        f"{SUBJECTS} folds, {config.epochs} epochs, from one group of {size} and 3 epochs); {100 * share:.2f} %"
    )


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of wall clock, and of CPU of this process and of those that it waited for."""
    wall, cpu = time.perf_counter(), used()
    work()
    return time.perf_counter() - wall, used() - cpu


def used() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


def by_decord_alone(paths: list[Path]) -> None:
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        assert sum(pool.map(decoded, paths)) == CLIPS * FRAMES


def decoded(path: Path) -> int:
    """Frames of a video, decoded in order at full size, and thrown away."""
    import decord

    video = decord.VideoReader(str(path), num_threads=1)
    return sum(video.next().asnumpy().shape == (HEIGHT, WIDTH, 3) for _ in range(len(video)))


def videos(folder: Path) -> ClipIndex:
    """Nine textures that move, in three codecs; the other files hold the same frames under another title."""
    originals = [
        encode(folder / f"original{number}{ENCODERS[number % 3][0]}", number, *ENCODERS[number % 3][1:])
        for number in range(9)
    ]
    blank = {field.name: None for field in CLIP_INDEX}
    rows = []
    for number in range(CLIPS):
        name = f"clip{number:03}"
        source = remux(originals[number % len(originals)], folder / name, name)
        own = {
            "clip_id": name,
            "dataset": "textures",
            "subject": f"s{number % SUBJECTS:02}",
            "label": "abc"[number % 3],
        }
        rows.append(blank | own | {"onset": 0, "offset": FRAMES - 1, "source": source.name} | FACE)
    rows.sort(key=lambda row: (row["subject"], row["clip_id"]))
    return ClipIndex(pa.Table.from_pylist(rows, CLIP_INDEX), folder, "textures", ("a", "b", "c"))


def encode(path: Path, seed: int, encoder: str, pixels: str, options: dict[str, str], frames: int = FRAMES) -> Path:
    """A texture that moves, with a sensor's noise."""
    draw = np.random.default_rng(seed)
    coarse = draw.integers(30, 226, (1, 30, 40), dtype=np.uint8).repeat(32, 1).repeat(32, 2)
    texture = area_resize(coarse, (HEIGHT + 60, WIDTH + 60))[0].astype(np.int16)
    with av.open(str(path), "w") as container:
        video = container.add_stream(encoder, rate=100, options=options)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, pixels
        for at in range(frames):
            x, y = at * 2 % 60, at % 60
            noisy = texture[y : y + HEIGHT, x : x + WIDTH] + draw.normal(0, 3, (HEIGHT, WIDTH))
            frame = av.VideoFrame.from_ndarray(noisy.clip(0, 255).astype(np.uint8), format="gray")
            container.mux(video.encode(frame.reformat(format=pixels)))
        container.mux(video.encode())
    return path


def remux(source: Path, stem: Path, title: str) -> Path:
    target = stem.with_suffix(source.suffix)
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        new.metadata["title"] = title
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    return target


if __name__ == "__main__":
    main()
