"""What a model answers: to examples as they are shown, or to pairs in both orders."""

from dataclasses import dataclass

import numpy as np
import torch

from trainers.training.inputs import Floats, Inputs, Rows, SomeInputs
from trainers.training.loop import forward
from trainers.training.session import Diverged


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Examples that a model answers; swapped: with their responses exchanged, if both orders count."""

    shown: Inputs
    swapped: Inputs | None

    def some(self, rows: Rows) -> "Asked":
        """These rows alone."""
        swapped = self.swapped and SomeInputs(inputs=self.swapped, rows=rows)
        return Asked(shown=SomeInputs(inputs=self.shown, rows=rows), swapped=swapped)


def logits(model: torch.nn.Module, inputs: Inputs) -> Floats:
    """The logit of class 1, log P(1) - log P(0), of every example: float32 [n].

    Raises Diverged if a logit is not finite.
    """
    scores = forward(model, inputs, model)
    found: Floats = (scores[:, 1] - scores[:, 0]).numpy()
    if not np.isfinite(found).all():
        raise Diverged("the model's predictions are not numbers")
    return found


def logits_in_both_orders(model: torch.nn.Module, shown: Inputs, swapped: Inputs) -> Floats:
    """The logits of pairs in the order shown and exchanged: float32 [2, n]; raises as `logits`.

    A model that is consistent has z(exchanged) = -z(shown): class 1, the second response, becomes class 0.
    """
    return np.stack([logits(model, shown), logits(model, swapped)])


def answer(model: torch.nn.Module, asked: Asked) -> Floats:
    """The logit of class 1 of every example, float32 [n]: z, or (z(shown) - z(exchanged)) / 2 in both orders.

    A preference for a position that adds to the logit cancels, and a pair and its exchange get opposite
    answers. Its sign is that of the published mean probability, (p(A, B) + 1 - p(B, A)) / 2 - ½, since both
    compare p(A, B) with p(B, A); logits can be averaged over an ensemble without clamping. Raises as
    `logits`.
    """
    if asked.swapped is None:
        return logits(model, asked.shown)
    shown, swapped = logits_in_both_orders(model, asked.shown, asked.swapped)
    halved: Floats = (shown - swapped) / 2
    return halved
