import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from trainers.components.optim import Adamw
from trainers.components.students import Full, Lora, StudentConfig, make_student
from trainers.models.head import Head, new_head
from trainers.models.pool import ModelPool
from trainers.models.settings import ToyModel
from trainers.training import plain_engine
from trainers.training.deepspeed_engine import Engine, training_engine
from trainers.training.plain_engine import PlainEngine
from trainers.training.settings import EngineConfig

FEATURES = torch.randn((12, 5), generator=torch.Generator().manual_seed(0))
IDS = torch.from_numpy(np.random.default_rng(0).integers(3, 60, size=(12, 9)))
WANTED = torch.arange(12) % 2
OPTIM = Adamw(lr=0.05, weight_decay=0.1, clip=0.2)  # the gradient's norm is above .2 throughout
GENTLE = Adamw(lr=3e-3, weight_decay=0.1, clip=0.2)
pytestmark = pytest.mark.usefixtures("warm")


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> ModelPool:
    return ModelPool(ToyModel(size="weak"), cache=tmp_path_factory.mktemp("models"))


def one_step(engine: Engine | PlainEngine, pieces: int = 1, *, lr: float = OPTIM.lr) -> float:
    """The loss of a head before a step."""
    return stepped(engine, (FEATURES,), pieces, lr)


def stepped(
    engine: Engine | PlainEngine, inputs: tuple[torch.Tensor, ...], pieces: int, lr: float = GENTLE.lr
) -> float:
    total = 0.0
    cut = zip(*[values.chunk(pieces) for values in (*inputs, WANTED)], strict=True)
    for number, (*arguments, wanted) in enumerate(cut, start=1):
        loss = nn.functional.cross_entropy(engine.forward(*arguments), wanted) / pieces
        engine.backward(loss, last=number == pieces)
        total += loss.item()
    assert engine.step(lr)
    return total


def trained(
    pool: ModelPool, config: StudentConfig, backend: str, precision: str, pieces: int
) -> tuple[list[float], torch.Tensor]:
    """Losses of 8 steps, and logits after them."""
    student = make_student(config, pool, seed=0, words=None)
    using = EngineConfig.model_validate({"backend": backend, "precision": precision})
    inputs = IDS, torch.ones_like(IDS)
    with training_engine(student.module.train(), student.parameters, GENTLE, using) as engine:
        assert engine.name == backend
        losses = [stepped(engine, inputs, pieces) for _ in range(8)]
        with torch.no_grad():
            return losses, student.module.eval()(*inputs)


@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize("config", [Lora(rank=4), Full()], ids=["lora", "full"])
def test_a_student_trains_as_it_does_on_deepspeed(
    pool: ModelPool, config: StudentConfig, pieces: int
) -> None:
    losses, said = trained(pool, config, "torch", "fp32", pieces)
    expected, wanted = trained(pool, config, "deepspeed", "fp32", pieces)
    assert losses == pytest.approx(expected, rel=1e-6)
    assert losses[-1] < losses[0]
    torch.testing.assert_close(said, wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("config", "pieces", "at_once"),
    [(Lora(rank=4), 1, True), (Lora(rank=4), 3, False), (Full(), 1, False), (Full(), 3, True)],
)
def test_in_bf16_it_differs_from_deepspeed_by_rounding_alone(
    pool: ModelPool, monkeypatch: pytest.MonkeyPatch, config: StudentConfig, pieces: int, at_once: bool
) -> None:
    monkeypatch.setattr(plain_engine, "BUCKET", 2**25 if at_once else 0)
    losses, said = trained(pool, config, "torch", "bf16", pieces)
    expected, wanted = trained(pool, config, "deepspeed", "bf16", pieces)
    assert losses[0] == pytest.approx(expected[0], rel=1e-6)  # before a step there is nothing to differ
    assert losses == pytest.approx(expected, abs=2e-3)
    assert losses[-1] < losses[0] - 0.02
    torch.testing.assert_close(said, wanted, rtol=0, atol=2e-2)


