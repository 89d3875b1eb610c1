import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel

from trainers.components.losses import LogConf, Loss, Xent
from trainers.components.optim import Adamw
from trainers.components.selecting.plans import Phase, Plan
from trainers.components.students import Full, Lora, StudentConfig, make_student
from trainers.data.tokens import Tokens
from trainers.models.head import new_head
from trainers.models.pool import Classifier, ModelPool
from trainers.models.settings import ToyModel
from trainers.training import deepspeed_engine
from trainers.training.compilation import (
    CompiledLayers,
    long_enough,
    padded_lengths,
    repeated_layers,
    share_compiled_code,
    wants_compiled,
)
from trainers.training.deepspeed_engine import training_engine
from trainers.training.loop import Floats, Recipe, TokenInputs, fit, predict
from trainers.training.settings import EngineConfig

N, WORDS = 22, (4, 7)
TWO_BUCKETS, ONE_BUCKET = (9, 24), (9, 16)  # shortest and longest text; every padded length compiles anew
pytestmark = pytest.mark.usefixtures("warm")


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> ModelPool:
    return ModelPool(ToyModel(size="strong", pretrain_steps=1), cache=tmp_path_factory.mktemp("models"))


@pytest.fixture(autouse=True)
def shared_code(compiled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(compiled))
    monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "1")


