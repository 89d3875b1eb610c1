"""Examples in two forms that contradict each other, and what a probe without labels finds in them."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from trainers.components.repairing.consistency import consistency_probs
from trainers.data.tokens import Tokens
from trainers.models.pool import Classifier, ModelPool
from trainers.models.prompts import Question
from trainers.training.loop import Floats, TokenInputs, forward

MOST_LAYERS = 6  # whose probes are compared: evenly spread, the last one among them
SEED = 0  # of the probe's starts, the same for every trial of a campaign: no label plays a part


def consistency_of_orders(pool: ModelPool, shown: Tokens, swapped: Tokens) -> Floats:
    """P of one of the two classes, float32 [n], from pairs in the order shown and exchanged.

    By `repairing.consistency.consistency_probs` on the untouched model's features of up to six layers, which
    one pass over each order computes.
    """
    return _consistency(pool, pool.fresh(seed=0, words=shown.words), shown, swapped)


def consistency_of_answers(pool: ModelPool, questions: Sequence[Question]) -> Floats:
    """The same from single texts: the first template's question with either answer, read at the last token.

    Raises ValueError if the model is no language model or has no questions.
    """
    if not questions or questions[0].shown.words is None:
        raise ValueError("this strong model cannot be asked: it is no language model")
    asked, words = questions[0].shown, questions[0].shown.words
    limit = pool.tokenizer.model_max_length
    negative, positive = (answered(asked, word, limit) for word in words)
    return _consistency(pool, pool.speaker(words), positive, negative)


def answered(tokens: Tokens, word: int, max_length: int) -> Tokens:
    """The rows with a token after each; a row of `max_length` loses its second token to make room for it."""
    rows = np.split(tokens.ids, tokens.offsets[1:-1])
    longer = [np.append(row if len(row) < max_length else np.delete(row, 1), word) for row in rows]
    offsets = np.cumsum([0, *map(len, longer)])
    return Tokens(ids=np.concatenate(longer).astype(np.int32), offsets=offsets)


def spread_layers(depth: int) -> list[int]:
    """Up to six layers of a model, counted from 1, evenly spread; the last one is among them."""
    count = min(depth, MOST_LAYERS)
    return [round((i + 1) * depth / count) for i in range(count)]


def _consistency(pool: ModelPool, model: Classifier, positive: Tokens, negative: Tokens) -> Floats:
    layers, width = spread_layers(model.depth), pool.hidden
    read = partial(model.features_of, layers=layers)
    forms = [
        forward(read, TokenInputs(tokens=tokens, pad_id=pool.pad_id), model).numpy()
        for tokens in (positive, negative)
    ]
    cuts = [slice(i * width, (i + 1) * width) for i in range(len(layers))]
    found = consistency_probs(((forms[0][:, cut], forms[1][:, cut]) for cut in cuts), SEED)
    return found.astype(np.float32)
