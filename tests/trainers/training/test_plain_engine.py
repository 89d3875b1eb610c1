from pathlib import Path

import pytest
import torch

from trainers.components.optim import Adamw
from trainers.models.head import Head, new_head
from trainers.training.deepspeed_engine import Engine, training_engine
from trainers.training.plain_engine import PlainEngine
from trainers.training.settings import EngineConfig

FEATURES = torch.randn((12, 5), generator=torch.Generator().manual_seed(0))
WANTED = torch.arange(12) % 2
OPTIM = Adamw(lr=0.05, weight_decay=0.1, clip=0.2)  # the gradient's norm is above .2 throughout
pytestmark = pytest.mark.usefixtures("warm")


def one_step(engine: Engine | PlainEngine, pieces: int = 1) -> float:
    total = 0.0
    cut = zip(FEATURES.chunk(pieces), WANTED.chunk(pieces), strict=True)
    for number, (features, wanted) in enumerate(cut, start=1):
        loss = torch.nn.functional.cross_entropy(engine.forward(features), wanted) / pieces
        engine.backward(loss, last=number == pieces)
        total += loss.item()
    assert engine.step(OPTIM.lr)
    return total


class Wrapped(torch.nn.Module):
    """The same computation in a module that is no bare head, which DeepSpeed trains."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        said: torch.Tensor = self.head(features)
        return said


@pytest.mark.parametrize("pieces", [1, 3])
def test_a_probe_trains_as_it_would_on_deepspeed(pieces: int) -> None:
    plain, other = new_head(5, seed=1), Wrapped(new_head(5, seed=1))
    with training_engine(plain, list(plain.parameters()), OPTIM, EngineConfig()) as engine:
        assert isinstance(engine, PlainEngine)
        losses = [one_step(engine, pieces) for _ in range(8)]
    with training_engine(other, list(other.parameters()), OPTIM, EngineConfig()) as engine:
        assert isinstance(engine, Engine)
        expected = [one_step(engine, pieces) for _ in range(8)]
    assert losses == pytest.approx(expected, rel=1e-6)
    assert losses[-1] < losses[0]
    torch.testing.assert_close(plain.weight, other.head.weight, rtol=0, atol=1e-6)


def test_the_first_step_by_hand() -> None:
    # Adam's first step is the learning rate in the direction of the sign, after decay by lr x weight_decay.
    head = new_head(5, seed=1)
    before = head.weight.detach().clone()
    gradient = torch.autograd.grad(torch.nn.functional.cross_entropy(head(FEATURES), WANTED), head.weight)[0]
    with training_engine(head, list(head.parameters()), OPTIM, EngineConfig(zero_stage=3)) as engine:
        one_step(engine)
    expected = before * (1 - 0.05 * 0.1) - 0.05 * gradient.sign()
    torch.testing.assert_close(head.weight, expected, rtol=0, atol=1e-5)


def test_a_saved_state_gives_the_same_next_steps(tmp_path: Path) -> None:
    head, other = new_head(5, seed=1), new_head(5, seed=2)
    with training_engine(head, list(head.parameters()), OPTIM, EngineConfig()) as engine:
        for _ in range(3):
            one_step(engine)
        engine.save(tmp_path / "state", {"micro_batch": 4})
        expected = [one_step(engine) for _ in range(3)]
    with training_engine(other, list(other.parameters()), OPTIM, EngineConfig()) as engine:
        assert engine.load(tmp_path / "state") == {"micro_batch": 4}
        assert [one_step(engine) for _ in range(3)] == expected
