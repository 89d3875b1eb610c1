"""A trial: a method and a seed in, predictions out at every rung."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

import numpy as np
import torch
from numpy.typing import NDArray

from trainers.engine import EngineConfig
from trainers.evidence import Evidence
from trainers.examples import SplitName
from trainers.labels import make_targets
from trainers.method import Method
from trainers.models import ModelPool, Probe, prepare_student
from trainers.selection import plan
from trainers.tokens import Tokens
from trainers.training import FeatureInputs, Floats, Inputs, Recipe, TokenInputs, fit, forward, predict


@dataclass(frozen=True, kw_only=True)
class Materials:
    """What every trial of a campaign works from; there is no ground truth in it.

    weak_probs: float32 [supervisors, n], P(class 1) of each weak supervisor on the transfer split.
    tokens: the strong model's tokens of the transfer, search and test inputs.
    """

    weak_probs: NDArray[np.float32]
    tokens: Mapping[SplitName, Tokens]

    def supervisor(self, seed: int) -> int:
        """The weak supervisor whose labels a trial with this seed learns from."""
        return seed % len(self.weak_probs)


@dataclass(frozen=True, kw_only=True)
class Report:
    """A trial at a rung: predictions are P(class 1) float32 [n] on the split asked for, times in seconds."""

    share: float
    predictions: Floats
    setup_s: float
    train_s: float
    eval_s: float


class Workbench:
    """What a worker process keeps between trials: the materials, the base weights, frozen features."""

    def __init__(self, materials: Materials, pool: ModelPool, engine: EngineConfig) -> None:
        self._materials = materials
        self._pool = pool
        self._engine = engine
        self._features: dict[tuple[SplitName, int], torch.Tensor] = {}

    def train(
        self, method: Method, *, seed: int, split: SplitName, rungs: Sequence[float]
    ) -> Iterator[Report]:
        """Train a student by `method` and yield, at every rung, its predictions on `split`.

        Raises trainers.training.Diverged when the loss is not finite. Closing the iterator frees the engine.
        """
        clock = _Clock()
        torch.manual_seed(seed)
        evidence = Evidence(
            weak_probs=self._materials.weak_probs[self._materials.supervisor(seed)],
            features=lambda: self._frozen("transfer", 1.0).numpy(),
            prior=_no_prior,
            seed=seed,
        )
        targets = make_targets(method.labels, evidence)
        recipe = Recipe(
            plan=plan(method.select, evidence, targets),
            loss=method.loss,
            optim=method.optim,
            engine=self._engine,
            seed=seed,
        )
        model, parameters, learn, answer = self._student(method, seed, split)
        setup_s = clock.lap()
        for share in fit(model, parameters, learn, targets, recipe, rungs):
            train_s = clock.lap()
            predictions = predict(model, answer)
            yield Report(
                share=share,
                predictions=predictions,
                setup_s=setup_s,
                train_s=train_s,
                eval_s=clock.lap(),
            )
            setup_s = 0.0
            clock.lap()

    def _student(
        self, method: Method, seed: int, split: SplitName
    ) -> tuple[torch.nn.Module, list[torch.nn.Parameter], Inputs, Inputs]:
        """The module to train, its trainable parameters, the inputs it learns from and those it answers."""
        classifier = self._pool.fresh(seed)
        parameters = prepare_student(method.student, classifier)
        if isinstance(method.student, Probe):
            layer = method.student.layer
            learn = FeatureInputs(features=self._frozen("transfer", layer))
            return classifier.head, parameters, learn, FeatureInputs(features=self._frozen(split, layer))
        return classifier, parameters, self._tokens("transfer"), self._tokens(split)

    def _tokens(self, split: SplitName) -> TokenInputs:
        return TokenInputs(tokens=self._materials.tokens[split], pad_id=self._pool.pad_id)

    def _frozen(self, split: SplitName, depth: float) -> torch.Tensor:
        """Features float32 [n, d] of the untouched strong model at a relative depth, computed once a worker."""
        layer = self._pool.layer_at(depth)
        if (split, layer) not in self._features:
            classifier = self._pool.fresh(seed=0)
            read = partial(classifier.features, layer=layer)
            self._features[split, layer] = forward(read, self._tokens(split), classifier)
        return self._features[split, layer]


class _Clock:
    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap(self) -> float:
        """Seconds since the last lap."""
        now = time.perf_counter()
        self._last, spent = now, now - self._last
        return spent


def _no_prior() -> NoReturn:
    raise ValueError("this strong model has no zero-shot prior: its read-out is a classification head")
