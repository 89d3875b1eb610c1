"""A model with its tokens, and the frozen features that probes of it learn from and predict."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import torch
from numpy.typing import NDArray

from trainers.cache import digest
from trainers.data.examples import SplitName
from trainers.data.tokens import Tokens
from trainers.models.pool import ModelPool
from trainers.training.loop import FeatureInputs, Inputs, TokenInputs, forward

Array = NDArray[Any]


class Shared(Protocol):
    """A cache of arrays that the workers of a campaign share."""

    def __call__(self, name: str, compute: Callable[[], Array], /) -> Array:
        """The array of this name, computed by the first worker that asks for it."""
        ...


def unshared(name: str, compute: Callable[[], Array], /) -> Array:
    """The cache of a worker without others: computes every array."""
    return compute()


class ModelData:
    """A model's weights, its tokens of some splits, and the frozen features computed so far."""

    def __init__(
        self, pool: ModelPool, tokens: Mapping[SplitName, Tokens], shared: Shared = unshared
    ) -> None:
        self.pool = pool
        self._tokens = tokens
        self._shared = shared
        self._features: dict[tuple[SplitName, int], torch.Tensor] = {}

    @property
    def words(self) -> tuple[int, int] | None:
        """The tokens that answer its examples, the same in every split."""
        return next(iter(self._tokens.values())).words

    def inputs(self, split: SplitName, layer: int | None) -> Inputs:
        """The split as frozen features of a layer, or as tokens if `layer` is None."""
        if layer is None:
            return TokenInputs(tokens=self._tokens[split], pad_id=self.pool.pad_id)
        return FeatureInputs(features=self.features(split, layer))

    def features(self, split: SplitName, layer: int) -> torch.Tensor:
        """Features float32 [n, d] of the untouched model at a layer, computed once for all workers."""
        if (split, layer) not in self._features:
            shared = self._shared(self._name(split, layer), lambda: self._computed(split, layer))
            self._features[split, layer] = torch.tensor(shared)
        return self._features[split, layer]

    def _name(self, split: SplitName, layer: int) -> str:
        """What is computed from the same model and tokens has one name, whoever asks for it."""
        tokens = self._tokens[split]
        return f"features {digest(self.pool.config.model_dump(), layer, tokens.ids, tokens.offsets)}"

    def _computed(self, split: SplitName, layer: int) -> Array:
        model = self.pool.fresh(seed=0, words=self.words)
        return forward(partial(model.features, layer=layer), self.inputs(split, None), model).numpy()
