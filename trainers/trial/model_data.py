"""A model with its tokens, and the frozen features that probes of it learn from and predict."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any, Literal, Protocol

import torch
from numpy.typing import NDArray

from trainers.cache import digest
from trainers.data.examples import SplitName
from trainers.data.tokens import Tokens
from trainers.models.pool import ModelPool
from trainers.training.loop import FeatureInputs, Inputs, TokenInputs, forward
from trainers.training.orders import Asked

Array = NDArray[Any]
Order = Literal["shown", "swapped", "both"]  # both: all as shown, then all with their responses exchanged
ALL_LAYERS_BYTES = 2**26  # up to here of a split, one pass of the model computes the features of all layers


SAMPLE, SAMPLES = 16, 5  # examples whose features tell how long those of all take, and how often they do


class Shared(Protocol):
    """A cache of arrays that the workers of a campaign share."""

    def __call__(self, name: str, compute: Callable[[], Array], /) -> Array:
        """The array of this name, computed by the first worker that asks for it."""
        ...


def unshared(name: str, compute: Callable[[], Array], /) -> Array:
    """The cache of a worker without others: computes every array."""
    return compute()


class Timed:
    """A cache, and how long its callers have waited for it."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._waited_s = 0.0
        self._waits = False

    def __call__(self, name: str, compute: Callable[[], Array], /) -> Array:
        """The array of this name; what it takes to compute may ask for others."""
        if self._waits:
            return self._shared(name, compute)
        began, self._waits = time.perf_counter(), True
        try:
            return self._shared(name, compute)
        finally:
            self._waits = False
            self._waited_s += time.perf_counter() - began

    def taken_s(self) -> float:
        """Seconds waited since the last call of this."""
        waited_s, self._waited_s = self._waited_s, 0.0
        return waited_s


class ModelData:
    """A model's weights, its tokens of some splits, and the frozen features computed so far.

    swapped: tokens of the same splits with the responses of each pair exchanged; empty for single texts.
    """

    def __init__(
        self,
        pool: ModelPool,
        tokens: Mapping[SplitName, Tokens],
        shared: Shared = unshared,
        swapped: Mapping[SplitName, Tokens] | None = None,
    ) -> None:
        self.pool = pool
        self._tokens: dict[tuple[SplitName, Order], Tokens] = {
            (split, "shown"): of_split for split, of_split in tokens.items()
        }
        self._tokens |= {(split, "swapped"): of_split for split, of_split in (swapped or {}).items()}
        self._shared = shared
        self._features: dict[tuple[SplitName, int, Order], torch.Tensor] = {}

    @property
    def words(self) -> tuple[int, int] | None:
        """The tokens that answer its examples, the same in every split."""
        return next(iter(self._tokens.values())).words

    def inputs(self, split: SplitName, layer: int | None, order: Order = "shown") -> Inputs:
        """The split as frozen features of a layer, or as tokens if `layer` is None."""
        if layer is None:
            return TokenInputs(tokens=self.tokens(split, order), pad_id=self.pool.pad_id)
        return FeatureInputs(features=self.features(split, layer, order))

    def asked(self, split: SplitName, layer: int | None, orders: int) -> Asked:
        """The split to be answered in one or two orders."""
        swapped = self.inputs(split, layer, "swapped") if orders == 2 else None
        return Asked(shown=self.inputs(split, layer), swapped=swapped)

    def tokens(self, split: SplitName, order: Order = "shown") -> Tokens:
        """The tokens of a split."""
        if (split, order) not in self._tokens:
            self._tokens[split, order] = self.tokens(split).followed_by(self.tokens(split, "swapped"))
        return self._tokens[split, order]

    def features(self, split: SplitName, layer: int, order: Order = "shown") -> torch.Tensor:
        """Features float32 [n, d] of the untouched model at a layer, computed once for all workers."""
        if order == "both":
            return torch.cat([self.features(split, layer), self.features(split, layer, "swapped")])
        if (split, layer, order) not in self._features:
            self._features[split, layer, order] = self._loaded(self.tokens(split, order), layer)
        return self._features[split, layer, order]

    def _loaded(self, tokens: Tokens, layer: int) -> torch.Tensor:
        width, depth = self.pool.hidden, self.pool.layer_at(1.0)
        if 4 * len(tokens) * width * depth > ALL_LAYERS_BYTES:
            return torch.tensor(
                self._shared(self._name(tokens, layer), lambda: self._computed(tokens, layer))
            )
        layers = self._shared(self._name(tokens, None), lambda: self._computed(tokens, None))
        return torch.tensor(layers[:, (layer - 1) * width : layer * width])

    def _name(self, tokens: Tokens, layer: int | None) -> str:
        """What is computed from the same model and tokens has one name, whoever asks for it."""
        return f"features {digest(self.pool.config.model_dump(), layer, tokens.ids, tokens.offsets)}"

    def _computed(self, tokens: Tokens, layer: int | None) -> Array:
        """Of one layer, float32 [n, hidden]; of all side by side if it is None."""
        model = self.pool.fresh(seed=0, words=self.words)
        read = model.features_of_all_layers if layer is None else partial(model.features, layer=layer)
        return forward(read, TokenInputs(tokens=tokens, pad_id=self.pool.pad_id), model).numpy()


def reading_s(pool: ModelPool, splits: Sequence[Tokens]) -> float:
    """About how many seconds the frozen features of these splits take, judged by a few of the examples."""
    model = pool.fresh(seed=0, words=splits[0].words)
    few = splits[0].only(range(min(SAMPLE, len(splits[0]))))
    inputs = TokenInputs(tokens=few, pad_id=pool.pad_id)
    took_s = []
    for _ in range(SAMPLES):  # the median: neither what a process does once, nor a moment without a core
        began = time.perf_counter()
        forward(model.features_of_all_layers, inputs, model)
        took_s.append(time.perf_counter() - began)
    padded = len(few) * int(few.lengths.max())
    return median(took_s) / padded * sum(int(split.lengths.sum()) for split in splits)
