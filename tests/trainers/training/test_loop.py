import gc
import math
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from torch import nn

from tests.trainers.training.conftest import (
    ENGINES,
    SPLIT_BY_NONE,
    N,
    assert_close,
    everything,
    examples,
    linear,
    recipe,
    trained,
)
from trainers.components.optim import Adamw, lr_factor
from trainers.components.selecting.plans import Phase, Plan
from trainers.data.tokens import Tokens
from trainers.models.pool import ModelPool
from trainers.models.settings import ToyModel
from trainers.training.inputs import FeatureInputs, TokenInputs
from trainers.training.loop import EVAL_TOKENS, fit, forward, predict
from trainers.training.session import Diverged

pytestmark = pytest.mark.usefixtures("warm")


def test_first_step_of_adam_is_the_learning_rate_against_the_gradients_sign() -> None:
    layer = nn.Linear(1, 2, bias=False)
    nn.init.zeros_(layer.weight)
    data = FeatureInputs(features=torch.ones(1, 1)), np.array([1.0], dtype=np.float32)
    (weight,) = trained(layer, data, recipe(Adamw(lr=0.01, epochs=1, warmup=0), plan=everything(1)))
    # Both gradients are 1/2 in size; Adam divides a first gradient by itself.
    np.testing.assert_allclose(weight.numpy(), [[-0.01], [0.01]], rtol=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("clip", [0.0, 0.05])
def test_equals_a_plain_torch_loop(engine: dict[str, Any], clip: float) -> None:
    inputs, targets = examples()
    optim = Adamw(
        lr=0.05, epochs=12, batch_size=N, weight_decay=0.1, clip=clip, schedule="cosine", warmup=0.2
    )
    ours = trained(linear(), (inputs, targets), recipe(optim, **engine))

    model, wanted = linear(), torch.from_numpy(targets)
    adam = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0.1)
    for step in range(12):
        adam.param_groups[0]["lr"] = 0.05 * lr_factor(optim, step / 12)
        loss = nn.functional.cross_entropy(model(inputs.features), torch.stack([1 - wanted, wanted], dim=1))
        adam.zero_grad()
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        adam.step()
    assert_close(ours, [parameter.detach() for parameter in model.parameters()])


