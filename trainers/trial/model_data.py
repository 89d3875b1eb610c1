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
ALL_LAYERS_BYTES = 2**26  # up to here of a split, one pass of the model computes the features of all layers


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
            self._features[split, layer] = self._loaded(split, layer)
        return self._features[split, layer]

    def _loaded(self, split: SplitName, layer: int) -> torch.Tensor:
        width, depth = self.pool.hidden, self.pool.layer_at(1.0)
        if 4 * len(self._tokens[split]) * width * depth > ALL_LAYERS_BYTES:
            return torch.tensor(self._shared(self._name(split, layer), lambda: self._computed(split, layer)))
        layers = self._shared(self._name(split, None), lambda: self._computed(split, None))
        return torch.tensor(layers[:, (layer - 1) * width : layer * width])

    def _name(self, split: SplitName, layer: int | None) -> str:
        """What is computed from the same model and tokens has one name, whoever asks for it."""
        tokens = self._tokens[split]
        return f"features {digest(self.pool.config.model_dump(), layer, tokens.ids, tokens.offsets)}"

    def _computed(self, split: SplitName, layer: int | None) -> Array:
        """Of one layer, float32 [n, hidden]; of all side by side if it is None."""
        model = self.pool.fresh(seed=0, words=self.words)
        read = model.features_of_all_layers if layer is None else partial(model.features, layer=layer)
        return forward(read, self.inputs(split, None), model).numpy()
