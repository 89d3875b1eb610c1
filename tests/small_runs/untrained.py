"""A campaign whose trials train nothing (see no_training): all else is real."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agents.playbook.playbook import Playbook
from search.config.learners import LearnerConfig, SupervisorConfig
from search.config.resources import TrialResources
from search.config.schema import RunConfig
from search.config.search import SearchConfig
from search.config.seeds import ConfirmConfig, ReplicationConfig
from search.engine.context import RunContext
from search.engine.director import Director
from search.ledger.events import AnyEvent, BaselinesReady, RunStarted
from search.ledger.log import Ledger
from search.ledger.record import Record
from search.scoring.grader import BaselinePredictions, SearchGrader
from tests.small_runs.no_training import EXAMPLES, GAP, TRUTH, WEAK
from trainers.components.optim import Adamw
from trainers.data.settings import SplitSizes, ToyTask
from trainers.models.settings import ToyModel


def configured(trials: int, workers: int) -> RunConfig:
    """A campaign of so many trials in rounds of a hundred."""
    return RunConfig(
        name="scale",
        task=ToyTask(splits=SplitSizes(weak_train=1, transfer=1, search=EXAMPLES, test=EXAMPLES)),
        weak=SupervisorConfig(model=ToyModel(size="weak"), optim=Adamw(lr=1e-2)),
        strong=LearnerConfig(model=ToyModel(size="strong"), optim=Adamw(lr=1e-3)),
        search=SearchConfig(trials=trials, round_trials=100),
        replication=ReplicationConfig(methods=3, seeds=2),
        confirm=ConfirmConfig(finalists=2, seeds=2),
        trial=TrialResources(cpus=0.1, concurrent=workers),
    )


def labels() -> tuple[Any, BaselinePredictions]:
    """Ground truth, and baselines of four seeds."""
    rng = np.random.default_rng(0)
    weak, ceiling = (
        np.where(rng.random((4, EXAMPLES)) < accuracy, TRUTH, 1 - TRUTH).astype(np.bool_)
        for accuracy in (WEAK, WEAK + GAP)
    )
    return TRUTH, BaselinePredictions(weak=weak, ceiling=ceiling)


def new_director(
    config: RunConfig,
    out: Path,
    record: Record,
    ledger: Ledger,
    grader: SearchGrader,
    past: Sequence[AnyEvent] = (),
) -> Director:
    """As search.campaign makes it. past: the events of an earlier process."""
    context = RunContext(
        config=config,
        directory=out,
        ledger=ledger,
        record=record,
        grader=grader,
        gap=GAP,
        search_size=EXAMPLES,
    )
    return Director(context, Playbook(branches=config.agent.branches, seed=config.seed), past)


def begun(out: Path) -> tuple[Record, Ledger]:
    """A new run's record and ledger."""
    record = Record()
    ledger = Ledger(out / "ledger.jsonl", record.apply)
    ledger.append(RunStarted(run="scale", config_sha256="", commit=""))
    floors = {"weak_acc": WEAK, "weak_se": 0.0, "ceiling_acc": WEAK + GAP, "ceiling_se": 0.0}
    ledger.append(BaselinesReady(**floors, seeds=4, train_s=0))
    return record, ledger
