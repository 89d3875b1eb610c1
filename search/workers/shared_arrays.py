"""Arrays that every worker needs and one computes, once a campaign: frozen features and the prior."""

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

Array = NDArray[Any]
PATIENCE_S = 600.0  # a worker that takes longer is taken for dead, and its work is done again


class _Shelf:
    """Holds the arrays, and knows which are being computed."""

    def __init__(self) -> None:
        self._arrays: dict[str, Array] = {}
        self._computing: dict[str, asyncio.Event] = {}

    async def take(self, name: str) -> Array | None:
        """The array, waited for if somebody computes it; None: the caller is the one to compute it."""
        while name not in self._arrays:
            if name not in self._computing:
                self._computing[name] = asyncio.Event()
                return None
            try:
                await asyncio.wait_for(self._computing[name].wait(), PATIENCE_S)
            except TimeoutError:
                return None
        return self._arrays[name]

    async def put(self, name: str, array: Array | None) -> None:
        """What came of it; None: nothing, so that it is another's turn."""
        if array is not None:
            self._arrays[name] = array
        if waited_for := self._computing.pop(name, None):
            waited_for.set()

    async def ask_again(self) -> None:
        """Have all who wait ask again, the first of them to compute."""
        while self._computing:
            _, waited_for = self._computing.popitem()
            waited_for.set()


class SharedArrays:
    """A trainers.trial.workbench.Shared: made in the driver, kept on its node, used in workers."""

    def __init__(self) -> None:
        here: Any = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)(_Shelf)
        self._shelf: Any = actor.remote()

    def __call__(self, name: str, compute: Callable[[], Array], /) -> Array:
        """The array of this name, computed by the first worker that asks for it; read-only elsewhere."""
        found: Array | None = ray.get(self._shelf.take.remote(name))
        if found is not None:
            return found
        computed = None
        try:
            computed = np.asarray(compute())
        finally:
            ray.get(self._shelf.put.remote(name, computed))
        return computed

    def worker_lost(self) -> None:
        """A worker has died, perhaps the one that others wait for: whatever is being computed is begun again.

        If it lives after all, an array is computed twice.
        """
        self._shelf.ask_again.remote()
