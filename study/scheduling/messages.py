"""Messages between the driver and the process in which Ray Tune runs. Only what `Wants` is answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from search_spaces.spec import Resources
from study.trials.network_sources import Sources
from study.trials.trial import Done, FoldResult, Trial


@dataclass(frozen=True)
class WantsClips:
    """Tune's process asks for the study's clips."""


@dataclass(frozen=True)
class WantsTrial:
    """Tune's process asks for a trial. The driver answers with a Task, NotYet or AllGivenOut; or asks WhichDevice."""


@dataclass(frozen=True)
class TrainsOn:
    """The resources of a trial, now that it is known whether the cluster has GPUs."""

    resources: Resources


@dataclass(frozen=True)
class Trained:
    """A block of a trial's folds."""

    trial: Trial
    folds: list[FoldResult]


@dataclass(frozen=True)
class Failed:
    """A trial raised; why, as a traceback."""

    trial: Trial
    why: str


@dataclass(frozen=True)
class Lost:
    """A trial's process died; the last words of who saw it die."""

    trial: Trial
    last_words: str = ""


@dataclass(frozen=True)
class NotBegun:
    """Ray could not start a process for a trial."""

    trial: Trial


News = Trained | Failed | Lost | NotBegun


@dataclass(frozen=True)
class Refused:
    """What the user has to mend: Tune's process ends."""

    problems: Sequence[str]


@dataclass(frozen=True)
class Ended:
    """All trials have ended, and so has Tune."""


@dataclass(frozen=True)
class Task:
    """A trial, the folds of it that the ledger has, and the sources of its own network."""

    trial: Trial
    done: Mapping[str, Done] = field(repr=False)
    sources: Mapping[str, Sources] = field(repr=False)


@dataclass(frozen=True)
class NotYet:
    """The next trial is not decided before another ends."""


@dataclass(frozen=True)
class AllGivenOut:
    """There is no further trial, unless one that runs is lost."""


@dataclass(frozen=True)
class WhichDevice:
    """The driver asks what the workers train on, while Tune's process waits for a trial."""


Answer = Task | NotYet | AllGivenOut | WhichDevice
