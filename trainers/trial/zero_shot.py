"""The strong model's zero-shot prior, before it has seen any label."""

from collections.abc import Sequence
from typing import cast

import numpy as np

from trainers.data.tokens import Tokens
from trainers.models.pool import ModelPool
from trainers.models.prompts import Question
from trainers.training.loop import Floats, TokenInputs, predict


def zero_shot(pool: ModelPool, questions: Sequence[Question]) -> Floats:
    """P(class 1) of every example, float32 [n]: the mean over questions of the language model's answers.

    An answer is the probability of the second of the template's two words at the next token, relative to that
    of both words. A pair is asked in both orders: p = (p(order) + 1 - p(swapped)) / 2, so that a pair and its
    exchange add up to 1 and a preference for a position cancels (Burns et al. 2022, "Discovering Latent
    Knowledge"; Zheng et al. 2023, "Judging LLM-as-a-Judge", on position bias). The result is not balanced
    between classes; callers do that. Raises ValueError if the model is no language model or has no questions.
    """
    if not questions:
        raise ValueError("this strong model has no zero-shot prior: it is no language model")
    speaker = pool.speaker(questions[0].shown.words)

    def answer(tokens: Tokens) -> Floats:
        speaker.words = tokens.words
        return predict(speaker, TokenInputs(tokens=tokens, pad_id=pool.pad_id))

    means = []
    for question in questions:
        shown = answer(question.shown)
        means.append(shown if question.swapped is None else (shown + 1 - answer(question.swapped)) / 2)
    return cast(Floats, np.mean(means, axis=0, dtype=np.float32))
