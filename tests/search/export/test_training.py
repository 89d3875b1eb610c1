from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.config.schema import RunConfig
from search.export import training
from search.export.training import Training, train
from trainers.method import Method
from trainers.trial.workbench import Materials


def test_the_caller_is_told_the_seconds_and_gets_what_was_predicted(
    small: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process itself: tests/cluster/test_apart.py."""

    def apart(
        what: str, function: Any, job: Training, *, passed_on: Any, every_poll: Callable[[], None]
    ) -> Any:
        assert passed_on == job.config.trial.environment
        every_poll()
        every_poll()
        return [0.25]

    monkeypatch.setattr(training, "apart", apart)
    empty = Materials(weak_probs=np.zeros((1, 0), dtype=np.float32), tokens={})
    job = Training(
        config=small,
        materials=empty,
        method=Method(),
        seed=0,
        split="test",
        micro_batch=None,
        folder=tmp_path,
    )
    told: list[float] = []
    assert train(job, told.append).tolist() == [0.25]
    assert told == sorted(told)
    assert len(told) == 2
