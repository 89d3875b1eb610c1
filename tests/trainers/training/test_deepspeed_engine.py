from pathlib import Path

import numpy as np
import pytest
import torch

from trainers.components.optim import Adamw
from trainers.models.pool import Classifier, ModelPool
from trainers.models.settings import ToyModel
from trainers.training.deepspeed_engine import Engine, reusable, training_engine
from trainers.training.settings import EngineConfig

IDS = torch.from_numpy(np.random.default_rng(0).integers(3, 60, size=(6, 9)))
MASK = torch.ones_like(IDS)
WANTED = torch.tensor([0, 1, 0, 1, 1, 1])
OPTIM = Adamw(lr=0.01, weight_decay=0.1)
pytestmark = pytest.mark.usefixtures("warm")


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> ModelPool:
    return ModelPool(ToyModel(size="weak"), cache=tmp_path_factory.mktemp("models"))


def on_deepspeed(**config: object) -> EngineConfig:
    return EngineConfig.model_validate({"backend": "deepspeed", **config})


def stepped(model: Classifier, steps: int, **config: object) -> tuple[list[float], list[torch.Tensor]]:
    """Losses before each step, and the parameters after the last."""
    losses = []
    parameters = list(model.parameters())
    with training_engine(model.train(), parameters, OPTIM, on_deepspeed(**config)) as engine:
        assert isinstance(engine, Engine)
        for _ in range(steps):
            losses.append(one_step(engine))
        after = [parameter.detach().clone() for parameter in parameters]
    return losses, after


def one_step(engine: Engine) -> float:
    loss = torch.nn.functional.cross_entropy(engine.forward(IDS, MASK), WANTED)
    engine.backward(loss, last=True)
    engine.step(OPTIM.lr)
    return loss.item()


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_a_member_of_one_computes_the_same_at_every_stage(pool: ModelPool, stage: int) -> None:
    losses, after = stepped(pool.fresh(0), 5, zero_stage=stage)
    expected, parameters = stepped(pool.fresh(0), 5)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    assert expected[-1] < expected[0]
    if stage < 3:  # under ZeRO-3 the weights are in pieces
        for a, b in zip(after, parameters, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-5)


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_offload_computes_the_same(pool: ModelPool, stage: int) -> None:
    losses, _ = stepped(pool.fresh(0), 5, zero_stage=stage, offload=True)
    np.testing.assert_allclose(losses, stepped(pool.fresh(0), 5)[0], rtol=1e-5)


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_bf16_rounds_the_model_but_not_its_steps(pool: ModelPool, stage: int) -> None:
    model = pool.fresh(0)
    with training_engine(model.train(), list(model.parameters()), OPTIM, on_deepspeed(precision="bf16")):
        assert {parameter.dtype for parameter in model.body.parameters()} == {torch.bfloat16}
        # Rounded rotary frequencies would turn a position of 1,000 into another.
        assert {buffer.dtype for buffer in model.buffers()} == {torch.float32}
    losses, _ = stepped(pool.fresh(0), 30, zero_stage=stage, precision="bf16")
    # 30 steps of 1e-2 each; without master weights, most updates of 1e-2 would round away.
    np.testing.assert_allclose(losses, stepped(pool.fresh(0), 30)[0], atol=0.02)


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_heads_compute_in_float32_from_their_own_weights(pool: ModelPool, stage: int, precision: str) -> None:
    config = on_deepspeed(zero_stage=stage, precision=precision)
    model = pool.fresh(0).train()
    with training_engine(model, list(model.parameters()), OPTIM, config) as engine:
        pooled = model.features(IDS, MASK).detach()
        said = engine.forward(IDS, MASK)
        assert said.dtype == torch.float32
        if stage < 3:  # under ZeRO-3 the weights are in pieces, and in the body's type
            before = pool.fresh(0).head.weight.detach()
            assert torch.equal(model.head.weight, before)  # none of it was rounded
            torch.testing.assert_close(said, pooled @ before.T, rtol=1e-6, atol=1e-7)
            engine.backward(said[:, 1].sum(), last=True)
            engine.step(1e-6)  # a step of 1e-6 is lost on a half-precision weight of 0.02
            moved = (model.head.weight - before).abs()
            assert moved[1].max().item() == pytest.approx(1e-6, rel=0.05)


