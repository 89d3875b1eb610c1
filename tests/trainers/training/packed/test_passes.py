from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters

from trainers.components.losses import LogConf, Loss, Xent
from trainers.components.optim import Adamw
from trainers.components.selecting.plans import Phase, Plan
from trainers.components.students import Full, Lora, StudentConfig, make_student
from trainers.data.tokens import Tokens
from trainers.models.pool import ModelPool
from trainers.models.settings import ToyModel
from trainers.training.inputs import Floats, Inputs, SomeInputs, TokenInputs
from trainers.training.loop import Recipe, fit, predict
from trainers.training.packed import passes
from trainers.training.packed.passes import CAPTURED_WORK, captures, token_rows
from trainers.training.settings import EngineConfig

N, WORDS = 22, (4, 7)
LENGTHS = np.random.default_rng(0).integers(3, 24, endpoint=True, size=N)
TOKENS = Tokens(
    ids=np.random.default_rng(1).integers(3, 60, size=LENGTHS.sum(), dtype=np.int32),
    offsets=np.concatenate([[0], LENGTHS.cumsum()]),
)
INPUTS = TokenInputs(tokens=TOKENS, pad_id=0)
TARGETS = np.random.default_rng(2).integers(0, 2, size=N).astype(np.float32)
pytestmark = pytest.mark.usefixtures("warm")


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> ModelPool:
    return ModelPool(ToyModel(size="strong", pretrain_steps=1), cache=tmp_path_factory.mktemp("models"))


def trained(
    pool: ModelPool,
    config: StudentConfig,
    loss: Loss | None = None,
    words: tuple[int, int] | None = None,
    inputs: Inputs = INPUTS,
    targets: Floats = TARGETS,
    **engine: Any,
) -> tuple[Floats, str]:
    """Predictions after two epochs, and what trained."""
    student = make_student(config, pool, seed=0, words=words)
    n = len(targets)
    recipe = Recipe(
        plan=Plan(phases=(Phase(start=0.0, weights=np.ones(n, dtype=np.float32), lr_scale=1.0),)),
        loss=loss or Xent(),
        optim=Adamw(lr=3e-3, epochs=2, batch_size=8),
        engine=EngineConfig(**engine),
        seed=0,
    )
    said: list[str] = []
    for _ in fit(student.module, student.parameters, inputs, targets, recipe, (1.0,), on_engine=said.append):
        found = predict(student.module, inputs)
    return found, said[0]


@pytest.mark.parametrize(
    ("config", "more"),
    [
        (Lora(rank=2), {}),
        (Full(), {"micro_batch": 3}),
        (Lora(rank=2), {"words": WORDS}),
        (Full(), {"loss": LogConf(aux=0.5), "micro_batch": 3}),
        (Lora(rank=2), {"gradient_checkpointing": True}),
    ],
    ids=["lora", "full, in pieces", "label tokens", "coupled, in pieces", "checkpointing"],
)
def test_a_packed_training_is_the_padded_one(
    pool: ModelPool, config: StudentConfig, more: dict[str, Any]
) -> None:
    padded, _ = trained(pool, config, **more)
    found, engine = trained(pool, config, packing="on", **more)
    assert engine == "torch, packed"
    assert np.ptp(padded) > 0.05
    assert np.abs(found - padded).max() < 1e-5


def test_some_rows_of_others_are_packed_too(pool: ModelPool) -> None:
    rows = np.array([3, 20, 5, 8, 13, 1, 0, 2, 9])
    some = SomeInputs(inputs=INPUTS, rows=rows)
    padded, _ = trained(pool, Full(), inputs=some, targets=TARGETS[rows])
    found, _ = trained(pool, Full(), inputs=some, targets=TARGETS[rows], packing="on")
    assert np.abs(found - padded).max() < 1e-5


def test_one_code_serves_every_number_of_positions(
    pool: ModelPool, monkeypatch: pytest.MonkeyPatch, compiled: Path
) -> None:
    compiles = nn.Module.compile

    def traced(layer: nn.Module, *, dynamic: bool, options: dict[str, Any]) -> None:
        compiles(layer, dynamic=dynamic, backend="aot_eager_decomp_partition")

    monkeypatch.setattr(nn.Module, "compile", traced)
    torch._dynamo.reset()
    before = counters["stats"]["unique_graphs"]
    found, engine = trained(pool, Lora(rank=2), packing="on", compile="on")
    assert engine == "torch, packed, compiled"
    assert counters["stats"]["unique_graphs"] - before == 1
    assert np.abs(found - trained(pool, Lora(rank=2))[0]).max() < 1e-5


def test_what_is_captured(pool: ModelPool, monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = make_student(Lora(rank=2), pool, seed=0, words=None).module
    on = EngineConfig(packing="on", cuda_graphs="on")
    assert captures(on, model) == 0  # on a CPU
    monkeypatch.setattr(passes, "device", lambda: torch.device("cuda", 0))
    weights = sum(parameter.numel() for parameter in model.body.layers.parameters())
    assert captures(on, model) == int(CAPTURED_WORK / weights)
    assert captures(on.model_copy(update={"cuda_graphs": "off"}), model) == 0
    assert captures(on.model_copy(update={"gradient_checkpointing": True}), model) == 0
    monkeypatch.setattr(passes, "CAPTURED_PARAMETERS", 100)
    assert captures(on, model) == 0


def test_token_rows_are_found_through_choices_of_choices() -> None:
    chosen = SomeInputs(inputs=SomeInputs(inputs=INPUTS, rows=np.array([5, 6, 7])), rows=np.array([2, 0]))
    tokens, pad_id, rows = token_rows(chosen, np.array([1, 0]))
    assert tokens is TOKENS
    assert (pad_id, rows.tolist()) == (0, [5, 7])
