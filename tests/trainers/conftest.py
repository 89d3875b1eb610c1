import pytest

from trainers.training.deepspeed_engine import warm_up
from trainers.training.loop import EVAL_TOKENS
from trainers.training.settings import EngineConfig


@pytest.fixture(scope="session")
def warm() -> None:
    """The imports and the process group that the first training of a process pays for."""
    warm_up(EngineConfig(zero_stage=2))


@pytest.fixture(autouse=True)
def room_to_predict(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test without memory has halved is whole again for the others of the process."""
    monkeypatch.setitem(EVAL_TOKENS, "cpu", EVAL_TOKENS["cpu"])
