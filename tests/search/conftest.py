from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace

import pytest

from agents.language.proposal import Branch, Choice, Fixed, Option, Proposal, Range, Slot
from cluster.runtime import ray_runtime
from search.config.learners import LearnerConfig, SupervisorConfig
from search.config.schema import RunConfig
from search.config.search import SearchConfig
from search.config.seeds import ConfirmConfig, ReplicationConfig
from search.config.tasks import SearchedTask
from search.ledger.events import (
    BaselinesReady,
    Interrupted,
    Proposed,
    RungReached,
    RunStarted,
    TaskReached,
    TrialEnded,
    TrialStarted,
)
from search.ledger.log import Ledger
from search.policy.promotion import PromotionConfig
from search.policy.pruning import PruningConfig
from search.storage.run_directory import RunDirectory, new_run
from tests.small_runs.settings import ONE_CPU
from trainers.components.optim import Adamw
from trainers.data.settings import SplitSizes, ToyTask
from trainers.method import Method
from trainers.models.settings import ToyModel


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """A Ray of one CPU on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv(*ONE_CPU)
        with ray_runtime():
            yield


@pytest.fixture
def config() -> RunConfig:
    """Eight trials in rounds of four, no replicates, two finalists on three seeds; judged at 1/3 and 1.

    The search may train for 5.6 full trainings: 8/3 for the first rungs, and the rest of four trials.
    """
    return RunConfig(
        name="unit",
        seed=1,
        task=ToyTask(splits=SplitSizes(weak_train=10, transfer=20_000, search=200, test=300)),
        weak=SupervisorConfig(model=ToyModel(size="weak"), optim=Adamw(lr=1e-2)),
        strong=LearnerConfig(model=ToyModel(size="strong"), optim=Adamw(lr=1e-3)),
        search=SearchConfig(
            trials=8,
            round_trials=4,
            effort=0.7,
            pruning=PruningConfig(rungs=(1 / 3, 1.0), min_rivals=3, seed_sd=0.02, min_steps=1),
            promotion=PromotionConfig(first=4, draws=16),
        ),
        replication=ReplicationConfig(methods=2, seeds=1),
        confirm=ConfirmConfig(finalists=2, seeds=3),
    )


@pytest.fixture
def on_tasks(config: RunConfig) -> Callable[..., RunConfig]:
    """on_tasks(name, ...): the config with several searched tasks."""

    def make(*names: str) -> RunConfig:
        tasks = tuple(SearchedTask(name=name, task=ToyTask(seed=i)) for i, name in enumerate(names))
        return config.model_copy(update={"tasks": tasks})

    return make


@pytest.fixture
def branch() -> Callable[..., Branch]:
    """branch(name): loss xent or logconf(aux 0 to 1), lr 1e-4 to about 1e-2; with lrs=(...) these lr only.

    The upper bound of lr depends on the name, so that no two branches have the same space.
    """

    def make(name: str, *, lrs: tuple[float, ...] = (), parent: str | None = None) -> Branch:
        high = round(1e-2 + 1e-6 * sum(map(ord, name)), 6)
        optim = Slot(
            slot="optim",
            options=(
                Option(
                    component="adamw",
                    params=(
                        Choice(name="lr", values=lrs)
                        if lrs
                        else Range(name="lr", low=1e-4, high=high, log=True),
                        Fixed(name="epochs", value=1.0),
                    ),
                ),
            ),
        )
        loss = Slot(
            slot="loss",
            options=(
                Option(component="xent", params=()),
                Option(component="logconf", params=(Range(name="aux", low=0.0, high=1.0, log=False),)),
            ),
        )
        return Branch(
            name=name,
            family="loss",
            hypothesis="confidence helps",
            parent=parent,
            slots=(optim,) if lrs else (loss, optim),
        )

    return make


@pytest.fixture
def events() -> SimpleNamespace:
    """Events of a ledger with all that a test does not care about filled in."""

    def started(trial: str, *, lr: float = 1e-3, **changes: object) -> TrialStarted:
        values = {
            "purpose": "search",
            "branch": "one",
            "number": 0,
            "method": Method(optim=Adamw(lr=lr)),
            "seed": 10_000,
        }
        return TrialStarted(trial=trial, **(values | changes))

    def reached(trial: str, share: float = 1.0, pgr: float | None = 0.5, **changes: object) -> RungReached:
        values = {
            "predictions": "00",
            "accuracy": None if pgr is None else 0.8,
            "se": None if pgr is None else 0.1,
            "setup_s": 0.5,
            "train_s": 3.0,
            "eval_s": 1.0,
        }
        return RungReached(trial=trial, share=share, pgr=pgr, **(values | changes))

    def reached_on(
        trial: str, pgrs: dict[str, float], share: float = 1.0, **changes: object
    ) -> list[TaskReached | RungReached]:
        """Of several searched tasks: each, and the rung over all of them, whose PGR is their mean."""
        apart = [
            TaskReached(task=task, **reached(trial, share, pgr, **changes).model_dump(exclude={"event"}))
            for task, pgr in pgrs.items()
        ]
        return [*apart, reached(trial, share, fmean(pgrs.values()), **changes)]

    def ended(
        trial: str, state: str = "completed", cause: str | None = None, **changes: object
    ) -> TrialEnded:
        return TrialEnded(trial=trial, state=state, cause=cause, **changes)

    def run_started(**changes: object) -> RunStarted:
        return RunStarted(**({"run": "unit", "config_sha256": "c0", "commit": "abc"} | changes))

    def baselines(**changes: object) -> BaselinesReady:
        values = {"weak_acc": 0.6, "weak_se": 0.01, "ceiling_acc": 0.9, "ceiling_se": 0.02}
        return BaselinesReady(**(values | {"seeds": 5, "train_s": 40.0} | changes))

    return SimpleNamespace(
        started=started,
        reached=reached,
        reached_on=reached_on,
        ended=ended,
        run_started=run_started,
        baselines=baselines,
    )


@pytest.fixture
def proposal() -> Callable[..., Proposal]:
    """proposal(branch, ...): a proposal of these branches."""
    return lambda *branches: Proposal(branches=branches, rationale="because")


@pytest.fixture
def dev_yaml() -> str:
    """The text of configs/dev.yaml."""
    return (Path(__file__).parents[2] / "configs" / "dev.yaml").read_text()


@pytest.fixture
def stopped(
    tmp_path: Path, config: RunConfig, events: SimpleNamespace, branch: Callable[..., Branch]
) -> RunDirectory:
    """A run of one completed trial that was interrupted."""
    run = new_run(tmp_path / "run", config)
    ledger = Ledger(run.ledger)
    proposal = Proposal(branches=(branch("one"),), rationale="")
    for event in (
        events.run_started(),
        Proposed(round=1, proposal=proposal, seconds=0),
        events.started("t1"),
        events.reached("t1", 1.0, 0.5),
        events.ended("t1"),
        Interrupted(),
    ):
        ledger.append(event)
    ledger.close()
    return run
