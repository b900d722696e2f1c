"""A prepared study, trained in this process."""

from study.planning.prepared_study import Study, load_clips
from study.scheduling import driver, serial_executor


def train(study: Study, executor=None, watch=driver.UNWATCHED, mixed=False, retry_failed=False) -> int:
    """Decode and train it, serially if no executor is given; returns how many trials failed."""
    clips = load_clips(study)
    with driver.begun(study, clips, mixed=mixed) as ledger:
        run = executor or serial_executor.serial
        return driver.train(study, clips, ledger, run, watch, retry_failed=retry_failed)
