from typing import Any

import pytest
from pydantic import ValidationError

from trainers.training.settings import EngineConfig


def test_offload_without_a_stage_is_refused() -> None:
    with pytest.raises(ValidationError, match="offload needs zero_stage 1, 2 or 3, got 0"):
        EngineConfig(offload=True)


def test_torch_alone_splits_nothing() -> None:
    with pytest.raises(ValidationError, match="backend torch needs zero_stage 0, got 2: set backend to auto"):
        EngineConfig(backend="torch", zero_stage=2)
    with pytest.raises(ValueError, match=r"engine\.backend torch trains in one process, got 2"):
        EngineConfig(backend="torch").runs_on(2)


@pytest.mark.parametrize(
    ("engine", "processes", "runs_on"),
    [
        ({}, 1, "torch"),
        ({"precision": "bf16"}, 1, "torch"),
        ({}, 2, "deepspeed"),
        ({"zero_stage": 1}, 1, "deepspeed"),
        ({"zero_stage": 2, "offload": True}, 1, "deepspeed"),
        ({"backend": "deepspeed"}, 1, "deepspeed"),
        ({"backend": "torch"}, 1, "torch"),
    ],
)
def test_deepspeed_trains_where_something_is_split(
    engine: dict[str, Any], processes: int, runs_on: str
) -> None:
    assert EngineConfig(**engine).runs_on(processes) == runs_on


@pytest.mark.parametrize(
    ("own", "limit", "micro_batch"), [(None, None, None), (None, 4, 4), (8, 4, 4), (2, 4, 2), (2, None, 2)]
)
def test_a_micro_batch_is_at_most_what_fits(
    own: int | None, limit: int | None, micro_batch: int | None
) -> None:
    assert EngineConfig(micro_batch=own).at_most(limit).micro_batch == micro_batch
