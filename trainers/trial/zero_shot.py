"""The strong model's zero-shot answers, before it has seen any label."""

from collections.abc import Sequence

import numpy as np

from trainers.components.weak_labels import sigmoid
from trainers.data.tokens import Tokens
from trainers.models.pool import ModelPool
from trainers.models.prompts import Question
from trainers.training.inputs import Floats, TokenInputs
from trainers.training.orders import logits


def zero_shot_margins(pool: ModelPool, questions: Sequence[Question]) -> Floats:
    """The language model's log-odds of class 1, float32 [questions, orders, n].

    That is the difference of log P of the template's two words at the next token. A pair is asked in the
    order shown and with its responses exchanged; there the first word stands for class 1. Raises ValueError
    if the model is no language model or has no questions.
    """
    if not questions:
        raise ValueError("this strong model has no zero-shot prior: it is no language model")
    speaker = pool.speaker(questions[0].shown.words)

    def margins(tokens: Tokens) -> Floats:
        speaker.words = tokens.words
        return logits(speaker, TokenInputs(tokens=tokens, pad_id=pool.pad_id))

    def orders(question: Question) -> Floats:
        shown = margins(question.shown)
        return np.stack([shown] if question.swapped is None else [shown, -margins(question.swapped)])

    return np.stack([orders(question) for question in questions])


def zero_shot(margins: Floats) -> Floats:
    """P(class 1) of every example, float32 [n]: the mean over templates and orders of the model's answers.

    margins: as `zero_shot_margins` gives them. A pair and its exchange add up to 1, and a preference for a
    position cancels (Burns et al. 2022, "Discovering Latent Knowledge"; Zheng et al. 2023, "Judging
    LLM-as-a-Judge", on position bias). The result is not balanced between classes; callers do that.
    """
    probs: Floats = sigmoid(margins.astype(np.float64)).mean(axis=(0, 1)).astype(np.float32)
    return probs
