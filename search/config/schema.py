"""YAML and overrides in, one frozen object out; whatever is wrong with them is one line."""

import hashlib
import math
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from agents.settings import AgentConfig, PlaybookConfig
from search.config.abilities import abilities_of
from search.config.resources import TrialResources
from search.config.services import OptunaConfig, TrackingConfig
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
    """A model, and how it is trained on ground truth. The strong model's also trains the naive baseline."""

    model: Annotated[ModelConfig, Field(description="The model, of kind `hub` or `toy`.")]
    student: Annotated[
        StudentConfig,
        Field(discriminator="kind", description="Which of its weights are trained: `full` or `lora`."),
    ] = Full()
    optim: Annotated[Adamw, Field(description="The optimizer and its schedule.")]


class BaselineConfig(Frozen):
    """The weak floor and the ceiling, between which PGR is measured."""

    seeds: Annotated[
        int,
        Field(
            ge=2,
            le=64,
            description="How often the weak supervisor and the ceiling are trained, each time with a new "
            "seed.",
        ),
    ] = 5
    allow_unclear_gap: Annotated[
        bool,
        Field(
            description="Search even if the ceiling is not two standard errors above the weak floor on the "
            "search split. PGR then says little; without any gap a run is refused all the same."
        ),
    ] = False


Sampler = Literal["surrogate", "tpe", "gp"]


class SearchConfig(Frozen):
    """How much is searched, and by which rules."""

    trials: Annotated[int, Field(ge=1, le=100_000, description="Methods to try.")]
    round_trials: Annotated[
        int, Field(ge=1, le=100_000, description="Trials of a round, after which the next proposal is due.")
    ]
    coarsen: Annotated[
        float,
        Field(
            ge=0,
            le=0.5,
            description="Grid, in PGR, to which scores on the search split are rounded before anybody sees "
            "them. 0 does not round.",
        ),
    ] = 0.0
    effort: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="Training budget of the search: the share of the seconds that training every trial "
            "to the end would take. Seconds are predicted, and corrected by what trials take.",
        ),
    ] = 0.25
    max_hours: Annotated[
        Annotated[float, Field(gt=0, le=1_000_000)] | None,
        Field(
            description="Training budget of the search in hours of training, summed over its trials; takes "
            "the place of `effort`. With a GPU for each trial these are GPU-hours. null: `effort` decides."
        ),
    ] = None
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
    pruning: Annotated[PruningConfig, Field(description="When a trial is stopped at a rung.")] = (
        PruningConfig()
    )
    promotion: Annotated[PromotionConfig, Field(description="Which trial a free worker trains next.")] = (
        PromotionConfig()
    )
    allocation: Annotated[AllocationConfig, Field(description="Which branches may offer new trials.")] = (
        AllocationConfig()
    )


class ReplicationConfig(Frozen):
    """The best methods of the search are trained on further seeds, before the finalists are chosen."""

    methods: Annotated[
        Annotated[int, Field(ge=1, le=1000)] | None,
        Field(
            description="Methods that get a second seed. Half of them get a third, a quarter a fourth, up to "
            "`seeds`. null: the square root of 2 × `search.trials`, such as 12 for 72 trials."
        ),
    ] = None
    seeds: Annotated[
        int,
        Field(
            ge=1,
            le=64,
            description="Most seeds of a method, the search's own included. 1 replicates nothing.",
        ),
    ] = 4


class ConfirmConfig(Frozen):
    """The finalists are trained on fresh seeds and graded on the test split, beside the naive baseline."""

    finalists: Annotated[
        int, Field(ge=1, le=20, description="Methods that are confirmed, the naive one aside.")
    ] = 3
    seeds: Annotated[int, Field(ge=2, le=64, description="Fresh seeds for each finalist and for naive.")] = 5


class RunConfig(Frozen):
    """Everything that decides a run."""

    name: Annotated[
        str,
        Field(
            pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$",
            description="Name of the run: its directory is runs/NAME-TIME.",
        ),
    ]
    seed: Annotated[
        int,
        Field(
            ge=0,
            le=10_000,
            description="Seed of the run. Runs with different seeds have no trial's seed in common.",
        ),
    ] = 0
    task: Annotated[
        ToyTask | DatasetTask,
        Field(
            discriminator="kind",
            description="The examples and their four splits, of kind `toy` or `dataset`.",
        ),
    ]
    weak: Annotated[LearnerConfig, Field(description="The weak supervisor.")]
    strong: Annotated[LearnerConfig, Field(description="The strong student; on ground truth, the ceiling.")]
    intermediates: Annotated[
        tuple[ModelConfig, ...],
        Field(
            max_length=4,
            description="Models between weak and strong in size, weakest first, for methods that bootstrap. "
            "Each is written as `weak.model` is.",
        ),
    ] = ()
    baselines: Annotated[BaselineConfig, Field(description="The weak floor and the ceiling.")] = (
        BaselineConfig()
    )
    engine: Annotated[EngineConfig, Field(description="How DeepSpeed trains.")] = EngineConfig()
    agent: Annotated[
        AgentConfig, Field(description="Who proposes methods, of kind `playbook`, `claude` or `replay`.")
    ] = PlaybookConfig()
    search: Annotated[SearchConfig, Field(description="How much is searched, and by which rules.")]
    replication: Annotated[ReplicationConfig, Field(description="Further seeds for the best methods.")] = (
        ReplicationConfig()
    )
    confirm: Annotated[ConfirmConfig, Field(description="Finalists on fresh seeds and the test split.")] = (
        ConfirmConfig()
    )
    trial: Annotated[TrialResources, Field(description="What a trial may use of the cluster.")] = (
        TrialResources()
    )
    tracking: Annotated[TrackingConfig, Field(description="What goes to Weights & Biases.")] = (
        TrackingConfig()
    )
    optuna: Annotated[OptunaConfig, Field(description="Where Optuna keeps its studies.")] = OptunaConfig()
    faults: Annotated[
        FaultConfig, Field(description="How many lost workers a run tolerates, and how long it waits.")
    ] = FaultConfig()
    cache: Annotated[
        str,
        Field(description="Folder on each node for pretrained models and trained baselines, shared by runs."),
    ] = "~/.cache/weak-to-strong-search"

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
        """Digest of the settings that decide the outcome; excludes cache, tracking and fault tolerance."""
        return self._digest(exclude_unset=False)

    def has_sha256(self, sha256: str) -> bool:
        """Whether a run with this digest began with these settings.

        A run of an earlier version did not know the settings that were added since: its config.yaml names all
        that it knew, so the digest of the named ones counts too.
        """
        return sha256 in (self.sha256, self._digest(exclude_unset=True))

    def _digest(self, *, exclude_unset: bool) -> str:
        settings = self.model_dump_json(exclude={"cache", "tracking", "faults"}, exclude_unset=exclude_unset)
        return hashlib.sha256(settings.encode()).hexdigest()

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
