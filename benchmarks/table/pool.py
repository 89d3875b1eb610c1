"""The rows of a world as a space that Optuna searches: a suggestion becomes the nearest row not yet tried."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna

from agents.language.catalogue import LOG_SCALE_RATIO, ParamSpec, param_specs
from agents.language.naming import kind_name, param_name
from benchmarks.curves.data import Pool
from benchmarks.table.world import World
from search.policy.encoding import encode
from trainers.component import Component
from trainers.method import SLOTS, Method


class RowPool:
    """The rows not started yet, each given out once. Components and ranges of numbers are the rows' own."""

    def __init__(self, world: World) -> None:
        self._rows = list(world.rows)
        self._methods = [world.table.rows[row].method for row in self._rows]
        self._pool = Pool(np.stack([encode(method) for method in self._methods]))
        self._used: dict[str, dict[str, list[Component]]] = {
            slot: self._by_kind([getattr(method, slot) for method in self._methods]) for slot in SLOTS
        }

    @staticmethod
    def _by_kind(components: Sequence[Component]) -> dict[str, list[Component]]:
        found: dict[str, list[Component]] = {}
        for component in components:
            found.setdefault(component.kind, []).append(component)
        return found

    @property
    def empty(self) -> bool:
        """Whether every row has been given out."""
        return not self._pool.left.any()

    def random(self, rng: np.random.Generator) -> int:
        """A random row."""
        place = int(rng.choice(np.flatnonzero(self._pool.left)))
        self._pool.take(place)
        return self._rows[place]

    def suggested(self, trial: optuna.Trial) -> int:
        """The row nearest to what Optuna suggests, by the surrogate's distance."""
        components: dict[str, Any] = {}
        for slot, kinds in self._used.items():
            kind = next(iter(kinds))
            if len(kinds) > 1:
                kind = trial.suggest_categorical(kind_name(slot), sorted(kinds))
            used, component = kinds[kind], SLOTS[slot][kind]
            specs = param_specs(component).values()
            values = {
                spec.name: _suggested(trial, param_name(slot, kind, spec.name), spec, used) for spec in specs
            }
            components[slot] = component.model_construct(**values)
        # Not checked: components that do not work together are near to rows all the same.
        place = self._pool.nearest(encode(Method.model_construct(**components)))
        assert place is not None
        return self._rows[place]


def _suggested(trial: optuna.Trial, name: str, spec: ParamSpec, used: Sequence[Component]) -> Any:
    """A value between those that rows have; where all have the same, it is not asked for."""
    values = {getattr(component, spec.name) for component in used}
    if len(values) == 1:
        return next(iter(values))
    if not spec.ordered:
        return trial.suggest_categorical(name, sorted(values))
    low, high = min(values), max(values)
    log = low > 0 and spec.low is not None and spec.high is not None and spec.high / low >= LOG_SCALE_RATIO
    if spec.type == "integer":
        return trial.suggest_int(name, low, high, log=log)
    return trial.suggest_float(name, low, high, log=log)