@pytest.mark.parametrize("at_once", [True, False])
def test_neither_sums_of_gradients_nor_steps_are_rounded_to_bf16(
    monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    monkeypatch.setattr(plain_engine, "BUCKET", 2**25 if at_once else 0)
    layer, examples = nn.Linear(1, 1, bias=False), torch.tensor([[256.0], [1.0], [1.0], [-256.0]]).bfloat16()
    nn.init.ones_(layer.weight)
    # Without memory, Adam moves a weight by the learning rate in the direction of the gradient's sign.
    optim = Adamw(clip=0, weight_decay=0, beta1=0, beta2=0)
    with training_engine(layer, [layer.weight], optim, EngineConfig(precision="bf16")) as engine:
        assert layer.weight.dtype == torch.bfloat16
        for _ in range(100):
            for number, example in enumerate(examples):  # in bf16, 256 + 1 is 256
                engine.backward(engine.forward(example).float().sum(), last=number == 3)
            engine.step(1e-4)  # in bf16, 1 - 1e-4 is 1
        assert layer.weight.item() == pytest.approx(1 - 100 * 1e-4, abs=2**-8)


class Wrapped(nn.Module):
    """The same computation in a module that is no bare head."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        said: torch.Tensor = self.head(features)
        return said


def test_a_probe_trains_on_torch_whatever_the_settings() -> None:
    plain, other = new_head(5, seed=1), Wrapped(new_head(5, seed=1))
    using = EngineConfig(zero_stage=2)
    with training_engine(plain, list(plain.parameters()), OPTIM, using) as engine:
        assert isinstance(engine, PlainEngine)
        losses = [one_step(engine) for _ in range(8)]
    with training_engine(other, list(other.parameters()), OPTIM, using) as engine:
        assert isinstance(engine, Engine)
        expected = [one_step(engine) for _ in range(8)]
    assert losses == pytest.approx(expected, rel=1e-6)
    torch.testing.assert_close(plain.weight, other.head.weight, rtol=0, atol=1e-6)


def test_the_first_step_by_hand() -> None:
    # Adam's first step is the learning rate in the direction of the sign, after decay by lr x weight_decay.
    head = new_head(5, seed=1)
    before = head.weight.detach().clone()
    gradient = torch.autograd.grad(nn.functional.cross_entropy(head(FEATURES), WANTED), head.weight)[0]
    with training_engine(head, list(head.parameters()), OPTIM, EngineConfig(zero_stage=3)) as engine:
        one_step(engine)
    expected = before * (1 - 0.05 * 0.1) - 0.05 * gradient.sign()
    torch.testing.assert_close(head.weight, expected, rtol=0, atol=1e-5)


def _head(seed: int) -> nn.Module:
    return new_head(5, seed=seed)


def _wrapped(seed: int) -> nn.Module:
    return Wrapped(new_head(5, seed=seed))


def _in_half(seed: int) -> nn.Module:
    layer = nn.Linear(5, 2).bfloat16()
    with torch.no_grad():
        layer.weight.copy_(new_head(5, seed=seed).weight)
        layer.bias.zero_()
    return Float(layer)


class Float(nn.Module):
    """A layer in half precision between numbers in float32."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        said: torch.Tensor = self.layer(features.bfloat16()).float()
        return said


@pytest.mark.parametrize(
    ("make", "precision"), [(_head, "fp32"), (_wrapped, "fp32"), (_wrapped, "bf16"), (_in_half, "bf16")]
)
def test_a_saved_state_gives_the_same_next_steps(
    make: Callable[[int], nn.Module], precision: str, tmp_path: Path
) -> None:
    using = EngineConfig.model_validate({"precision": precision})
    model, other = make(1), make(2)
    with training_engine(model, list(model.parameters()), OPTIM, using) as engine:
        for _ in range(3):
            one_step(engine)
        engine.save(tmp_path / "state", {"micro_batch": 4})
        expected = [one_step(engine) for _ in range(3)]
    with training_engine(other, list(other.parameters()), OPTIM, using) as engine:
        assert engine.load(tmp_path / "state") == {"micro_batch": 4}
        assert [one_step(engine) for _ in range(3)] == expected


def test_a_saved_state_holds_what_is_trained_alone(pool: ModelPool, tmp_path: Path) -> None:
    student = make_student(Lora(rank=2), pool, seed=0, words=None)
    with training_engine(
        student.module, student.parameters, GENTLE, EngineConfig(precision="bf16")
    ) as engine:
        engine.save(tmp_path, {})
    saved = torch.load(tmp_path / "state.pt", weights_only=True)["weights"]
    assert {name.split(".")[-1] for name in saved} == {"weight", "bias"}
    assert all("lora" in name or name.startswith("head.") for name in saved)
    assert {weight.dtype for weight in saved.values()} == {torch.float32}


@pytest.mark.parametrize("at_once", [True, False])
def test_closing_frees_the_model_and_leaves_no_trace_on_it(
    pool: ModelPool, monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    monkeypatch.setattr(plain_engine, "BUCKET", 2**25 if at_once else 0)
    student = make_student(Lora(rank=2), pool, seed=0, words=None)
    module, parameters, using = student.module, student.parameters, EngineConfig(precision="bf16")
    with training_engine(module, parameters, GENTLE, using) as engine:
        engine.backward(engine.forward(IDS, torch.ones_like(IDS)).sum(), last=False)
    assert all(parameter.grad is None for parameter in parameters)
    assert not any(parameter._post_accumulate_grad_hooks for parameter in parameters)
    alive = weakref.ref(module)
    gc.disable()
    try:
        del student, module, parameters, engine
        assert alive() is None
    finally:
        gc.enable()


class _Graphed(torch.autograd.Function):
    """A weight times inputs, whose gradient lies in a buffer that the next backward pass overwrites."""

    buffer = torch.zeros(5)

    @staticmethod
    def forward(ctx: Any, weight: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(inputs)
        return inputs @ weight

    @staticmethod
    def backward(ctx: Any, wanted: torch.Tensor) -> tuple[torch.Tensor, None]:  # type: ignore[override]
        (inputs,) = ctx.saved_tensors
        _Graphed.buffer.copy_(inputs.T @ wanted)
        return _Graphed.buffer.detach(), None


@pytest.mark.parametrize("overwritten", [True, False])
def test_gradients_that_are_overwritten_add_up_all_the_same(overwritten: bool) -> None:
    weight = nn.Parameter(torch.zeros(5))
    engine = PlainEngine(nn.Linear(1, 1), [weight], Adamw(clip=0.0))
    engine.overwritten = overwritten
    for number, piece in enumerate(FEATURES.chunk(3), start=1):
        out: torch.Tensor = _Graphed.apply(weight, piece)
        engine.backward(out.sum(), last=number == 3)
    assert weight.grad is not None
    assert torch.allclose(weight.grad, FEATURES.sum(dim=0)) == overwritten