class Seen(nn.Module):
    """Counts the examples of each training step."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = linear()
        self.steps: list[torch.Tensor] = []

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.steps.append(features.detach())
        logits: torch.Tensor = self.layer(features)
        return logits


def test_rungs_come_at_their_share_of_the_steps_in_evaluation_mode() -> None:
    model, reached = Seen(), []
    optim = Adamw(epochs=2, batch_size=4)  # 10 steps: the rungs fall on steps 2, 4 and 10
    for share in fit(model, list(model.parameters()), *examples(), recipe(optim), (1 / 9, 1 / 3, 1.0)):
        reached.append((share, len(model.steps), model.training))
    assert reached == [(1 / 9, 2, False), (1 / 3, 4, False), (1.0, 10, False)]


def test_the_losses_since_a_rung_come_before_the_next_one() -> None:
    model, told = Seen(), list[list[float]]()
    optim, rungs = Adamw(epochs=2, batch_size=4), (1 / 9, 1 / 3, 1.0)
    using = recipe(optim)
    for share in fit(model, list(model.parameters()), *examples(), using, rungs, on_losses=told.append):
        assert len(told) == rungs.index(share) + 1
    assert [len(losses) for losses in told] == [2, 2, 6]


def test_the_loss_of_a_step_is_that_before_its_update() -> None:
    model, told = linear(), list[float]()
    inputs, targets = examples()
    wanted = torch.from_numpy(targets)
    loss = nn.functional.cross_entropy(model(inputs.features), torch.stack([1 - wanted, wanted], dim=1))
    using = recipe(Adamw(epochs=3, batch_size=N))
    list(fit(model, list(model.parameters()), inputs, targets, using, (1.0,), on_losses=told.extend))
    assert told[0] == pytest.approx(loss.item(), rel=1e-5)
    assert len(told) == 3


def test_an_epoch_shows_every_example_once_and_the_seed_draws_the_order() -> None:
    orders = []
    for seed in (1, 1, 2):
        model = Seen()
        trained(model, examples(), recipe(Adamw(epochs=1, batch_size=4), seed=seed))
        orders.append(torch.cat(model.steps))
    assert torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])
    assert torch.equal(orders[0].sort(dim=0).values, examples()[0].features.sort(dim=0).values)


def test_a_phase_shows_only_what_it_keeps_at_its_learning_rate() -> None:
    kept = np.zeros(N, dtype=np.float32)
    kept[:4] = 1
    plan = Plan(
        phases=(
            Phase(start=0.0, weights=kept, lr_scale=1.0),
            Phase(start=0.5, weights=np.ones(N, dtype=np.float32), lr_scale=0.5),
        )
    )
    model, (inputs, targets) = Seen(), examples()
    optim = Adamw(lr=0.01, epochs=2, batch_size=4, schedule="constant", warmup=0, beta1=0, beta2=0, clip=0)
    moves, before = [], model.layer.bias.detach().clone()
    shares = [step / 10 for step in range(1, 11)]
    for _ in fit(model, list(model.parameters()), inputs, targets, recipe(optim, plan=plan), shares):
        moves.append((model.layer.bias.detach() - before).abs().max().item())
        before = model.layer.bias.detach().clone()
    assert all(torch.isin(step, inputs.features[:4]).all() for step in model.steps[:5])
    assert len(torch.cat(model.steps[5:]).unique(dim=0)) == N
    # Without memory, Adam moves every weight by the learning rate.
    np.testing.assert_allclose(moves, [0.01] * 5 + [0.005] * 5, rtol=1e-3)


@pytest.mark.parametrize(
    ("engine", "cause"),
    [(engine, "the gradient is" if "zero_stage" in engine else "the loss is nan") for engine in ENGINES],
)
def test_numbers_that_are_not_finite_end_the_training(engine: dict[str, Any], cause: str) -> None:
    inputs, targets = examples()
    inputs.features[:, 1] = math.inf
    model, using = linear(), recipe(Adamw(batch_size=N), **engine)
    with pytest.raises(Diverged, match=f"{cause}.* at step 1"):
        next(fit(model, list(model.parameters()), inputs, targets, using, (1.0,)))


@pytest.mark.parametrize("engine", SPLIT_BY_NONE)
def test_closing_frees_the_engine_at_once_and_leaves_the_model_without_hooks(engine: dict[str, Any]) -> None:
    model = linear()
    training = fit(model, list(model.parameters()), *examples(), recipe(Adamw(), **engine), (0.5, 1.0))
    next(training)
    training.close()
    assert not model._forward_hooks
    assert not model._forward_pre_hooks
    alive = weakref.ref(model)
    gc.disable()
    try:
        del model, training
        assert alive() is None
    finally:
        gc.enable()


@pytest.mark.slow
@pytest.mark.parametrize("engine", SPLIT_BY_NONE)
def test_memory_stays_flat_over_many_engines(engine: dict[str, Any]) -> None:
    def resident() -> float:
        return float(psutil.Process().memory_info().rss) / 2**20

    wide = FeatureInputs(features=torch.randn(N, 1000)), examples()[1]
    sizes = []
    for _ in range(24):
        model = nn.Sequential(nn.Linear(1000, 500), nn.Linear(500, 2))  # 2 MB of weights, 8 with Adam
        trained(model, wide, recipe(Adamw(epochs=0.1), **engine))
        sizes.append(resident())
    assert sizes[-1] - sizes[5] < 12


def text(lengths: Sequence[int]) -> TokenInputs:
    rng = np.random.default_rng(0)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = rng.integers(3, 60, size=int(offsets[-1]), dtype=np.int32)
    return TokenInputs(tokens=Tokens(ids=ids, offsets=offsets), pad_id=0)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> ModelPool:
    return ModelPool(ToyModel(size="weak"), cache=tmp_path_factory.mktemp("models"))


@torch.no_grad()
def test_predictions_are_in_the_order_of_the_examples(pool: ModelPool) -> None:
    inputs, model = text([9, 2, 30, 5, 30, 1, 14]), pool.fresh(0)
    alone = [torch.softmax(model(*inputs.batch(np.array([i]))), dim=1)[0, 1].item() for i in range(7)]
    assert len({round(p, 4) for p in alone}) > 3
    np.testing.assert_allclose(predict(model, inputs), alone, atol=1e-6)


def test_predictions_that_are_not_numbers_are_a_divergence() -> None:
    model = linear()
    with torch.no_grad():
        model.weight.fill_(math.nan)
    with pytest.raises(Diverged, match="not numbers"):
        predict(model, examples()[0])


def test_prediction_goes_on_with_smaller_batches_when_memory_runs_out() -> None:
    model, inputs = linear(), text([10] * 1000)

    def read(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if len(ids) > 150:
            raise torch.OutOfMemoryError("injected")
        return ids[:, :2].float()

    said = forward(read, inputs, model)
    assert torch.equal(said, inputs.batch(np.arange(1000))[0][:, :2].float())
    with pytest.raises(torch.OutOfMemoryError):
        forward(lambda ids, mask: (_ for _ in ()).throw(torch.OutOfMemoryError("no")), inputs, model)


def test_predicting_halves_its_batches_where_memory_runs_out_and_remembers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(EVAL_TOKENS, "cpu", 8)
    sizes: list[int] = []

    def cramped(features: torch.Tensor) -> torch.Tensor:
        sizes.append(len(features))
        if len(features) > 3:
            raise torch.OutOfMemoryError("too much")
        return features

    model = linear()
    inputs = FeatureInputs(features=torch.arange(20.0).reshape(10, 2))
    assert torch.equal(forward(cramped, inputs, model), inputs.features)
    assert EVAL_TOKENS["cpu"] == 2
    sizes.clear()
    forward(cramped, inputs, model)
    assert max(sizes) == 2

    def hopeless(features: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("not even one")

    with pytest.raises(torch.OutOfMemoryError, match="not even one"):
        forward(hopeless, inputs, model)


def test_rungs_that_fall_on_one_step_are_all_reported() -> None:
    """Of three steps the second is the first at which two fifths are done, and one half."""
    model, rungs = linear(), (0.3, 0.4, 0.5, 1.0)
    using = recipe(Adamw(epochs=3, batch_size=N))
    assert list(fit(model, list(model.parameters()), *examples(), using, rungs)) == list(rungs)
