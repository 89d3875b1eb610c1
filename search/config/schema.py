"""YAML and overrides in, one frozen object out; whatever is wrong with them is one line."""

import hashlib
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from agents.language.proposal import Branch
from agents.settings import AgentConfig, ClaudeConfig, PlaybookConfig
from search.config.abilities import abilities_of, known_without_a_model
from search.config.learners import LearnerConfig, SupervisorConfig
from search.config.own import (
    FromRuns,
    FromRunsMethods,
    FromRunsScores,
    OwnBranches,
    OwnMethods,
    branches_of,
    without_search,
)
from search.config.resources import TrialResources
from search.config.search import SearchConfig
from search.config.seeds import BaselineConfig, ConfirmConfig, ReplicationConfig
from search.config.services import OptunaConfig, ReportConfig, TrackingConfig
from search.config.tasks import HiddenTask, NamedTask, SearchedTask, with_first_task
from search.policy.faults import FaultConfig
from trainers.component import Frozen
from trainers.components.weak_labels import SEEDS_OF_A_RUN, supervisor_of
from trainers.data.settings import DatasetTask, ToyTask
from trainers.method import Abilities, Method
from trainers.models.settings import ModelConfig
from trainers.training.settings import EngineConfig

MOST_INTERMEDIATES = 4  # models between the weak and the strong one
CONFIRMATION_TURN = 40  # beyond any turn of search and replicates: at most 64 seeds of 2 supervisors


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
            description="The examples and their four splits, of kind `toy` or `dataset`. With `tasks` it is "
            "the first of them.",
        ),
    ]
    weak: Annotated[SupervisorConfig, Field(description="The weak supervisor.")]
    strong: Annotated[LearnerConfig, Field(description="The strong student; on ground truth, the ceiling.")]
    intermediates: Annotated[
        tuple[ModelConfig, ...],
        Field(
            max_length=MOST_INTERMEDIATES,
            description="Models between weak and strong in size, weakest first, for methods that bootstrap. "
            "Each is written as `weak.model` is.",
        ),
    ] = ()
    tasks: Annotated[
        tuple[SearchedTask, ...],
        Field(
            max_length=16,
            description="Several tasks to search on, in the place of `task`: a trial is trained on one after "
            "the other, and its PGR is `search.objective` over all of them. Tasks without models of their "
            "own have the first one's.",
        ),
    ] = ()
    hidden: Annotated[
        tuple[HiddenTask, ...],
        Field(
            max_length=16,
            description="Tasks that the search never sees. Finalists and the naive baseline are confirmed on "
            "them too, and the outcome leads with them.",
        ),
    ] = ()
    baselines: Annotated[BaselineConfig, Field(description="The weak floor and the ceiling.")] = (
        BaselineConfig()
    )
    engine: Annotated[EngineConfig, Field(description="How trainings run.")] = EngineConfig()
    agent: Annotated[
        AgentConfig, Field(description="Who proposes methods, of kind `playbook`, `claude` or `replay`.")
    ] = PlaybookConfig()
    branches: Annotated[
        OwnBranches,
        Field(
            description="Branches of your own, as records of a proposal; the first round begins with them. "
            "`run --branch FILE` adds one from a file."
        ),
    ] = ()
    from_runs: FromRuns = ()
    from_runs_methods: FromRunsMethods = 4
    from_runs_scores: FromRunsScores = 128
    methods: Annotated[
        OwnMethods,
        Field(
            description="Methods to train and confirm without a search: names of the playbook, or records "
            "with a `name` and the slots that differ from naive's. The settings of `search`, and how many "
            "methods are replicated and confirmed, follow from them."
        ),
    ] = ()
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
    report: Annotated[ReportConfig, Field(description="What report.html may show.")] = ReportConfig()
    faults: Annotated[
        FaultConfig, Field(description="How many lost workers a run tolerates, and how long it waits.")
    ] = FaultConfig()
    cache: Annotated[
        str,
        Field(description="Folder on each node for pretrained models and trained baselines, shared by runs."),
    ] = "~/.cache/weak-to-strong-search"

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, settings: Any) -> Any:
        """What follows from `tasks` and from `methods`."""
        if isinstance(settings, dict) and _some(settings.get("tasks")):
            settings = with_first_task(settings)
        if isinstance(settings, dict) and _some(settings.get("methods")):
            settings = without_search(settings)
        return settings

    @property
    def own_branches(self) -> tuple[Branch, ...]:
        """The branches that the config brings along: `branches`, or one for each of `methods`."""
        return branches_of(self.methods, self.naive) if self.methods else self.branches

    @property
    def naive(self) -> Method:
        """The plain baseline: hard weak labels, cross-entropy, and what the ceiling is trained with."""
        return Method(student=self.strong.student, optim=self.strong.optim)

    @property
    def abilities(self) -> Abilities:
        """What methods can count on: on each of the tasks that are searched."""
        found = [one._own_abilities for one in self.searched.values()]
        return found[0].model_copy(
            update={"prior": all(one.prior for one in found), "panel": all(one.panel for one in found)}
        )

    def offers_as_much_on(self, hidden: HiddenTask) -> bool:
        """Whether methods can count on what they count on in the search; False if a model must be asked."""
        there = self.on(hidden)
        return all(
            (one.strong.model, one.task.has_pairs, one.weak.panel.size)
            == (there.strong.model, there.task.has_pairs, there.weak.panel.size)
            for one in self.searched.values()
        )

    def offer_is_known_on(self, hidden: HiddenTask) -> bool:
        """Whether no model must be asked which methods of the search can run on a hidden task."""
        there = self.on(hidden)
        return self.offers_as_much_on(hidden) or known_without_a_model(there.strong.model, there.trial)

    @property
    def _own_abilities(self) -> Abilities:
        return abilities_of(
            self.strong.model,
            self.engine,
            self.trial,
            len(self.intermediates),
            pairs=self.task.has_pairs,
            panel=self.weak.panel.size > 1,
        )

    @property
    def cache_dir(self) -> Path:
        """Where pretrained models and baselines are kept between runs."""
        return Path(self.cache).expanduser()

    @property
    def sha256(self) -> str:
        """Digest of the settings that decide the outcome: not those of cache, tracking, report and faults."""
        return self._digest(exclude_unset=False)

    def has_sha256(self, sha256: str) -> bool:
        """Whether a run with this digest began with these settings.

        A run of an earlier version did not know the settings that were added since: its config.yaml names all
        that it knew, so the digest of the named ones counts too.
        """
        return sha256 in (self.sha256, self._digest(exclude_unset=True))

    def _digest(self, *, exclude_unset: bool) -> str:
        settings = self.model_dump_json(
            exclude={"cache", "tracking", "faults", "report"}, exclude_unset=exclude_unset
        )
        return hashlib.sha256(settings.encode()).hexdigest()

    def model_post_init(self, _context: object) -> None:
        """Reject what cannot be: engine, methods, too many rows for supervisors, tasks unlike each other."""
        self.engine.runs_on(self.trial.processes)
        if self.branches and self.methods:
            raise ValueError("branches are searched and methods are not: leave one of the two out")
        if self.from_runs and self.methods:
            raise ValueError(
                "from_runs begins a search and methods are not searched: leave one of the two out"
            )
        _ = self.own_branches
        if not self.tasks:
            self._require_rows("task")
        for place, tasks in (("tasks", self.tasks), ("hidden", self.hidden)):
            for i, one in enumerate(tasks):
                self.on(one)._require_rows(f"{place}.{i}.task")
        names = [one.name for one in (*self.tasks, *self.hidden)]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(
                f"{'tasks and ' if self.tasks else ''}hidden: two tasks are named {twice!r}; give each a "
                "name of its own"
            )
        self._require_alike()

    def _require_alike(self) -> None:
        """Reject searched tasks of which a method could not be trained on all."""
        for i, one in enumerate(self.searched.values()):
            if one.task.has_pairs != self.task.has_pairs:
                kinds = "pairs of responses", "single texts"
                here, first = kinds[not one.task.has_pairs], kinds[not self.task.has_pairs]
                raise ValueError(
                    f"tasks.{i}: {self.tasks[i].name} has {here} and {self.tasks[0].name} {first}: search on "
                    "tasks of one kind, or make it a hidden task"
                )
            if one.weak.panel.size != self.weak.panel.size:
                raise ValueError(
                    f"tasks.{i}.weak.panel.size: {one.weak.panel.size}, and {self.weak.panel.size} for the "
                    "first task: give the supervisors of all tasks as many models"
                )

    def _require_rows(self, place: str) -> None:
        rows, split = self.baselines.own_rows, self.task.splits.weak_train
        if rows is not None and rows * self.weak_models > split:
            size = self.weak.panel.size
            each = f", each of the {size} models of a panel" if size > 1 else ""
            raise ValueError(
                f"baselines.own_rows {rows} for {self.supervisors} weak supervisors ({self.baselines.seeds} "
                f"of baselines.seeds, {self.confirm.fresh_supervisors} of confirm.supervisors{each}) need "
                f"{rows * self.weak_models} examples, but {place}.splits.weak_train has {split}: set it to "
                f"at most {split // self.weak_models}, or enlarge weak_train"
            )

    def on(self, task: NamedTask | None) -> "RunConfig":
        """The config with one of its tasks alone, its supervisor and its student in the place of the first's.

        None: the search's own, this config.
        """
        if task is None:
            return self
        changed = {
            "task": task.task,
            "weak": task.weak or self.weak,
            "strong": task.strong or self.strong,
            "tasks": (),
            "hidden": (),
        }
        return self.model_copy(update=changed)

    @property
    def searched(self) -> dict[str, "RunConfig"]:
        """The config of each task that the search learns on, by name; of a single one, this by ""."""
        return {task.name: self.on(task) for task in self.tasks} or {"": self}

    @property
    def suggestions(self) -> float:
        """The largest share of draws that the proposer names itself."""
        return self.agent.suggestions if isinstance(self.agent, ClaudeConfig) else 0.0

    @property
    def supervisors(self) -> int:
        """All weak supervisors: first those of the search, then those of the confirmation."""
        return self.baselines.seeds + self.confirm.fresh_supervisors

    @property
    def weak_models(self) -> int:
        """The weak models of all supervisors, in their order."""
        return self.supervisors * self.weak.panel.size

    @property
    def first_seed(self) -> int:
        """The seeds of this run start here; those of runs with another `seed` lie elsewhere."""
        return self.seed * SEEDS_OF_A_RUN

    def supervisor(self, seed: int) -> int:
        """The weak supervisor that a trial with this seed learns from."""
        return supervisor_of(seed, self.supervisors)

    def _seed(self, supervisor: int, turn: int) -> int:
        """A supervisor's seed at a turn; each supervisor has one seed a turn."""
        return self.first_seed + turn * self.supervisors + supervisor

    def search_seed(self, round_: int = 1) -> int:
        """The seed of search trials of branches of this round; see `search.supervisors`."""
        alternates = self.search.supervisors == "alternate"
        return self._seed((round_ - 1) % self.baselines.seeds if alternates else 0, turn=0)

    def replication_seeds(self) -> list[int]:
        """The further seeds of the best methods; the search's supervisors take turns."""
        first = 1 if self.search.supervisors == "alternate" else 0  # turn 0 is the search's then
        return [
            self._seed(i % self.baselines.seeds, first + i // self.baselines.seeds)
            for i in range(1, self.replication.seeds)
        ]

    def confirm_seeds(self) -> list[int]:
        """Fresh seeds for the confirmation, spread evenly over its supervisors."""
        fresh = self.confirm.fresh_supervisors
        return [
            self._seed(self.baselines.seeds + i % fresh, CONFIRMATION_TURN + i // fresh)
            for i in range(self.confirm.seeds)
        ]


def _some(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value)
