from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from agents.findings.predictions import pack
from agents.language.proposal import Branch, Proposal
from search.config.load import dump_config
from search.config.schema import RunConfig
from search.config.tasks import SearchedTask
from search.engine.confirmation import Confirmation, Confirmed, Finalist, SeedOutcome
from search.ledger.events import (
    Finished,
    Interrupted,
    Proposed,
    Resumed,
    TestOpened,
)
from search.ledger.log import Ledger
from search.ledger.record import Record
from search.output.result import TaskOutcome, result, write_result
from search.output.searched_tasks import over_tasks, tasks_part
from search.scoring.collapses import Collapses
from search.scoring.grader import BaselineScores
from search.scoring.pgr import Estimate, SeedVariance
from search.scoring.sign_flip import SignFlip
from search.storage.run_directory import RunDirectory
from trainers.components.optim import Adamw
from trainers.data.settings import ToyTask
from trainers.method import Method

BASELINES = BaselineScores(
    weak=Estimate(value=0.61, se=0.02, df=4),
    ceiling=Estimate(value=0.91, se=0.01, df=4),
    gap=0.3,
    gap_se=0.02,
    seed_variance=SeedVariance(value=0.01, free=8),
    weak_seeds=(0.6, 0.62),
    ceiling_seeds=(0.9, 0.92),
    majority=0.55,
    over_majority=Estimate(value=0.06, se=0.02, df=4),
)


def on_task(confirmation: Confirmation, task: str = "", baselines: BaselineScores = BASELINES) -> TaskOutcome:
    """A confirmation as that of a task."""
    return TaskOutcome(task=task, confirmation=confirmation, baselines=baselines)


def moved(confirmation: Confirmation, by: float) -> Confirmation:
    """The same confirmation where every finalist gains so much more over naive."""
    finalists = []
    for finalist, confirmed in confirmation.finalists:
        assert confirmed.gain is not None
        gain = Estimate(value=confirmed.gain.value + by, se=confirmed.gain.se, df=4)
        finalists.append((finalist, replace(confirmed, gain=gain)))
    return replace(confirmation, finalists=finalists)


def without_gap(confirmation: Confirmation) -> Confirmation:
    finalists = [
        (finalist, replace(one, pgr=None, gain=None, collapses=None))
        for finalist, one in confirmation.finalists
    ]
    naive = replace(confirmation.naive, pgr=None, gain=None, collapses=None)
    return replace(confirmation, naive=naive, finalists=finalists)


@pytest.fixture
def record(events: SimpleNamespace, branch: Callable[..., Branch]) -> Record:
    """Two branches in a round, one trial of each end, a pause, a confirmation of one seed."""
    branches = (branch("one"), branch("two[red]"))
    return Record.of(
        [
            events.run_started(at=0.0),
            events.baselines(at=10.0, train_s=40.0),
            Proposed(at=10.0, round=1, proposal=Proposal(branches=branches, rationale=""), seconds=0.0),
            events.started("t1", at=10.0, branch="two-red"),
            events.reached("t1", 1 / 3, 0.3, at=12.0),  # 4 s of training and evaluation a rung
            events.reached("t1", 1.0, 0.6, at=14.0),
            events.ended("t1", at=14.0),
            events.started("t2", at=14.0),
            events.reached("t2", 1 / 4, -0.3, at=15.0),
            events.ended("t2", "pruned", "PGR -0.3", at=15.0),
            events.started("t3", at=15.0),
            events.ended("t3", "failed", "nan", at=16.0),
            Interrupted(at=20.0),
            Resumed(at=120.0),
            events.started("c1", at=120.0, purpose="confirm"),
            events.reached("c1", 1.0, None, at=125.0),
            events.ended("c1", at=125.0),
            TestOpened(at=125.0, queries=2),
            Finished(at=126.0),
        ]
    )