@pytest.mark.parametrize("stage", [0, 2, 3])
def test_label_tokens_compute_in_float32_from_the_bodys_weights(tmp_path: Path, stage: int) -> None:
    readers = ModelPool(ToyModel(size="weak", readout="label_tokens"), cache=tmp_path)
    model = readers.fresh(0, words=(4, 7)).train()
    config = on_deepspeed(zero_stage=stage, precision="bf16")
    with training_engine(model, list(model.parameters()), OPTIM, config) as engine:
        pooled = model.features(IDS, MASK).detach()
        said = engine.forward(IDS, MASK)
        assert said.dtype == torch.float32
        if stage < 3:
            assert model.head.weight is model.body.get_input_embeddings().weight
            by_hand = pooled @ model.head.weight[[4, 7]].float().T
            torch.testing.assert_close(said, by_hand, rtol=1e-6, atol=1e-6)
            assert not torch.equal(said, said.bfloat16().float())
        losses = [one_step(engine) for _ in range(5)]
    assert losses[-1] < losses[0]


def test_fp32_trains_half_precision_weights_in_full(pool: ModelPool) -> None:
    model = pool.fresh(0).bfloat16()
    with training_engine(model, list(model.parameters()), OPTIM, on_deepspeed()):
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_gradient_checkpointing_computes_the_same_and_is_switched_off_again(pool: ModelPool) -> None:
    model = pool.fresh(0)
    with training_engine(model, list(model.parameters()), OPTIM, on_deepspeed(gradient_checkpointing=True)):
        assert model.body.is_activation_checkpointing
    assert not model.body.is_activation_checkpointing
    losses, _ = stepped(pool.fresh(0), 5, gradient_checkpointing=True)
    np.testing.assert_allclose(losses, stepped(pool.fresh(0), 5)[0], rtol=1e-6)


def test_gradient_checkpointing_reaches_a_frozen_body(pool: ModelPool) -> None:
    model = pool.fresh(0).train()
    model.body.requires_grad_(False)
    layer = model.body.layers[0].mlp.down_proj.requires_grad_(True)
    with training_engine(
        model, list(layer.parameters()), OPTIM, on_deepspeed(gradient_checkpointing=True)
    ) as engine:
        before = layer.weight.detach().clone()
        one_step(engine)
        assert not torch.equal(before, layer.weight)


@pytest.mark.parametrize(
    ("stage", "precision"), [(0, "fp32"), (0, "bf16"), (1, "bf16"), (2, "bf16"), (3, "fp32")]
)
def test_a_saved_state_gives_the_same_next_steps(
    pool: ModelPool, stage: int, precision: str, tmp_path: Path
) -> None:
    config = on_deepspeed(zero_stage=stage, precision=precision)
    model = pool.fresh(0).train()
    with training_engine(model, list(model.parameters()), OPTIM, config) as engine:
        for _ in range(3):
            one_step(engine)
        engine.save(tmp_path, {"steps": 3})
        expected = [one_step(engine) for _ in range(3)]
    other = pool.fresh(1).train()
    with training_engine(other, list(other.parameters()), OPTIM, config) as engine:
        assert engine.load(tmp_path) == {"steps": 3}
        assert [one_step(engine) for _ in range(3)] == expected


def test_a_saved_state_leaves_frozen_weights_out(pool: ModelPool, tmp_path: Path) -> None:
    model = pool.fresh(0)
    model.body.requires_grad_(False)
    with training_engine(model, list(model.head.parameters()), OPTIM, on_deepspeed()) as engine:
        engine.save(tmp_path, {})
    saved = torch.load(next(tmp_path.rglob("*model_states.pt")), weights_only=False)["module"]
    assert set(saved) == {"head.weight", "head.bias"}


def test_only_zero_3_wears_a_process_out() -> None:
    assert [reusable(EngineConfig(zero_stage=stage)) for stage in range(4)] == [True, True, True, False]
