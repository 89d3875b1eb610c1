"""The examples of a split as a model of an exported method takes them."""

from functools import cached_property, partial

import numpy as np
import torch

from search.export.parts.base import Base
from trainers.data.examples import Examples
from trainers.data.tokens import Tokens
from trainers.training.inputs import FeatureInputs, Inputs, TokenInputs
from trainers.training.loop import forward
from trainers.training.orders import Asked


class Data:
    """The examples of a split as a student takes them: tokens, or features of the untouched model."""

    def __init__(self, base: Base, examples: Examples) -> None:
        """base: the model that reads them."""
        self.base = base
        self.examples = examples

    @cached_property
    def shown(self) -> Tokens:
        """The examples as they are."""
        return self.base.tokens(self.examples)

    @cached_property
    def swapped(self) -> Tokens:
        """Pairs with their responses exchanged."""
        return self.base.tokens(self.examples.exchanged())

    def inputs(self, layer: int | None, order: str = "shown") -> Inputs:
        """order: shown, swapped, or both, one after the other."""
        if layer is not None:
            orders = ["shown", "swapped"] if order == "both" else [order]
            features = torch.cat([self._features(getattr(self, name), layer) for name in orders])
            return FeatureInputs(features=features)
        tokens = self.shown.followed_by(self.swapped) if order == "both" else getattr(self, order)
        return TokenInputs(tokens=tokens, pad_id=self.base.pad_id)

    def asked(self, layer: int | None, orders: int) -> Asked:
        """The examples to be answered in one or two orders."""
        return Asked(shown=self.inputs(layer), swapped=self.inputs(layer, "swapped") if orders == 2 else None)

    @property
    def has_pairs(self) -> bool:
        """Whether the examples are pairs."""
        return self.examples.pairs is not None

    def evidence(self) -> np.ndarray:
        """Features of the last layer, float32 [n, d]; of pairs the difference between both orders."""
        layer = self.base.layer_at(1.0)
        features = self._features(self.shown, layer)
        if self.examples.pairs is not None:
            features = features - self._features(self.swapped, layer)
        return np.asarray(features.numpy())

    def _features(self, tokens: Tokens, layer: int) -> torch.Tensor:
        model = self.base.fresh(0, words=tokens.words)
        read = partial(model.features, layer=layer)
        return forward(read, TokenInputs(tokens=tokens, pad_id=self.base.pad_id), model)
