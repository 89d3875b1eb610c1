import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.config.schema import RunConfig
from search.export import training
from search.export.training import Training, train
from trainers.method import Method
from trainers.trial.workbench import Materials


@pytest.fixture
def job(small: RunConfig, tmp_path: Path) -> Training:
    empty = Materials(weak_probs=np.zeros((1, 0), dtype=np.float32), tokens={})
    return Training(
        config=small,
        materials=empty,
        method=Method(),
        seed=0,
        split="test",
        micro_batch=None,
        folder=tmp_path,
    )


def failing(job: Training, answers: Any) -> None:
    answers.send("Diverged: the loss is nan")


def dying(job: Training, answers: Any) -> None:
    os._exit(9)


def counting(job: Training, answers: Any) -> None:
    answers.send(np.array([0.25], dtype=np.float32))


@pytest.mark.parametrize(
    ("work", "problem"), [(failing, "failed: Diverged: the loss is nan"), (dying, "exit code 9")]
)
def test_a_training_that_fails_or_dies_is_one_line(
    work: Any, problem: str, job: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "_work", work)
    monkeypatch.setattr(training, "START", "fork")
    with pytest.raises(RuntimeError, match=problem):
        train(job)


def test_the_caller_is_told_the_seconds(job: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "_work", counting)
    monkeypatch.setattr(training, "START", "fork")
    monkeypatch.setattr(training, "POLL_S", 0.0)
    told: list[float] = []
    assert train(job, told.append).tolist() == [0.25]
    assert told == sorted(told)
