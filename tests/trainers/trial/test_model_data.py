from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from trainers.data.settings import SplitSizes, ToyTask
from trainers.data.tokens import Tokens
from trainers.data.toy_task import load_toy
from trainers.models.pool import ModelPool
from trainers.models.prompts import render
from trainers.models.settings import ToyModel
from trainers.training.loop import FeatureInputs, TokenInputs
from trainers.trial import model_data
from trainers.trial.model_data import Array, ModelData, Timed, reading_s

MODEL = ToyModel(size="weak")


class Kept:
    """Shared arrays of one process. computed: the names of those that had to be computed, in order."""

    def __init__(self) -> None:
        self.computed: list[str] = []
        self._arrays: dict[str, Array] = {}

    def __call__(self, name: str, compute: Callable[[], Array], /) -> Array:
        if name not in self._arrays:
            self.computed.append(name)
            self._arrays[name] = compute()
        return self._arrays[name]


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    task = load_toy(ToyTask(splits=SplitSizes(weak_train=2, transfer=9, search=1, test=1)))
    return render(MODEL, task.inputs["transfer"])


@pytest.fixture
def pool(tmp_path: Path) -> ModelPool:
    return ModelPool(MODEL, cache=tmp_path)


@pytest.mark.usefixtures("warm")
def test_a_student_of_tokens_gets_tokens_and_a_probe_the_hidden_states_of_its_layer(
    pool: ModelPool, tokens: Tokens
) -> None:
    data = ModelData(pool, {"transfer": tokens})
    whole = data.inputs("transfer", None)
    assert isinstance(whole, TokenInputs)
    assert (whole.tokens, whole.pad_id) == (tokens, pool.pad_id)
    frozen = data.inputs("transfer", 1)
    assert isinstance(frozen, FeatureInputs)
    model = pool.fresh(seed=5)  # its head plays no part
    with torch.no_grad():
        expected = model.features(*whole.batch(np.arange(9)), layer=1)
    torch.testing.assert_close(frozen.features, expected)


@pytest.mark.usefixtures("warm")
def test_features_of_the_same_model_and_tokens_are_computed_once_whoever_asks(
    pool: ModelPool, tokens: Tokens
) -> None:
    kept = Kept()
    first = ModelData(pool, {"transfer": tokens}, kept).features("transfer", 1)
    again = ModelData(pool.another(MODEL), {"search": tokens}, kept).features("search", 1)
    assert torch.equal(first, again)
    assert len(kept.computed) == 1


@pytest.mark.usefixtures("warm")
def test_one_pass_computes_all_layers_where_they_fit(
    pool: ModelPool, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    strong = pool.another(ToyModel(size="strong", pretrain_steps=1))
    found, computed = [], []
    # 9 examples of three layers in float32 are one byte too many for the second limit.
    size = 4 * 9 * 3 * strong.hidden
    for limit in (size, size - 1):
        monkeypatch.setattr(model_data, "ALL_LAYERS_BYTES", limit)
        kept = Kept()
        data = ModelData(strong, {"transfer": tokens}, kept)
        found.append([data.features("transfer", layer) for layer in (1, 2, 3)])
        computed.append(len(kept.computed))
    assert computed == [1, 3]
    for together, alone in zip(*found, strict=True):
        assert torch.equal(together, alone)
    assert not torch.equal(found[0][0], found[0][1])


@pytest.mark.usefixtures("warm")
def test_features_of_another_layer_model_or_split_are_others(
    pool: ModelPool, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_data, "ALL_LAYERS_BYTES", 0)
    kept = Kept()
    shifted = replace(tokens, ids=tokens.ids[::-1].copy())
    divided = tokens.only(range(4))
    strong = pool.another(ToyModel(size="strong", pretrain_steps=1))
    asked = [
        (pool, tokens, 1),
        (pool, shifted, 1),
        (pool, divided, 1),
        (strong, tokens, 1),
        (strong, tokens, 2),
    ]
    for of, which, layer in asked:
        features = ModelData(of, {"test": which}, kept).features("test", layer)
        assert features.shape == (len(which), of.hidden)
    assert len(set(kept.computed)) == len(asked)


@pytest.mark.usefixtures("warm")
def test_pairs_in_both_orders_are_all_as_shown_then_all_exchanged(pool: ModelPool, tokens: Tokens) -> None:
    exchanged = replace(tokens, ids=tokens.ids[::-1].copy())
    kept = Kept()
    data = ModelData(pool, {"transfer": tokens}, kept, {"transfer": exchanged})
    both = data.inputs("transfer", None, "both")
    assert len(both.lengths) == 18
    for row, (of, place) in {0: (tokens, 0), 8: (tokens, 8), 9: (exchanged, 0), 17: (exchanged, 8)}.items():
        expected, _ = of.pad_batch(np.array([place]), pool.pad_id)
        assert torch.equal(both.batch(np.array([row]))[0], expected)
    features = data.features("transfer", 1, "both")
    assert torch.equal(features[:9], data.features("transfer", 1))
    assert torch.equal(features[9:], data.features("transfer", 1, "swapped"))
    assert len(kept.computed) == 2  # once for each order
    asked = data.asked("transfer", 1, orders=2)
    assert asked.swapped is not None
    assert torch.equal(asked.swapped.batch(np.arange(9))[0], features[9:])
    assert data.asked("transfer", 1, orders=1).swapped is None


def test_the_wait_for_what_is_shared_is_timed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neighbours take 3 s to compute, of which the features that they ask for take 2."""
    now = [0.0]
    monkeypatch.setattr(model_data.time, "perf_counter", lambda: now[0])
    timed = Timed(Kept())

    def features() -> Array:
        now[0] += 2.0
        return np.zeros(1)

    def neighbours() -> Array:
        now[0] += 1.0
        return timed("features", features)

    timed("neighbours", neighbours)
    assert timed.taken_s() == 3.0
    assert timed.taken_s() == 0.0
    timed("neighbours", neighbours)  # is there
    assert timed.taken_s() == 0.0


def test_a_few_examples_tell_what_all_will_take(
    tokens: Tokens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They take one second, two of five times three: once the process has just begun, once it had no core."""
    monkeypatch.setattr(model_data, "SAMPLE", 4)
    clock = iter([0, 3, 3, 4, 4, 7, 7, 8, 8, 9])
    monkeypatch.setattr(model_data.time, "perf_counter", clock.__next__)
    few = tokens.lengths[:4]
    due_s = reading_s(ModelPool(MODEL, cache=tmp_path), (tokens, tokens))
    assert due_s == pytest.approx(2 * tokens.lengths.sum() / (4 * few.max()))
