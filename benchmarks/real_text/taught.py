"""A task with its supervisors and ceilings, and what students of any method get right on it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from tqdm import tqdm

from cluster.runtime import ray_runtime
from search.campaign import prepare_with_progress
from search.config.schema import RunConfig
from search.interrupt import interruptible
from search.scoring.pgr import Baselines, Bools
from search.workers.loading import load
from search.workers.preparation import Graded
from trainers.data.examples import SplitName
from trainers.method import Method
from trainers.models.pool import ModelPool
from trainers.training.deepspeed_engine import warm_up
from trainers.training.loop import Diverged
from trainers.trial.model_data import Shared, unshared
from trainers.trial.workbench import Workbench


class Remembered:
    """A trainers.trial.model_data.Shared that asks another one once for each array, while it is there."""

    def __init__(self, others: Shared) -> None:
        self._others = others
        self._arrays: dict[str, NDArray[Any]] = {}

    def __call__(self, name: str, compute: Callable[[], NDArray[Any]], /) -> NDArray[Any]:
        """The array of this name."""
        if name not in self._arrays:
            self._arrays[name] = self._others(name, compute)
        return self._arrays[name]

    def alone(self) -> None:
        """Compute from now on what has not been asked for: the other one ends."""
        self._others = unshared


@dataclass(frozen=True, kw_only=True)
class Taught:
    """A task whose baselines are trained, and a bench that trains its students in this process.

    config.confirm_seeds() are those of fresh supervisors. graded: truth and baselines' classes of a split.
    """

    config: RunConfig
    bench: Workbench
    graded: dict[SplitName, Graded]

    @classmethod
    def of(cls, config: RunConfig, console: Console) -> "Taught":
        """Train the baselines as a run does, into the cache where a run finds them."""
        loaded = load(config)
        with interruptible() as stop, ray_runtime(config.trial.environment):
            prepared = prepare_with_progress(config, loaded, console, stop)
            pool = ModelPool(config.strong.model, cache=config.cache_dir)
            warm_up(config.engine)
            arrays = Remembered(prepared.arrays)
            bench = Workbench(prepared.materials, pool, config.engine, arrays)
            for split in (
                "search",
                "test",
            ):  # the features that baselines computed: their store ends with Ray
                next(bench.train(config.naive, seed=config.search_seed(), split=split, rungs=[1.0]))
            arrays.alone()
        return cls(config=config, bench=bench, graded={"search": prepared.search, "test": prepared.test})

    def baselines(self, split: SplitName) -> Baselines:
        """Which examples of a split the baselines got right."""
        truth, predicted = self.graded[split]
        return predicted.graded(truth)

    @property
    def search_seeds(self) -> list[int]:
        """One seed for each supervisor of the search."""
        return [self.config.search_seed(), *self.config.replication_seeds()]

    def correct(self, method: Method, seeds: Sequence[int], split: SplitName) -> Bools:
        """Which examples students of a method got right: bool [seeds, n]. Raises Diverged."""
        truth, _ = self.graded[split]
        return np.stack([self._predicted(method, seed, split) == truth for seed in seeds])

    def correct_of(
        self, methods: dict[str, Method], seeds: Sequence[int], split: SplitName, what: str
    ) -> dict[str, Bools]:
        """The same for several methods, without those that diverged."""
        found: dict[str, Bools] = {}
        for name, method in tqdm(methods.items(), desc=what):
            try:
                found[name] = self.correct(method, seeds, split)
            except Diverged:
                continue
        return found

    def _predicted(self, method: Method, seed: int, split: SplitName) -> Bools:
        reports = list(self.bench.train(method, seed=seed, split=split, rungs=[1.0]))
        return reports[-1].predictions > np.float32(0.5)
