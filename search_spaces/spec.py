"""StudySpec: everything a study file says, as pydantic models."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, Discriminator, Field, Tag, field_validator, model_validator

from search_spaces.config import TrialConfig, resolve
from search_spaces.factor_schema import LevelLists, Levels, ProtocolName, Shorthand, Space, Strict, real, whole
from search_spaces.protocols import LOSO

Stage = Literal["search", "confirm", "ablate"]
Centre = Literal["baseline", "winner"]  # of the stages before: the configuration that arms change
Objective = Literal["uf1", "parameters", "multiply_adds"]
ControlArm = Literal["null", "permuted_labels", "shuffled_labels", "single_frame", "shuffled_time", "capacity"]

MOST_ARMS = 20_000  # of a stage: all are made before it begins
Proposals = Annotated[int, whole(1, 50_000)]
Seeds = Annotated[int, whole(1, 999)]


def _finite(value: Any, place: str = "") -> Any:
    """A reader's options as they are, if the ledger can hold them: it has no name for what is no number."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{place.lstrip('.') or 'options'} is {value}; expected: a finite number")
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, below in parts:
        _finite(below, f"{place}.{name}")
    return value


class Dataset(Strict):
    """Which clips: a reader and what it reads. `options` are the reader's own. `name`: what the report calls them."""

    reader: str = "manifest"
    path: Path | None = None
    options: Annotated[dict[str, Any], AfterValidator(_finite)] = {}
    name: Annotated[str, Field(pattern=r"\S", max_length=100)] | None = None


class Fixed(Strict):
    """What the designs share that name their arms beforehand. Every seed is a trial of its own."""

    seeds: Seeds = 3
    controls: list[ControlArm] = []

    @field_validator("controls", mode="before")
    @classmethod
    def null_is_a_word(cls, controls: Any) -> Any:
        """YAML reads a bare `null` as no value; here it names the null arm."""
        return ["null" if c is None else c for c in controls] if isinstance(controls, list) else controls


Arms = Annotated[dict[str, Levels], Field(max_length=MOST_ARMS)]


class Listed(Fixed):
    """Arms by name."""

    design: Literal["listed"]
    around: Centre = "baseline"
    arms: Annotated[Arms, Field(min_length=1)]


def _some(factors: Shorthand) -> Shorthand:
    if not factors.given():
        raise ValueError("expected: at least one factor and its levels")
    return factors


def _few(factors: LevelLists) -> LevelLists:
    if (cells := math.prod(map(len, factors.given().values()))) > MOST_ARMS:
        raise ValueError(f"expected: levels that make at most {MOST_ARMS} combinations; these make {cells}")
    return factors


class Factorial(Fixed):
    """Every combination of the levels."""

    design: Literal["factorial"]
    around: Centre = "baseline"
    factors: Annotated[LevelLists, AfterValidator(_some), AfterValidator(_few)]


class OneAtATime(Fixed):
    """The baseline with one change an arm: `vary` makes an arm a level, `arms` names changes of several factors.

    Around the winner, each factor in which it differs from the baseline is set back to the baseline's level, too.
    """

    design: Literal["one_at_a_time"]
    around: Centre = "baseline"
    vary: LevelLists = LevelLists()
    arms: Arms = {}

    @model_validator(mode="after")
    def few(self) -> "OneAtATime":
        if (arms := sum(map(len, self.vary.given().values())) + len(self.arms)) > MOST_ARMS:
            raise ValueError(f"expected: levels and arms that make at most {MOST_ARMS} arms; these make {arms}")
        return self


class Top(Fixed):
    """The best configurations of the search before it, and the baseline."""

    design: Literal["top"]
    best: Annotated[int, whole(1, 1000)] = 3


class Race(Strict):
    """When a proposal stops: after `first` or more subjects, hopeless against its opponent with one-sided p.

    The default saves most of those with a mean regret of at most .005 UF1 (benchmarks/race.py: 49 % for .002). Exact
    signed ranks know no p below .1 before the fourth subject.
    """

    p: Annotated[float, real(1e-9, 0.499)] = 0.2
    first: Annotated[int, whole(2, 100_000)] = 4


ChosenBy = Annotated[
    Annotated[float, real(0.1, 0.9, "a share of the subjects", ", or all"), Tag("share")]
    | Annotated[Literal["all"], Tag("all")],
    Discriminator(lambda value: "all" if value == "all" else "share"),
]


