from collections.abc import Iterator

import numpy as np
import pytest
import torch

from tests.trainers.training.conftest import everything, recipe, trained
from trainers.components.optim import Adamw
from trainers.data.tokens import Tokens
from trainers.models.pool import ModelPool
from trainers.models.settings import ToyModel
from trainers.training.inputs import TokenInputs
from trainers.training.memory.pieces import decided, limit_memory
from trainers.training.settings import EngineConfig

EXAMPLES, LENGTH, BATCH = 16, 40, 8


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> ModelPool:
    return ModelPool(ToyModel(size="weak", pretrain_steps=1), cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture
def limit() -> Iterator[None]:
    yield
    limit_memory(None)


def chosen(pool: ModelPool, **engine: object) -> EngineConfig:
    model = pool.fresh(0)
    return decided(
        EngineConfig.model_validate(engine), model, list(model.parameters()), longest=LENGTH, batch_size=BATCH
    )


def test_without_a_known_memory_all_of_the_batch_stays(pool: ModelPool) -> None:
    if torch.cuda.is_available():
        pytest.skip("a GPU's memory is known")
    assert chosen(pool) == EngineConfig(micro_batch=None, gradient_checkpointing=False)
    assert chosen(pool, gradient_checkpointing=True).gradient_checkpointing


@pytest.mark.usefixtures("limit")
def test_a_limit_decides(pool: ModelPool) -> None:
    limit_memory(80)
    assert chosen(pool) == EngineConfig(micro_batch=BATCH, gradient_checkpointing=False)
    limit_memory(1)  # less than the margin of a process: the smallest is tried
    assert chosen(pool).micro_batch == 1
    assert chosen(pool).is_decided
    assert chosen(pool, micro_batch=2, gradient_checkpointing=False).micro_batch == 2


@pytest.mark.usefixtures("limit")
def test_a_model_of_unknown_shape_stays_whole() -> None:
    limit_memory(1)
    head = torch.nn.Linear(3, 2)
    engine = decided(EngineConfig(), head, list(head.parameters()), longest=1, batch_size=BATCH)
    assert engine == EngineConfig(gradient_checkpointing=False)


@pytest.mark.usefixtures("warm", "limit")
def test_a_training_learns_the_same_in_the_chosen_pieces(pool: ModelPool) -> None:
    offsets = np.arange(EXAMPLES + 1, dtype=np.int64) * LENGTH
    ids = np.random.default_rng(0).integers(3, 60, size=EXAMPLES * LENGTH, dtype=np.int32)
    data = TokenInputs(tokens=Tokens(ids=ids, offsets=offsets), pad_id=0)
    targets = np.tile([0.0, 1.0], EXAMPLES // 2).astype(np.float32)
    using = recipe(Adamw(lr=1e-3, epochs=1, batch_size=BATCH), plan=everything(EXAMPLES))
    whole = trained(pool.fresh(0), (data, targets), using)
    limit_memory(1)  # one at a time
    pieces = trained(pool.fresh(0), (data, targets), using)
    for one, other in zip(whole, pieces, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=2e-5)
