import pytest
from pydantic import ValidationError

from trainers.training.settings import EngineConfig


def test_offload_without_a_stage_is_refused() -> None:
    with pytest.raises(ValidationError, match="offload needs zero_stage 1, 2 or 3, got 0"):
        EngineConfig(offload=True)


@pytest.mark.parametrize(
    ("own", "limit", "micro_batch"), [(None, None, None), (None, 4, 4), (8, 4, 4), (2, 4, 2), (2, None, 2)]
)
def test_a_micro_batch_is_at_most_what_fits(
    own: int | None, limit: int | None, micro_batch: int | None
) -> None:
    assert EngineConfig(micro_batch=own).at_most(limit).micro_batch == micro_batch