class Search(Strict):
    """Configurations proposed by Optuna, after the baseline and the `known`. A trial holds all its seeds.

    With sizes among the `objectives` (UF1 up, sizes down) there is no race. `chosen_by`: the share of the subjects that
    judge, the others are left to test what was chosen; a study that does not say has its own
    (study.planning.choosing_subjects).
    """

    design: Literal["search"]
    proposals: Proposals
    factors: Annotated[Space, AfterValidator(_some)]
    known: list[Levels] = []
    seeds: Seeds = 1
    objectives: Annotated[list[Objective], Field(min_length=1)] = ["uf1"]
    sampler: Literal["tpe", "gp", "qmc", "random"] = "tpe"
    startup: Proposals = 10  # random proposals before TPE and GP begin
    virtual_slots: Annotated[int, whole(1, 10_000)] = 8
    race: Annotated[
        Annotated[Race, Tag("raced")] | Annotated[Literal["none"], Tag("none")],
        Discriminator(lambda value: "raced" if isinstance(value, dict | Race) else "none"),
    ] = Race()
    chosen_by: ChosenBy = "all"

    @model_validator(mode="before")
    @classmethod
    def no_race_among_several(cls, given: Any) -> Any:
        """One that is given is an error; the default is no race."""
        several = isinstance(given, dict) and isinstance(given.get("objectives"), list) and len(given["objectives"]) > 1
        return {"race": "none"} | given if several else given

    @model_validator(mode="after")
    def objectives_begin_with_uf1(self) -> "Search":
        if self.objectives[0] != "uf1" or len(set(self.objectives)) < len(self.objectives):
            raise ValueError("objectives must be uf1, then parameters, multiply_adds or both, each once")
        if len(self.objectives) > 1 and self.race != "none":
            raise ValueError("race must be none where there are several objectives: leave it out")
        return self


Design = Annotated[Listed | Factorial | OneAtATime | Top | Search, Field(discriminator="design")]


def _share(gpu: float) -> float:
    if 0 < gpu < 0.001 or gpu > 1:
        raise ValueError("expected: 0, or a share of a GPU from 0.001 to 1: a trial trains on one")
    return gpu


# Memory in GiB of the models of GPU that Ray tells apart, by its names; of several sizes the smallest.
CARDS = {
    **{"K80": 12, "P4": 8, "P100": 16, "V100": 16, "T4": 16, "A10": 24, "A10G": 24, "L4": 24, "A30": 24, "A40": 48},
    **{"L40": 48, "L40S": 48, "A100": 40, "H100": 80, "H200": 141, "B200": 180, "GEFORCE": 8},
}
UNNAMED = 16  # GiB that a plan takes a GPU to have which nobody named and which is not here


def _card(name: str) -> str:
    if name not in CARDS:
        raise ValueError(f"expected: a model of GPU by Ray's name, one of {', '.join(CARDS)}")
    return name


class Resources(Strict):
    """What a trial is given: CPUs (its threads follow), a share of a GPU, and declared memory in GiB.

    `gpu` left open is 1 where there is a GPU and 0 where there is none. `memory` decides how many folds are trained as
    one network; left open it is 2 GiB on a CPU, and on a GPU nine tenths of the share of its memory. `accelerator`:
    only GPUs of this model. `graphs`: a GPU records an epoch and repeats it, to the same bytes.
    """

    cpu: Annotated[float, real(0.01, 4096)] = 1
    gpu: Annotated[float, real(0, 1024), AfterValidator(_share)] | None = None
    memory: Annotated[float, real(1e-6, 1e5)] | None = None
    accelerator: Annotated[str, AfterValidator(_card)] | None = None
    graphs: bool = True

    @model_validator(mode="after")
    def a_model_is_of_a_gpu(self) -> "Resources":
        if self.accelerator and self.gpu == 0:
            raise ValueError("accelerator names a GPU and gpu is 0: leave one of them out")
        return self

    def where(self, has_gpu: bool) -> "Resources":
        """These resources on a machine or cluster that has a GPU or not."""
        if self.gpu is not None:
            return self
        return self.model_copy(update={"gpu": float(has_gpu or self.accelerator is not None)})

    @property
    def threads(self) -> int:
        """Threads of a trial: its whole CPUs, at least one."""
        return max(1, int(self.cpu))

    @property
    def needs(self) -> dict[str, float]:
        """What a trial takes, by Ray's names; memory in bytes."""
        model = {f"accelerator_type:{self.accelerator}": 0.001} if self.accelerator else {}
        return {"CPU": self.cpu, "GPU": self.gpu or 0, "memory": self.host_memory, **model}

    def slots(self, machine: Mapping[str, float]) -> int:
        """Trials that a machine with these resources, by Ray's names, holds at a time; a share is of one GPU."""
        held = [int(machine.get(name, 0) / amount) for name, amount in self.needs.items() if amount and name != "GPU"]
        if self.gpu:
            held.append(int(machine.get("GPU", 0)) * int(1 / self.gpu + 1e-9))
        return min(held)

    def arithmetic(self) -> dict[str, float | None]:
        """What of the resources decides the last digits: threads, device, and how many folds are one network."""
        return {"threads": self.threads, "gpu": self.gpu, "memory": self.memory}

    @property
    def host_memory(self) -> int:
        """Bytes that a trial is given beside a GPU's."""
        return int((self.memory or 2) * 2**30)

    def card_memory(self, card: float) -> int:
        """Bytes that a trial plans with on a GPU of so many; a tenth of its share is for what torch keeps beside."""
        return self.host_memory if self.memory else int(0.9 * min(1.0, self.gpu or 0) * card)


