from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from trainers.data.examples import Examples
from trainers.data.tokens import Tokens
from trainers.models.pool import ModelPool
from trainers.models.prompts import ask
from trainers.models.settings import HubModel
from trainers.trial.zero_shot import zero_shot, zero_shot_margins

SINGLES = Examples(texts=("once upon a time", "there was a girl", "no"))
PAIRS = Examples(
    texts=("which?", "and here?"), pairs=(("a cat", "a dog is here"), ("it was red", "it was blue"))
)


@pytest.fixture(scope="module")
def pool(shared: Path) -> ModelPool:
    config = HubModel(path=str(shared / "models/stories260K"), max_length=256)
    return ModelPool(config, cache=shared)


@torch.no_grad()
def by_hand(pool: ModelPool, tokens: Tokens) -> np.ndarray:
    """P(second word) at the end of each row, one row at a time, by the whole language model."""
    model = AutoModelForCausalLM.from_pretrained(pool.config.path)  # type: ignore[union-attr]
    rows = [torch.from_numpy(row.astype(np.int64)) for row in np.split(tokens.ids, tokens.offsets[1:-1])]
    ends = torch.stack([model(row[None]).logits[0, -1] for row in rows])
    return torch.softmax(ends[:, list(tokens.words or ())], dim=1)[:, 1].numpy()


def test_single_texts_are_the_mean_over_templates(pool: ModelPool) -> None:
    questions = ask(pool.config, SINGLES)
    expected = np.mean([by_hand(pool, question.shown) for question in questions], axis=0)
    prior = zero_shot(zero_shot_margins(pool, questions))
    assert prior.dtype == np.float32
    np.testing.assert_allclose(prior, expected, rtol=1e-4)
    assert np.ptp(prior) > 1e-3


def test_pairs_are_asked_in_both_orders(pool: ModelPool) -> None:
    questions = ask(pool.config, PAIRS)
    one = [(by_hand(pool, q.shown) + 1 - by_hand(pool, q.swapped)) / 2 for q in questions if q.swapped]
    np.testing.assert_allclose(zero_shot(zero_shot_margins(pool, questions)), np.mean(one, axis=0), rtol=1e-4)


def test_a_pair_and_the_pair_exchanged_add_up_to_one(pool: ModelPool) -> None:
    assert PAIRS.pairs is not None
    exchanged = replace(PAIRS, pairs=tuple((b, a) for a, b in PAIRS.pairs))
    there, back = (
        zero_shot(zero_shot_margins(pool, ask(pool.config, examples))) for examples in (PAIRS, exchanged)
    )
    np.testing.assert_allclose(there + back, 1, rtol=1e-5)
    assert np.abs(there - 0.5).max() > 1e-3  # and not because all of them are one half


def test_a_model_that_was_not_asked_has_no_prior(pool: ModelPool) -> None:
    with pytest.raises(ValueError, match="this strong model has no zero-shot prior: it is no language model"):
        zero_shot_margins(pool, ())


def test_a_margin_of_every_template_and_order_is_kept(pool: ModelPool) -> None:
    questions = ask(pool.config, PAIRS)
    margins = zero_shot_margins(pool, questions)
    assert margins.dtype == np.float32
    assert margins.shape == (len(questions), 2, len(PAIRS))
    for question, of_question in zip(questions, margins, strict=True):
        assert question.swapped is not None
        shown, swapped = (by_hand(pool, tokens) for tokens in (question.shown, question.swapped))
        np.testing.assert_allclose(of_question[0], np.log(shown / (1 - shown)), rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(of_question[1], -np.log(swapped / (1 - swapped)), rtol=1e-3, atol=1e-4)
    assert zero_shot_margins(pool, ask(pool.config, SINGLES)).shape == (len(questions), 1, len(SINGLES))


def test_the_prior_is_the_mean_probability_of_the_margins() -> None:
    margins = np.log(np.array([[[1.0, 3.0], [3.0, 1.0]], [[1.0, 9.0], [1.0, 1 / 3]]], dtype=np.float32))
    # Odds 1, 3, 1, 1 and 3, 1, 9, 1/3: (.5 + .75 + .5 + .5)/4 and (.75 + .5 + .9 + .25)/4.
    assert zero_shot(margins).tolist() == pytest.approx([2.25 / 4, 2.4 / 4])