@pytest.fixture
def confirmation(record: Record) -> Confirmation:
    def confirmed(value: float, gain: float, lr: float) -> Confirmed:
        return Confirmed(
            method=Method(optim=Adamw(lr=lr)),
            accuracy=Estimate(value=0.61 + 0.3 * value, se=0.03, df=4),
            accuracy_gain=Estimate(value=0.3 * gain, se=0.03, df=4),
            pgr=Estimate(value=value, se=0.1, df=4),
            gain=Estimate(value=gain, se=0.1, df=4),
            sign_flip=SignFlip(p=0.0625, smallest_p=0.03125, units=5),
            per_seed=tuple(
                SeedOutcome(seed=40 + i, supervisor=3 + i, accuracy=0.61 + 0.3 * pgr, pgr=pgr, gain=pgr - 0.2)
                for i, pgr in enumerate((value, value, value + 0.8, value - 0.8, value))
            ),
            collapses=Collapses(below=value - 0.4, flags=(False, False, False, True, False)),
        )

    return Confirmation(
        naive=confirmed(0.2, 0.0, 1e-3),
        finalists=[
            (Finalist(trial=record.trials["t1"], method=Method(), search_pgr=0.6), confirmed(0.5, 0.3, 2e-3))
        ],
    )


@pytest.fixture
def outcome(record: Record, confirmation: Confirmation) -> dict[str, Any]:
    return result(record, on_task(confirmation))


@pytest.fixture
def searching(events: SimpleNamespace, branch: Callable[..., Branch]) -> Record:
    """A search in its first round: of branch one a completed and a pruned trial, of two a failed one.

    A fourth trial, of two, is running.
    """
    branches = (branch("one"), branch("two"))
    return Record.of(
        [
            events.run_started(),
            events.baselines(),
            Proposed(round=1, proposal=Proposal(branches=branches, rationale=""), seconds=0),
            events.started("t1"),
            events.reached("t1", 1.0, 0.4321, se=0.0567),
            events.ended("t1"),
            events.started("t2"),
            events.reached("t2", 1 / 3, 0.4),
            events.ended("t2", "pruned"),
            events.started("t3", branch="two"),
            events.ended("t3", "failed", "nan"),
            events.started("t4", branch="two"),
        ]
    )


def shown(console: Console) -> str:
    """What a console of StringIO was told."""
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


EXAMPLES = 400  # on the test split of a task of `finished_run`
BEST = Method(optim=Adamw(lr=2e-3))  # as `confirmation` has it


def finished_run(
    path: Path,
    config: RunConfig,
    events: SimpleNamespace,
    result: dict[str, Any],
    *digests: str,
    **began: Any,
) -> str:
    """The directory of a run that is over. digests: of the test split of each of its tasks."""
    path.mkdir()
    run = RunDirectory(path)
    run.config.write_text(dump_config(config))
    ledger = Ledger(run.ledger)
    ledger.append(events.run_started(config_sha256=config.sha256, **began))
    rng = np.random.default_rng(0)
    for seed in (40, 41, 42, 43, 44):
        ledger.append(events.started(f"c{seed}", purpose="confirm", method=BEST, seed=seed, number=None))
        packed = pack(rng.random(EXAMPLES * len(digests)) < 0.7)
        ledger.append(events.reached(f"c{seed}", 1.0, None, predictions=packed))
        ledger.append(events.ended(f"c{seed}"))
    for place, (digest, task) in enumerate(zip(digests, config.searched, strict=True)):
        named = task if place else ""
        ledger.append(TestOpened(queries=5, digest=digest, examples=EXAMPLES, task=named))
    ledger.append(Finished())
    ledger.close()
    write_result(run.result, result)
    return str(path)


def tasks_outcome(record: Record, *confirmations: Confirmation) -> dict[str, Any]:
    """The outcome on the tasks a, b, …"""
    apart = [on_task(one, name) for one, name in zip(confirmations, "abc", strict=False)]
    return result(record, over_tasks(apart), tasks=tasks_part(record, apart))


def of_tasks(config: RunConfig, *names: str) -> RunConfig:
    """The config of a search on tasks of these names."""
    parts = tuple(SearchedTask(name=name, task=ToyTask(part=i)) for i, name in enumerate(names))
    return config.model_copy(update={"task": parts[0].task, "tasks": parts})