_SERVERS, _DATABASES = ("http", "https"), ("postgresql", "mysql", "mssql")
_TRACKING = "the address of an MLflow server (http://host:5000), of a database (sqlite:///mlflow.db) or a folder"


def tracking_place(uri: str) -> str:
    """A tracking URI that can be one of MLflow's. Raises ValueError: to learn of it when a study ends is too late."""
    try:
        address = urlsplit(uri)
        whole = address.hostname and (address.port or 1) > 0
    except ValueError as problem:
        raise ValueError(f"{problem}; expected: {_TRACKING}") from None
    kind = address.scheme.partition("+")[0]  # postgresql+psycopg2
    if kind in _SERVERS:
        right = bool(whole)
    elif kind in _DATABASES:
        right = bool(address.netloc or address.path.strip("/"))
    elif kind == "sqlite":
        right = uri.startswith("sqlite:///") and uri != "sqlite:///"
    else:
        right = kind in ("", "file", "databricks", "databricks-uc") and bool(uri.strip())
        right = right and not (kind == "" and ("://" in uri or Path(uri).is_file()))
    if not right:
        raise ValueError(f"expected: {_TRACKING}")
    return uri


def _not_reserved(name: str) -> str:
    """A study's folder lies beside these in the storage."""
    if name.lower() in ("cache", "data", "mlartifacts"):  # some disks do not tell case
        raise ValueError("cache, data and mlartifacts are folders of the storage; give another name")
    return name


def _in_order(stages: dict[Stage, Design]) -> dict[Stage, Design]:
    """Stages run in this order, whatever the file's."""
    return {stage: stages[stage] for stage in get_args(Stage) if stage in stages}


class StudySpec(Strict):
    """A study: its question, data, protocol, baseline and stages."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$"), AfterValidator(_not_reserved)]
    question: str = ""
    notes: list[str] = []  # what a reader must know of the study: plan, run and report say it
    dataset: Dataset
    protocol: ProtocolName = LOSO
    baseline: Levels = Levels()
    stages: Annotated[dict[Stage, Design], Field(min_length=1), AfterValidator(_in_order)]
    equivalence: Annotated[float, real(0.001, 0.2)] = 0.02  # of UF1: smaller differences are of no practical matter
    resources: Resources = Resources()
    storage: Path = Path("studies")
    tracking_uri: str | None = None  # a file's is tried by tracking_place; one that a ledger has goes on

    def baseline_config(self) -> TrialConfig:
        return TrialConfig(**{"protocol": self.protocol, **resolve(self.baseline.given())})

    def design(self, stage: str) -> Design:
        """How a stage's trials are chosen."""
        return {str(name): design for name, design in self.stages.items()}[stage]

    def before(self, stage: str) -> dict[Stage, Design]:
        """The stages before one, in their order."""
        names = list(self.stages)
        return {name: self.stages[name] for name in names[: names.index(stage)]}  # type: ignore[arg-type]

    def identity(self) -> dict[str, Any]:
        """What may not change once the study has begun, beside its data; arms, seeds and proposals may be added."""
        whole = self.model_dump(mode="json", exclude_defaults=True)
        search = {
            stage: {key: part for key, part in design.items() if key != "proposals"}
            for stage, design in whole["stages"].items()
            if design["design"] == "search"
        }
        baseline = self.baseline_config().explicit()
        return {"protocol": self.protocol, "baseline": baseline, "stages": search}