@pytest.fixture
def without_codegen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers compile as always but for the last step, in which Inductor writes C++ and a compiler runs.

    What our engine, losses, batches and adapters do to compiled layers comes before it.
    """
    compiled = nn.Module.compile

    def traced(layer: nn.Module, *, dynamic: bool, options: dict[str, Any]) -> None:
        compiled(layer, dynamic=dynamic, backend="aot_eager_decomp_partition")

    monkeypatch.setattr(nn.Module, "compile", traced)


def inputs(lengths: Sequence[int] = (), between: tuple[int, int] = ONE_BUCKET) -> TokenInputs:
    """These lengths, or random ones between two."""
    rng = np.random.default_rng(0)
    chosen = np.array(lengths) if lengths else rng.integers(*between, endpoint=True, size=N)
    offsets = np.concatenate([[0], np.cumsum(chosen)]).astype(np.int64)
    ids = rng.integers(3, 60, size=int(offsets[-1]), dtype=np.int32)
    return TokenInputs(tokens=Tokens(ids=ids, offsets=offsets), pad_id=0)


TARGETS = np.random.default_rng(1).integers(0, 2, size=N).astype(np.float32)


def recipe(loss: Loss | None = None, **engine: Any) -> Recipe:
    return Recipe(
        plan=Plan(phases=(Phase(start=0.0, weights=np.ones(N, dtype=np.float32), lr_scale=1.0),)),
        loss=loss or Xent(),
        optim=Adamw(lr=3e-3, epochs=2, batch_size=8),  # batches of 8, 8 and 6
        engine=EngineConfig(**engine),
        seed=0,
    )


def trained(
    model: nn.Module, parameters: list[nn.Parameter], using: Recipe, data: TokenInputs | None = None
) -> Floats:
    data = data or inputs()
    for _ in fit(model, parameters, data, TARGETS, using, (1.0,)):
        said = predict(model, data)
    return said


def student(
    pool: ModelPool, config: StudentConfig, using: Recipe, words: Any = None, data: TokenInputs | None = None
) -> Floats:
    made = make_student(config, pool, seed=0, words=words)
    return trained(made.module, made.parameters, using, data)


def graphs() -> int:
    """How many pieces of code torch has compiled in this process."""
    from torch._dynamo.utils import counters

    return int(counters["stats"]["unique_graphs"])


class Nested(nn.Module):
    """Layers that hold a list of their own."""

    def __init__(self) -> None:
        super().__init__()
        experts = [nn.ModuleList([nn.Linear(9, 9), nn.Linear(9, 9)]) for _ in range(2)]
        self.layers = nn.ModuleList([nn.ModuleDict({"experts": chosen}) for chosen in experts])
        self.others = nn.ModuleList([nn.Linear(2, 2) for _ in range(5)])
        self.mixed = nn.ModuleList([nn.Linear(100, 100), nn.ReLU()])


def test_layers_are_found_by_structure(pool: ModelPool) -> None:
    model = make_student(Lora(rank=2), pool, seed=0, words=None).module
    assert repeated_layers(model) == list(model.body.layers)  # type: ignore[union-attr, arg-type]
    nested = Nested()
    assert repeated_layers(nested) == list(nested.layers)
    assert repeated_layers(nn.Linear(2, 2)) == []


def test_what_is_compiled(pool: ModelPool) -> None:
    model = pool.fresh(0)
    assert wants_compiled(EngineConfig(compile="on"), model)
    assert not wants_compiled(EngineConfig(compile="auto"), model)  # on a CPU
    assert not wants_compiled(EngineConfig(compile="off"), model)
    assert not wants_compiled(EngineConfig(compile="on", zero_stage=3), model)
    assert not wants_compiled(EngineConfig(compile="on"), nn.Linear(2, 2))


def test_a_training_is_long_enough_with_48_steps_for_each_padded_length() -> None:
    # The longest of batches of two have 64, 40 and 12 tokens: three padded lengths, 64, 40 and 16.
    lengths = np.array([10, 39, 64, 12, 40, 63])
    assert padded_lengths(lengths, batch_size=2) == 3
    assert not long_enough(3, steps=3 * 48 - 1)
    assert long_enough(3, steps=3 * 48)
    # 57 to 64 tokens are all padded to 64.
    assert padded_lengths(np.arange(57, 65), batch_size=2) == 1


@pytest.mark.parametrize(
    ("asked", "epochs", "given"), [("auto", 16, "auto"), ("auto", 8, "off"), ("on", 1, "on")]
)
def test_short_trainings_are_compiled_only_when_asked(
    pool: ModelPool, monkeypatch: pytest.MonkeyPatch, asked: str, epochs: int, given: str
) -> None:
    seen: list[str] = []

    def uncompiled(config: EngineConfig, model: nn.Module) -> bool:
        seen.append(config.compile)
        return False

    monkeypatch.setattr(deepspeed_engine, "wants_compiled", uncompiled)
    using = recipe(compile=asked)
    using = replace(using, optim=using.optim.model_copy(update={"epochs": epochs}))
    made = make_student(Lora(rank=2), pool, seed=0, words=None)
    # 3 steps an epoch and one padded length: 16 epochs have the 48 steps.
    steps = fit(made.module, made.parameters, inputs([16] * N), TARGETS, using, (0.1, 1.0))
    next(steps)
    steps.close()
    assert seen == [given]


CASES: dict[str, tuple[StudentConfig, Loss, dict[str, Any]]] = {
    "lora": (Lora(rank=4), Xent(), {}),
    "full": (Full(), Xent(), {}),
    "pieces": (Lora(rank=4), Xent(), {"micro_batch": 3}),
    "coupled pieces": (Lora(rank=4), LogConf(aux=0.7, warmup=0.0), {"micro_batch": 3}),
    "checkpointing": (Lora(rank=4), Xent(), {"gradient_checkpointing": True}),
    "ZeRO 1": (Full(), Xent(), {"zero_stage": 1}),
    "ZeRO 2": (Full(), Xent(), {"zero_stage": 2}),
    "offload": (Full(), Xent(), {"zero_stage": 2, "offload": True}),
    "ZeRO 3": (Full(), Xent(), {"zero_stage": 3}),
}


@pytest.mark.slow
@pytest.mark.usefixtures("without_codegen")
@pytest.mark.parametrize("name", CASES)
def test_compiled_layers_train_as_they_do_uncompiled(pool: ModelPool, name: str) -> None:
    config, loss, engine = CASES[name]
    data = inputs(between=TWO_BUCKETS if isinstance(config, Full) else ONE_BUCKET)
    expected = student(pool, config, recipe(loss, **engine, compile="off"), data=data)
    torch._dynamo.reset()
    before = graphs()
    said = student(pool, config, recipe(loss, **engine, compile="on"), data=data)
    assert (graphs() > before) == (name != "ZeRO 3")
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(said, expected, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("without_codegen")
@pytest.mark.parametrize("stage", [0, 2])
def test_bf16_trains_as_it_does_uncompiled(pool: ModelPool, stage: int) -> None:
    said = [
        student(pool, Lora(rank=4), recipe(precision="bf16", zero_stage=stage, compile=compiled))
        for compiled in ("off", "on")
    ]
    np.testing.assert_allclose(said[0], said[1], rtol=0, atol=0.02)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_generated_code_trains_alike_and_draws_the_same_dropout_where_no_padding_is_added(
    pool: ModelPool,
) -> None:
    said = []
    for compiled in ("off", "on"):
        made = make_student(Lora(rank=4, dropout=0.5), pool, seed=0, words=None)
        data, using = inputs([16] * N), recipe(micro_batch=2, compile=compiled)
        for _ in fit(made.module, made.parameters, data, TARGETS, using, (1.0,)):
            said.append(predict(made.module, data))
    assert np.ptp(said[0]) > 0.01
    np.testing.assert_allclose(said[0], said[1], rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("without_codegen")
def test_label_tokens_train_as_they_do_uncompiled(tmp_path: Path) -> None:
    readers = ModelPool(ToyModel(size="weak", readout="label_tokens"), cache=tmp_path)
    said = [student(readers, Full(), recipe(compile=compiled), words=WORDS) for compiled in ("off", "on")]
    np.testing.assert_allclose(said[0], said[1], rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("without_codegen")
def test_an_encoder_does_not_look_at_the_padding_of_its_bucket() -> None:
    said = []
    for compiled in ("off", "on"):
        torch.manual_seed(0)
        shape = BertConfig(
            vocab_size=64,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=25,  # the bucket of the longest row, 24, is near
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        model = Classifier(BertModel(shape, add_pooling_layer=False), "mean", new_head(16, seed=0))
        data = inputs(between=TWO_BUCKETS)
        said.append(trained(model, list(model.parameters()), recipe(compile=compiled), data))
    np.testing.assert_allclose(said[0], said[1], rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("without_codegen")
def test_later_trials_compile_nothing(pool: ModelPool) -> None:
    student(pool, Lora(rank=3, alpha=8), recipe(compile="on"))
    before = graphs()
    student(pool, Lora(rank=3, alpha=8), recipe(compile="on"))
    student(pool, Lora(rank=3, alpha=50), recipe(compile="on"))
    assert graphs() == before
    student(pool, Lora(rank=5), recipe(compile="on"))
    assert graphs() > before


@pytest.mark.slow
def test_a_compiler_that_fails_leaves_layers_uncompiled(
    pool: ModelPool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import torch._inductor.config

    expected = student(pool, Full(), recipe(compile="off"))
    torch._dynamo.reset()
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    without = torch._inductor.config.patch({"cpp.cxx": ("no-compiler-of-this-name",)})
    with without, caplog.at_level(logging.WARNING, logger="trainers"):
        said = student(pool, Full(), recipe(compile="on"))
    torch._dynamo.reset()
    (warning,) = [record.getMessage() for record in caplog.records if record.name.startswith("trainers")]
    assert warning.startswith("layers run uncompiled: ")
    np.testing.assert_allclose(said, expected, rtol=0, atol=1e-5)


def test_layers_are_left_as_they_were(pool: ModelPool) -> None:
    made = make_student(Lora(rank=2, alpha=3, rslora=False), pool, seed=0, words=None)
    adapter = repeated_layers(made.module)[0].mlp.down_proj  # type: ignore[union-attr]
    using = EngineConfig(compile="on")
    with training_engine(made.module, made.parameters, Adamw(), using) as engine:
        assert engine.compiled
        assert isinstance(adapter.scaling["default"], torch.Tensor)  # type: ignore[union-attr, index]
    assert adapter.scaling == {"default": 1.5}  # type: ignore[union-attr]
    assert [layer._compiled_call_impl for layer in repeated_layers(made.module)] == [None] * 3


def test_layers_that_are_evaluated_run_uncompiled(pool: ModelPool) -> None:
    model = pool.fresh(0)
    layers = CompiledLayers(repeated_layers(model))
    before = graphs()
    predict(model, inputs())
    assert graphs() == before
    layers.undo()


def test_compiled_code_is_kept_in_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    share_compiled_code(tmp_path)  # the environment names another place, which stays
    assert Path(_kept()) != tmp_path / "compiled"
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    share_compiled_code(tmp_path)
    assert Path(_kept()) == tmp_path / "compiled"


def _kept() -> str:
    import os

    return os.environ["TORCHINDUCTOR_CACHE_DIR"]


def test_batches_for_compiled_code_come_in_few_shapes() -> None:
    examples = TokenInputs(
        tokens=Tokens(ids=np.arange(30, dtype=np.int32), offsets=np.array([0, 3, 12, 30])), pad_id=99
    )

    def shape(rows: Sequence[int], fill: int | None) -> tuple[int, ...]:
        return tuple(examples.batch(np.array(rows), fill)[0].shape)

    assert shape([0], None) == (1, 3)
    assert shape([0], 1) == (1, 8)
    assert shape([0, 1], 4) == (4, 16)
    assert shape([2], 2) == (2, 18)  # the bucket of 18 is 24, but no row is longer than 18
    ids, mask = examples.batch(np.array([0]), 2)
    assert ids.tolist() == [[0, 1, 2, 99, 99, 99, 99, 99]] * 2
    assert mask.sum(dim=1).tolist() == [3, 3]
