"""Arrays that all workers need and one worker computes, once per campaign: frozen features, the prior."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

log = logging.getLogger(__name__)

Array = NDArray[Any]
COMPUTE_TIMEOUT_S = 600.0  # a worker that takes longer counts as dead, and another computes the array
MARGIN_S = 60.0  # for the store's own answer


class _ArrayStore:
    """Holds the arrays, and records which are being computed."""

    def __init__(self) -> None:
        self._arrays: dict[str, Array] = {}
        self._computing: dict[str, asyncio.Event] = {}

    async def get_or_claim(self, name: str) -> Array | None:
        """The array, after a wait if a worker is computing it. None: the caller must compute it."""
        while name not in self._arrays:
            if name not in self._computing:
                self._computing[name] = asyncio.Event()
                return None
            try:
                await asyncio.wait_for(self._computing[name].wait(), COMPUTE_TIMEOUT_S)
            except TimeoutError:
                return None
        return self._arrays[name]

    async def put(self, name: str, array: Array | None) -> None:
        """Store a computed array. None: computing failed, and a waiting worker computes it instead."""
        if array is not None:
            self._arrays[name] = array
        if computed := self._computing.pop(name, None):
            computed.set()

    async def release_all(self) -> None:
        """Release all claims: the first waiting worker computes the array."""
        while self._computing:
            _, computed = self._computing.popitem()
            computed.set()


class SharedArrays:
    """A trainers.trial.model_data.Shared: created by the driver, stored on its node, used by workers."""

    def __init__(self) -> None:
        here: Any = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)(
            _ArrayStore
        )
        self._store: Any = actor.remote()
        self._answers = True

    def __call__(self, name: str, compute: Callable[[], Array], /) -> Array:
        """The array of this name, computed by the first worker that needs it; read-only in the others.

        A worker that the store does not answer computes this array and all others itself.
        """
        found: Array | None = self._ask("get_or_claim", COMPUTE_TIMEOUT_S + MARGIN_S, name)
        if found is not None:
            return found
        computed = None
        try:
            computed = np.asarray(compute())
        finally:
            self._ask("put", MARGIN_S, name, computed)
        return computed

    def _ask(self, question: str, limit_s: float, *content: Any) -> Any:
        """The store's answer; None if it gives none in time, and from then on."""
        if not self._answers:
            return None
        try:
            return ray.get(getattr(self._store, question).remote(*content), timeout=limit_s)
        except ray.exceptions.GetTimeoutError:
            self._answers = False
            log.warning("the store of shared arrays did not answer within %g s: going on without it", limit_s)
            return None

    def worker_lost(self) -> None:
        """Restart what is being computed: a worker died, perhaps while others wait for its array.

        If another worker died, an array is computed twice.
        """
        self._store.release_all.remote()
