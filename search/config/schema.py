"""YAML and overrides in, one frozen object out; whatever is wrong with them is one line."""

import hashlib
import math
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from agents.settings import AgentConfig, PlaybookConfig
from search.config.abilities import abilities_of
from search.config.resources import TrialResources
from search.policy.allocation import AllocationConfig
from search.policy.faults import FaultConfig
from search.policy.promotion import PromotionConfig
from search.policy.pruning import PruningConfig
from trainers.component import Frozen
from trainers.components.optim import Adamw
from trainers.components.students import Full, StudentConfig
from trainers.data.settings import DatasetTask, ToyTask
from trainers.method import Abilities, Method
from trainers.models.settings import ModelConfig
from trainers.training.settings import EngineConfig


class LearnerConfig(Frozen):
    """A model and how it is trained on ground truth; for the strong one also how the naive baseline is."""

    model: ModelConfig
    student: Annotated[StudentConfig, Field(discriminator="kind")] = Full()
    optim: Adamw


class BaselineConfig(Frozen):
    """How often the weak supervisor and the ceiling are trained, each with a seed of its own."""

    seeds: Annotated[int, Field(ge=2, le=64)] = 5


Sampler = Literal["surrogate", "tpe", "gp"]


class SearchConfig(Frozen):
    """How much is searched.

    trials: methods that are tried. round_trials: trials before the next proposal is asked for.
    effort: full trainings for each trial: trials * effort of them is what the search trains, shared out by
        promotion; more only as far as it takes to complete as many trials as are to be replicated.
    coarsen: the grid that PGR on the search split is rounded to before anyone sees it, 0 for none.
    """

    trials: Annotated[int, Field(ge=1, le=100_000)]
    round_trials: Annotated[int, Field(ge=1, le=100_000)]
    coarsen: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    effort: Annotated[float, Field(gt=0, le=1)] = 0.25
    sampler: Annotated[
        Sampler,
        Field(
            description=(
                "What draws the numbers of a branch's next method. surrogate: many random draws, half of them"
                " near the branch's best method, compared by the surrogate. tpe: Optuna's TPESampler"
                " (multivariate, group, constant_liar). gp: Optuna's GPSampler: it learns from completed"
                " trials alone, and draws at random until a branch has ten; parameters that only some of"
                " them have stay random. Allocation and promotion are the same with all three."
            )
        ),
    ] = "surrogate"
    pruning: PruningConfig = PruningConfig()
    promotion: PromotionConfig = PromotionConfig()
    allocation: AllocationConfig = AllocationConfig()


class ReplicationConfig(Frozen):
    """How many of the best methods get a second seed; half of them a third, and so on up to `seeds`.

    methods: null for the square root of twice `search.trials`: the best of more trials is a luckier one.
    """

    methods: Annotated[int, Field(ge=1, le=1000)] | None = None
    seeds: Annotated[int, Field(ge=1, le=64)] = 4


class ConfirmConfig(Frozen):
    """How many finalists meet the test split, and on how many fresh seeds each."""

    finalists: Annotated[int, Field(ge=1, le=20)] = 3
    seeds: Annotated[int, Field(ge=2, le=64)] = 5


class TrackingConfig(Frozen):
    """What Weights & Biases is told: nothing, files in the run directory to be sent later, or a server.

    offline is the default: it needs no key and no network, and nothing leaves the run directory.
    sweep: the id of an existing sweep to use instead of a new one; offline it is the only way to have one.
    patience_s: how long the end of a run waits, at most, for what W&B has not been told yet.
    """

    kind: Annotated[
        Literal["off", "offline", "online"],
        BeforeValidator(lambda given: "off" if given is False else given),  # as YAML reads a plain off
    ] = "offline"
    project: Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$")] = "weak-to-strong-search"
    entity: Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$")] | None = None
    sweep: Annotated[str, Field(pattern=r"^[a-z0-9]{1,64}$")] | None = None
    patience_s: Annotated[float, Field(ge=0, le=86_400)] = 15.0


class OptunaConfig(Frozen):
    """Where Optuna keeps its studies: None for a file in the run directory, or a database's URL.

    A run stays with the storage that it began with. A password comes from the environment, as ${NAME}:
    config.yaml keeps what is written here.
    """

    storage: str | None = None

    def model_post_init(self, _context: object) -> None:
        """Refuse what is no URL, and a password in it; neither is repeated in the message."""
        if self.storage is None:
            return
        if not re.match(r"[a-z0-9]+(\+[a-z0-9]+)?://", self.storage):
            raise ValueError("storage must be a database's URL, such as postgresql://me@host/db")
        if _PASSWORD.search(self.storage):
            raise ValueError(
                "storage must name its password's variable, as in postgresql://me:${PGPASSWORD}@host/db"
            )


_PASSWORD = re.compile(r"//[^/@]*:(?!\$\{\w+\}@)[^/@]*@|[?&](password|passwd|pwd)=(?!\$\{\w+\})")


class RunConfig(Frozen):
    """Everything that decides a run."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$")]
    seed: Annotated[int, Field(ge=0, le=10_000)] = 0
    task: Annotated[ToyTask | DatasetTask, Field(discriminator="kind")]
    weak: LearnerConfig
    strong: LearnerConfig
    intermediates: Annotated[tuple[ModelConfig, ...], Field(max_length=4)] = ()
    baselines: BaselineConfig = BaselineConfig()
    engine: EngineConfig = EngineConfig()
    agent: AgentConfig = PlaybookConfig()
    search: SearchConfig
    replication: ReplicationConfig = ReplicationConfig()
    confirm: ConfirmConfig = ConfirmConfig()
    trial: TrialResources = TrialResources()
    tracking: TrackingConfig = TrackingConfig()
    optuna: OptunaConfig = OptunaConfig()
    faults: FaultConfig = FaultConfig()
    cache: str = "~/.cache/weak-to-strong-search"

    @property
    def naive(self) -> Method:
        """The plain baseline: hard weak labels, cross-entropy, and what the ceiling is trained with."""
        return Method(student=self.strong.student, optim=self.strong.optim)

    @property
    def abilities(self) -> Abilities:
        """What methods can count on."""
        return abilities_of(self.strong.model, self.engine, self.trial, len(self.intermediates))

    @property
    def cache_dir(self) -> Path:
        """Where pretrained models and baselines are kept between runs."""
        return Path(self.cache).expanduser()

    @property
    def sha256(self) -> str:
        """Digest of the settings that decide the outcome: not of the cache, who is told, what is borne."""
        return hashlib.sha256(
            self.model_dump_json(exclude={"cache", "tracking", "faults"}).encode()
        ).hexdigest()

    @property
    def first_seed(self) -> int:
        """The seeds of this run start here; those of runs with another `seed` lie elsewhere."""
        return self.seed * 10_000

    def search_seed(self) -> int:
        """The seed of every search trial, so that trials differ by method only."""
        return self.first_seed

    @property
    def replicated(self) -> int:
        """How many methods get a second seed."""
        return self.replication.methods or math.ceil(math.sqrt(2 * self.search.trials))

    def replication_seeds(self) -> list[int]:
        """The further seeds of the best methods; supervisors take turns."""
        return [self.first_seed + i for i in range(1, self.replication.seeds)]

    def confirm_seeds(self) -> list[int]:
        """Fresh seeds for the confirmation, spread evenly over the weak supervisors."""
        fresh = self.first_seed + 100 * self.baselines.seeds
        return [fresh + i for i in range(self.confirm.seeds)]
