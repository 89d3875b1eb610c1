"""YAML and overrides in, one frozen object out; whatever is wrong with them is one line."""

import difflib
import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, Field, Tag, ValidationError

from agents.settings import AgentConfig, PlaybookConfig
from search.allocation import AllocationConfig
from search.faults import FaultConfig
from search.promotion import PromotionConfig
from search.pruning import PruningConfig
from search.trial_resources import TrialResources
from trainers.adapters import Full, StudentConfig
from trainers.component import Frozen
from trainers.data import DatasetTask
from trainers.engine import EngineConfig
from trainers.method import Abilities, Method
from trainers.models import ModelConfig
from trainers.optim import Adamw
from trainers.prompts import can_elicit
from trainers.room import room_for
from trainers.toy import ToyTask


class LearnerConfig(Frozen):
    """A model and how it is trained on ground truth; for the strong one also how the naive baseline is."""

    model: ModelConfig
    student: Annotated[StudentConfig, Field(discriminator="kind")] = Full()
    optim: Adamw


class BaselineConfig(Frozen):
    """How often the weak supervisor and the ceiling are trained, each with a seed of its own."""

    seeds: Annotated[int, Field(ge=2, le=64)] = 5


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
        gb = self.trial.room_gb
        return Abilities(
            prior=can_elicit(self.strong.model),
            intermediates=len(self.intermediates),
            room=room_for(self.strong.model, self.engine, gb, self.trial.processes) if gb else None,
        )

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


def load_config(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """The config in a YAML file, with `key.sub=value` overrides applied.

    A task without a seed of its own takes the run's. Raises ValueError, one line naming the place, the value
    and the remedy, for whatever is wrong.
    """
    try:
        settings = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ValueError(f"{path}: there is no such file; see configs/ for examples") from None
    except (OSError, ValueError, yaml.YAMLError) as error:  # ValueError: bytes that are no text, no such date
        raise ValueError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(settings, dict):
        raise ValueError(f"{path}: must be a mapping of settings, got {type(settings).__name__}")
    for override in overrides:
        _override(settings, override)
    task = settings.get("task")
    if isinstance(task, dict):
        task.setdefault("seed", settings.get("seed", 0))
    try:
        return RunConfig.model_validate(settings)
    except ValidationError as error:
        raise ValueError(f"{path}: {_first_problem(error)}") from None


def dump_config(config: RunConfig) -> str:
    """The config as YAML that `load_config` reads back to an equal object."""
    return yaml.safe_dump(json.loads(config.model_dump_json()), sort_keys=False)


def _override(settings: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ValueError(f"--set {override}: must be key=value, such as search.trials=100")
    *parents, last = key.split(".")
    node = settings
    for parent in parents:
        child = node.setdefault(parent, {})
        if not isinstance(child, dict):
            raise ValueError(f"--set {override}: {parent} is a value, not a group of settings")
        node = child
    try:
        node[last] = yaml.safe_load(text)
    except (ValueError, yaml.YAMLError):
        raise ValueError(f"--set {override}: {text!r} cannot be read as YAML") from None


def _first_problem(error: ValidationError) -> str:
    details = error.errors(include_url=False)
    unknown = [detail for detail in details if detail["type"] == "extra_forbidden"]
    detail = (unknown or details)[0]
    place = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "missing":
        return f"{place} is missing; it has no default"
    if detail["type"] == "extra_forbidden":
        return f"{place} is not a setting{_nearest(RunConfig, detail['loc'])}"
    got = "" if isinstance(detail["input"], Mapping) else f", got {detail['input']!r}"
    return f"{place}: {detail['msg'].removeprefix('Value error, ')}{got}"


def _nearest(model: type[BaseModel], loc: tuple[int | str, ...]) -> str:
    """A hint at the nearest setting in the place of an unknown one."""
    names = sorted(_names(model, loc[:-1]))
    near = difflib.get_close_matches(str(loc[-1]), names, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; there are {', '.join(names)}" if names else ""


def _names(model: Any, path: Sequence[int | str]) -> set[str]:
    """The settings at a path of an error; the kind of a union's member is a step of the path, too."""
    if not path:
        return set(model.model_fields)
    annotation = model.model_fields[path[0]].annotation if path[0] in model.model_fields else None
    members = [m for m in getattr(annotation, "__args__", (annotation,)) if hasattr(m, "model_fields")]
    rest = path[1:]
    if len(members) > 1:
        members = [m for m in members if rest and _tag(m) == rest[0]]
        rest = rest[1:]
    return _names(members[0], rest) if members else set()


def _tag(member: Any) -> str:
    """What a union's member is called in the path of an error: its kind, or its tag where it has none."""
    tags = [one.tag for one in getattr(member, "__metadata__", ()) if isinstance(one, Tag)]
    return str(tags[0] if tags else member.model_fields["kind"].default)
