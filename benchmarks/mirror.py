"""What the MLflow mirror costs: a study of 40 trials x 16 folds with a real `mlflow server`, and without.

    python benchmarks/mirror.py

Prints the CPU-seconds of the mirror's process (the target: 6, and 0.1 a trial) and the study's wall time in turns.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

from search_spaces.study_file import load_study
from study.planning import prepared_study
from study.scheduling import driver, serial_executor
from study.tracking.mirror_process import Place, mirrored
from study.tracking.server import served

TURNS = 2
STUDY = """
name: NAME
dataset: {reader: synthetic, options: {subjects: 16, clips: 3}}
baseline: {regions: face, frames: 6, crop: 24, kernel_time: 3, filters: 4, hidden: 8, epochs: 3, momentum: 0.9}
stages:
  ablate:
    design: one_at_a_time
    seeds: 5
    vary: {depth: [2], filters: [6, 8], hidden: [16], dropout: [0.0, 0.2], learning_rate: [0.02]}
    controls: []
"""


def main() -> None:
    os.environ["MLFLOW_LOGGING_LEVEL"] = "WARNING"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        store = root / "server"
        store.mkdir()
        to = Place(f"sqlite:///{store}/mlflow.db", store / "artifacts")
        make(to.uri)
        run(root, "warm", None)
        with served(root, to, 5123) as address:
            for turn in range(TURNS):
                without, _ = run(root, f"without-{turn}", None)
                wall, cpu = run(root, f"with-{turn}", address)
                print(f"turn {turn}: without {without:.1f} s, with {wall:.1f} s; mirror {cpu:.1f} CPU-s", flush=True)


def make(uri: str) -> None:
    """An empty store: `served` refuses to make one."""
    code = f"from mlflow import MlflowClient; MlflowClient({uri!r}).search_experiments()"
    subprocess.run([sys.executable, "-c", code], check=True, stderr=subprocess.DEVNULL)


def run(root: Path, name: str, address: str | None) -> tuple[float, float]:
    """Wall seconds of a study from its first trial to the mirror's end, and CPU-seconds of the processes that ended.

    In a storage of its own: folds that another study of it has would be copied.
    """
    file = root / f"{name}.yaml"
    file.write_text(STUDY.replace("NAME", name))
    study = prepared_study.prepare(load_study(file, {"storage": str(root / name)}), file.read_text())
    clips = prepared_study.load_clips(study)
    before, began = children(), time.perf_counter()
    with driver.begun(study, clips) as ledger, mirrored(study.folder, address) if address else nullcontext() as tail:
        assert len(study.plan.arms) * 5 == 40
        driver.train(study, clips, ledger, serial_executor.serial)
    wall = time.perf_counter() - began
    if tail:
        print(tail.summary())
    return wall, children() - before


def children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
