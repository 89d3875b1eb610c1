from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.trainers.training.conftest import ENGINES, SPLIT_BY_NONE
from trainers.components.formulas.losses import LossFormula
from trainers.components.losses import LogConf, Loss, Window, Xent
from trainers.components.optim import Adamw
from trainers.components.selecting.plans import Phase, Plan
from trainers.training.inputs import FeatureInputs, Floats
from trainers.training.loop import Recipe, fit
from trainers.training.session import PARTS, LossCurve, MicroBatchHalved, OutOfMemory, means
from trainers.training.settings import EngineConfig

N = 30
OPTIM = Adamw(lr=0.02, epochs=3, batch_size=7)  # 5 steps an epoch, one of them of 2 examples
pytestmark = pytest.mark.usefixtures("warm")


class Net(nn.Module):
    """A small network with dropout that runs out of memory above a number of examples."""

    def __init__(self, *, room: int = N, fine_for: int = 0, dropout: float = 0.3) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(3, 8), nn.Linear(8, 2)
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
        self.room, self.fine_for, self.dropout = room, fine_for, dropout
        self.largest, self.calls = 0, 0

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if len(features) > self.room and self.calls > self.fine_for:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has ...")
        self.largest = max(self.largest, len(features))
        hidden = nn.functional.dropout(self.inner(features).relu(), self.dropout, self.training)
        logits: torch.Tensor = self.outer(hidden)
        return logits


def data() -> tuple[FeatureInputs, Floats]:
    features = torch.randn(N, 3, generator=torch.Generator().manual_seed(1))
    return FeatureInputs(features=features), torch.sigmoid(2 * features[:, 0]).numpy()


def trained(
    model: Net,
    loss: Loss | None = None,
    *,
    keep: float | None = None,
    events: list[Any] | None = None,
    **engine: Any,
) -> list[torch.Tensor]:
    weights = np.linspace(0.5, 1.5, N).astype(np.float32)
    recipe = Recipe(
        plan=Plan(
            phases=(Phase(start=0.0, weights=weights, lr_scale=1.0),),
            keep_share=None if keep is None else lambda progress: keep,
        ),
        loss=loss or Xent(),
        optim=OPTIM,
        engine=EngineConfig(**engine),
        seed=3,
    )
    heard: list[Any] = [] if events is None else events
    for _ in fit(model, list(model.parameters()), *data(), recipe, (1.0,), on_event=heard.append):
        after = [parameter.detach().clone() for parameter in model.parameters()]
    return after


def assert_close(left: list[torch.Tensor], right: list[torch.Tensor]) -> None:
    for a, b in zip(left, right, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=2e-6)


COUPLED = LossFormula(expression="ce(t) * rank(sg(f))")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("loss", "keep"),
    [(Xent(), None), (Window(), None), (LogConf(aux=0.7, warmup=0), None), (COUPLED, None), (Xent(), 0.5)],
)
def test_micro_batches_add_up_to_the_whole_batch(
    engine: dict[str, Any], loss: Loss, keep: float | None
) -> None:
    small = Net(dropout=0)
    pieces = trained(small, loss, keep=keep, **engine, micro_batch=3)
    assert small.largest == 3
    assert_close(pieces, trained(Net(dropout=0), loss, keep=keep))


def test_a_batchs_threshold_is_not_that_of_itseven_pieces() -> None:
    """What the test above would not see if logconf's pieces each had a threshold of their own."""
    loss = LogConf(aux=0.7, warmup=0)
    pieces = trained(Net(dropout=0), loss, micro_batch=1)
    plain = trained(Net(dropout=0), Xent())
    whole = trained(Net(dropout=0), loss)
    assert max((a - b).abs().max() for a, b in zip(pieces, whole, strict=True)) < 2e-6
    assert max((a - b).abs().max() for a, b in zip(plain, whole, strict=True)) > 1e-3


def test_the_first_pass_of_a_coupled_loss_draws_the_dropout_of_the_second() -> None:
    # With equal dropout in both passes, keeping all of a batch is the same as not choosing.
    assert_close(trained(Net(), Xent(), keep=1.0, micro_batch=3), trained(Net(), Xent(), micro_batch=3))


@pytest.mark.parametrize("engine", SPLIT_BY_NONE)
@pytest.mark.parametrize("fine_for", [0, 8])
def test_running_out_of_memory_halves_the_micro_batch_and_goes_on(
    engine: dict[str, Any], fine_for: int
) -> None:
    events: list[MicroBatchHalved] = []
    model = Net(room=2, fine_for=fine_for, dropout=0)
    ours = trained(model, events=events, **engine)
    assert [event.micro_batch for event in events] == [3, 1]
    assert {event.step for event in events} <= {fine_for, fine_for + 1}  # a step of 2 examples would fit
    assert_close(ours, trained(Net(dropout=0), **engine))


class Choking(Net):
    """Runs out of memory in the backward pass."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        logits = super().forward(features)
        if len(features) > 2 and logits.requires_grad:
            logits.register_hook(self._choke)
        return logits

    def _choke(self, gradient: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize("engine", SPLIT_BY_NONE)
def test_running_out_in_the_backward_pass_leaves_no_trace_in_the_gradient(engine: dict[str, Any]) -> None:
    events: list[MicroBatchHalved] = []
    ours = trained(Choking(dropout=0), events=events, **engine)
    assert [event.micro_batch for event in events] == [3, 1]
    assert_close(ours, trained(Net(dropout=0)))


def test_one_example_that_does_not_fit_is_the_end() -> None:
    with pytest.raises(
        OutOfMemory, match=r"step 1 with a micro-batch of 1.*Tried to allocate 2.00 GiB.*use a shorter"
    ):
        trained(Net(room=0))


def test_zero_3_asks_to_be_started_again() -> None:
    with pytest.raises(OutOfMemory, match="start again with micro_batch 3"):
        trained(Net(room=2), zero_stage=3)


def test_a_curve_of_losses_is_taken_as_means_and_begins_anew() -> None:
    curve = LossCurve(steps=6)
    for value in (4.0, 2.0):
        assert curve.watched(lambda value=value: torch.tensor(value))().item() == value
    assert curve.taken() == [4.0, 2.0]
    assert curve.taken() == []
    summed = curve.watched(lambda: torch.tensor(3.0))()
    summed += 5  # as a gang does when it checks the sum
    assert curve.taken() == [3.0]


def test_a_long_training_keeps_few_losses_and_what_is_not_finite_is_left_out() -> None:
    curve = LossCurve(steps=1_000_000)
    for _ in range(3000):
        curve.watched(lambda: torch.tensor(1.0))()
    assert len(curve._kept) < 5
    assert means([1.0] * 100) == [1.0] * PARTS
    assert means([1.0, float("nan"), 3.0, float("inf")]) == [1.0, 3.0]
    assert means([]) == []
