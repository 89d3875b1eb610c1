import pytest

from trainers.training.deepspeed_engine import warm_up
from trainers.training.settings import EngineConfig


@pytest.fixture(scope="session")
def warm() -> None:
    """The imports and the process group that the first training of a process pays for."""
    warm_up(EngineConfig(zero_stage=2))
