"""A run whose events a test writes, and the process that tells W&B of it."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agents.language.proposal import Branch, Proposal
from search.config.schema import RunConfig
from search.config.services import TrackingConfig
from search.ledger.events import AnyEvent, Finished, Proposed
from search.ledger.log import read_ledger
from search.ledger.record import Record
from search.storage.run_directory import RunDirectory, new_run
from search.tracking.launcher import Tracking
from tests.servers.wandb import WandbServer, wandb_server
from trainers.components.losses import LogConf
from trainers.components.optim import Adamw
from trainers.method import Method

KEY = "0123456789" * 4
HOSTILE = 'see [this](https://evil.example) <img src=x onerror="alert(1)">\n# **now**\u202e'
OUTCOME: dict[str, Any] = {
    "baselines": {"weak_acc": 0.61},
    "cost": {"usd": 0.25, "wall_s": 12.0},
    "trials": {"completed": 3},
    "grader_queries": {"test": 4},
    "naive": {"pgr": 0.2, "se": 0.1, "ci95": [0.0, 0.4], "seeds": 2, "method": {}},
    "best": {"branch": "one", "pgr": 0.5, "se": 0.1, "ci95": [0.3, 0.7], "seeds": 2, "beats_naive_p": 0.01},
}


@pytest.fixture(autouse=True)
def no_wandb_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, no settings, no server and no temporary folder but what a test asks for or can look into."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", None)  # it was read from the environment before


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbServer]:
    with wandb_server() as one:
        monkeypatch.setenv("WANDB_BASE_URL", one.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        yield one


def tracked(config: RunConfig, **changes: Any) -> RunConfig:
    return config.model_copy(update={"tracking": TrackingConfig(**({"patience_s": 90.0} | changes))})


class Campaign:
    """A run whose events a test writes; each `at_work` is a process that is at work on it."""

    def __init__(self, path: Path, config: RunConfig) -> None:
        self.run = new_run(path, config)
        self.config = config

    def at_work(
        self,
        *events: AnyEvent,
        config: RunConfig | None = None,
        then: Callable[[], object] = lambda: None,
    ) -> Tracking:
        config = config or self.config
        _, record = self.run.load()
        with Tracking(self.run, config) as tracking, self.run.open_ledger(record, config, 1.5e9) as ledger:
            tracking.start(record.started)
            for event in events:
                ledger.append(event)
            then()
        return tracking

    @property
    def record(self) -> Record:
        return Record.of(read_ledger(self.run.ledger))

    @property
    def id(self) -> str:
        assert self.record.started is not None
        return self.record.started.id


@pytest.fixture
def campaign(tmp_path: Path, config: RunConfig) -> Campaign:
    return Campaign(tmp_path / "run", tracked(config))


@pytest.fixture
def story(
    events: SimpleNamespace, branch: Callable[..., Branch], proposal: Callable[..., Proposal]
) -> list[AnyEvent]:
    """Two rounds; trials that complete, are pruned and fail; a replicate; a confirmation."""
    hostile = branch("two").model_copy(update={"hypothesis": HOSTILE, "family": "filtering"})
    logconf = Method(loss=LogConf(aux=0.25), optim=Adamw(lr=2e-3))
    told = [
        events.baselines(),
        Proposed(round=1, proposal=proposal(branch("one")), seconds=1),
        events.started("t00001"),
        events.reached("t00001", 1 / 3, 0.6, se=0.11, accuracy=0.78),
        events.reached("t00001", 1.0, 0.5, se=0.1, accuracy=0.75),
        events.ended("t00001"),
        events.started("t00002", number=1, method=logconf),
        events.reached("t00002", 1 / 3, -0.1),
        events.ended("t00002", "pruned", "PGR -0.100 at 0.33 of its training"),
        Proposed(round=2, proposal=proposal(hostile), seconds=1),
        events.started("t00003", branch="two", lr=3e-3),
        events.ended("t00003", "failed", f"Diverged: {HOSTILE}"),
        events.started("r00001", purpose="replicate", number=None, seed=10_001),
        events.reached("r00001", 1.0, 0.4),
        events.ended("r00001"),
    ]
    for i, method in enumerate((Method(), Method(optim=Adamw(lr=1e-3)))):
        trial = f"c0000{i}"
        told += [
            events.started(trial, purpose="confirm", branch="", number=None, method=method, seed=10_100),
            events.reached(trial, 1.0, None),
            events.ended(trial),
        ]
    return told


def outcome(run: RunDirectory) -> Finished:
    run.result.write_text(json.dumps(OUTCOME))
    (run.path / "report.html").write_text("<!doctype html><p>report")
    return Finished()
