"""Two forms of each example, and the probe that reads them, on a small real language model."""

from pathlib import Path

import numpy as np
import pytest

from trainers.components.repairing import consistency as fitting
from trainers.components.repairing.consistency import with_sign
from trainers.data.examples import Examples
from trainers.data.tokens import Tokens
from trainers.models.pool import ModelPool
from trainers.models.prompts import Question, ask, render
from trainers.models.settings import HubModel
from trainers.trial import contrast
from trainers.trial.contrast import answered, consistency_of_answers, consistency_of_orders, spread_layers

PAIRS = Examples(
    texts=tuple(f"what did {name} see?" for name in ("tim", "lily", "ben", "sam", "anna", "tom")),
    pairs=tuple((f"a big {a}", f"the {b} was small") for a, b in zip("abcdef", "uvwxyz", strict=True)),
)
SINGLES = Examples(texts=("once upon a time", "there was a girl", "no", "the dog was sad", "yes yes"))


@pytest.fixture(scope="module")
def pool(shared: Path) -> ModelPool:
    config = HubModel(path=str(shared / "models/stories260K"), max_length=96)
    return ModelPool(config, cache=shared)


def test_an_answer_is_one_more_token_within_the_longest_length() -> None:
    tokens = Tokens(
        ids=np.array([1, 5, 6, 1, 7, 8, 9], dtype=np.int32), offsets=np.array([0, 3, 7]), words=(2, 3)
    )
    longer = answered(tokens, 3, 4)
    assert [row.tolist() for row in np.split(longer.ids, longer.offsets[1:-1])] == [
        [1, 5, 6, 3],
        [1, 8, 9, 3],
    ]
    assert (longer.ids.dtype, longer.offsets.dtype) == (np.int32, np.int64)


@pytest.mark.parametrize(
    ("depth", "layers"),
    [(1, [1]), (5, [1, 2, 3, 4, 5]), (6, [1, 2, 3, 4, 5, 6]), (12, [2, 4, 6, 8, 10, 12]), (36, None)],
)
def test_layers_are_spread_up_to_the_last(depth: int, layers: list[int] | None) -> None:
    assert spread_layers(depth) == (layers or [6, 12, 18, 24, 30, 36])


@pytest.mark.usefixtures("warm")
def test_pairs_and_their_exchange_are_the_two_forms(pool: ModelPool) -> None:
    shown, swapped = (render(pool.config, examples) for examples in (PAIRS, PAIRS.exchanged()))
    there = consistency_of_orders(pool, shown, swapped)
    assert there.dtype == np.float32
    assert there.shape == (6,)
    assert ((there >= 0) & (there <= 1)).all()
    assert np.array_equal(there, consistency_of_orders(pool, shown, swapped))
    weak = there > 0.5
    back = consistency_of_orders(pool, swapped, shown)
    np.testing.assert_allclose(with_sign(back, 1 - weak.astype(float)) + there, 1, atol=0.2)


@pytest.mark.usefixtures("warm")
def test_the_features_of_every_layer_are_compared(pool: ModelPool, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def remembered(layers: list[tuple[np.ndarray, np.ndarray]], seed: int) -> np.ndarray:
        seen.extend(layers)
        return fitting.consistency_probs(seen, seed)

    monkeypatch.setattr(contrast, "consistency_probs", remembered)
    shown, swapped = (render(pool.config, examples) for examples in (PAIRS, PAIRS.exchanged()))
    consistency_of_orders(pool, shown, swapped)
    assert len(seen) == pool.layer_at(1.0) == 5
    model = pool.fresh(seed=0)
    ids, mask = swapped.pad_batch(np.arange(6), pool.pad_id)
    for layer, (_, negative) in enumerate(seen, start=1):
        expected = model.features(ids, mask, layer=layer).detach().numpy()
        np.testing.assert_allclose(negative, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("warm")
def test_single_texts_are_read_after_either_answer(pool: ModelPool) -> None:
    found = consistency_of_answers(pool, ask(pool.config, SINGLES))
    assert found.shape == (5,)
    assert np.ptp(found) > 0


def test_a_model_that_cannot_be_asked_has_no_answers(pool: ModelPool) -> None:
    with pytest.raises(ValueError, match="this strong model cannot be asked: it is no language model"):
        consistency_of_answers(pool, ())
    wordless = Tokens(ids=np.array([1], dtype=np.int32), offsets=np.array([0, 1]))
    with pytest.raises(ValueError, match="cannot be asked"):
        consistency_of_answers(pool, (Question(shown=wordless, swapped=None),))
