import gc
from collections.abc import Iterator

import pytest

from trainers.training.deepspeed_engine import warm_up
from trainers.training.settings import EngineConfig


@pytest.fixture(scope="module")
def warm() -> Iterator[None]:
    """Without it, every engine that is closed looks through the whole heap of the test run."""
    gc.collect()
    warm_up(EngineConfig(zero_stage=2))
    yield
    gc.unfreeze()
