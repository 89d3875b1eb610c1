"""Trains the baselines on Ray: each is watched, and started again where it is lost or stuck."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import ray

from cluster.patience import Patience
from search.config.resources import TrialResources
from search.config.schema import RunConfig
from search.workers.shared_arrays import SharedArrays
from trainers.cache import Arrays
from trainers.components.students import Probe
from trainers.models.pool import ModelPool
from trainers.training.deepspeed_engine import warm_up
from trainers.training.memory.pieces import limit_memory
from trainers.training.settings import EngineConfig
from trainers.trial.baselines import BaselineData, BaselineJob, Role, train_in_parts
from trainers.trial.model_data import Shared, Timed, reading_s

log = logging.getLogger(__name__)

POLL_S = 0.5  # between calls of `every_poll`, which raises if the run was asked to stop
FETCH_S = 600.0  # for predictions to come from their node

EARLY = (0.01, 0.05, 0.25)  # shares of a training at which it tells how fast it is


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a baseline is. share: of its training; 1 with its predictions, which it has none of before.

    seconds: since its training began, with those until the features were there that all of its role share.
    shared_s: the latter alone. due_s: where the share is 0, the seconds that these features should take.
    """

    share: float
    seconds: float
    shared_s: float = 0.0
    due_s: float = 0.0
    predictions: Arrays | None = None


Told = Callable[[BaselineJob, Progress], None]


@dataclass(kw_only=True)
class _Training:
    """A baseline in training.

    reads: whether it is the one that computes the features of its role. began: on the clock, None while it
    waits for its place in the cluster.
    """

    job: BaselineJob
    data: BaselineData
    reads: bool = False
    losses: int = 0
    began: float | None = None
    killed: str | None = None

    def __str__(self) -> str:
        return f"the baseline {self.job.role} of seed {self.job.seed}"


class BaselineTrainings:
    """The baselines that are not in the cache, each a task of Ray."""

    def __init__(self, config: RunConfig, arrays: SharedArrays, told: Told) -> None:
        """arrays: where probes of a model share its features.

        told: receives how far each baseline is, a few times and as soon as it has finished.
        """
        self._config = config
        self._faults = config.faults
        self._told = told
        self._arrays = arrays
        self._shared: dict[int, Any] = {}  # by the identity of the data, which jobs may share
        self._running: dict[Any, _Training] = {}
        self._held: dict[Role, list[_Training]] = {}
        self._no_room: Patience | None = None

    def run(
        self, jobs: Sequence[tuple[BaselineJob, BaselineData]], every_poll: Callable[[int], None]
    ) -> None:
        """Train them all. every_poll: called with the number of unfinished ones; what it raises ends all.

        Raises RuntimeError if a baseline fails or is lost too often, WaitTooLongError if there is no room in
        the cluster.
        """
        for job, data in jobs:
            self._start_or_hold(_Training(job=job, data=data))
        every_poll(self._unfinished)
        while streams := list(self._running):
            ray.wait(streams, num_returns=1, timeout=POLL_S)
            ready, _ = ray.wait(streams, num_returns=len(streams), timeout=0)
            for stream in ready:
                self._take(stream)
            self._kill_stuck()
            self._check_room()
            every_poll(self._unfinished)

    @cached_property
    def _task(self) -> Any:
        """The training as a task of Ray: one for all, since Ray keeps the order of equal tasks alone."""
        needs = self._config.trial.needs
        remote = ray.remote(num_cpus=needs.cpus, num_gpus=needs.gpus, memory=needs.memory, max_retries=0)
        return remote(_train)

    @property
    def _unfinished(self) -> int:
        return len(self._running) + sum(map(len, self._held.values()))

    def _start_or_hold(self, training: _Training) -> None:
        """Start it; but of a role's probes only the first, whose features the others find when it is done.

        Otherwise they would wait for them in processes of their own: a task of Ray that waits gives its place
        to the next.
        """
        role = training.job.role
        if role in self._held:
            self._held[role].append(training)
            return
        if isinstance(training.job.student, Probe):
            self._held[role], training.reads = [], True
        self._start(training)

    def _start(self, training: _Training) -> None:
        data = training.data
        if id(data) not in self._shared:
            self._shared[id(data)] = ray.put(data)
        stream = self._task.options(num_returns="streaming").remote(
            training.job,
            self._shared[id(data)],
            self._config.cache_dir,
            self._arrays,
            self._config.trial,
            training.reads,
        )
        training.began, training.killed = None, None
        self._running[stream] = training

    def _take(self, stream: Any) -> None:
        training = self._running[stream]
        try:
            result = ray.get(next(stream), timeout=FETCH_S)
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, ValueError | RuntimeError | OSError):
                raise error.cause from None
            raise RuntimeError(f"{training} failed: {type(error.cause).__name__}: {error.cause}") from None
        except ray.exceptions.RayError as error:
            del self._running[stream]
            self._lost(training, training.killed or f"its worker died ({str(error).splitlines()[0]})")
            return
        if result is None:
            training.began = time.monotonic()
            return
        self._told(training.job, result)
        if result.predictions is None:
            return
        del self._running[stream]
        for held in self._held.pop(training.job.role, ()):
            self._start(held)

    def _lost(self, training: _Training, why: str) -> None:
        training.losses += 1
        self._arrays.worker_lost()
        if training.losses > self._faults.retries:
            raise RuntimeError(
                f"{training} was lost {training.losses} times, more than faults.retries allows, the last "
                f"because: {why}. Fix the cause and start again: finished baselines are kept"
            )
        log.warning("%s starts again: %s", training, why)
        self._start(training)

    def _kill_stuck(self) -> None:
        limit = self._faults.step_limit_s
        for stream, training in self._running.items():
            if training.began is not None and time.monotonic() - training.began > limit:
                training.killed = f"it did not finish within faults.step_limit_s ({limit:g} s)"
                training.began = time.monotonic()  # it is killed again if that does not help
                ray.cancel(stream, force=True)

    def _check_room(self) -> None:
        if not self._running or any(training.began is not None for training in self._running.values()):
            self._no_room = None
            return
        self._no_room = self._no_room or Patience(
            f"room in the cluster for a baseline ({self._config.trial.needs})",
            self._faults.cluster_limit_s,
            "faults.cluster_limit_s",
            "add the nodes or free them, then start again",
        )
        self._no_room.check()


@cache
def _warmed_up(config: EngineConfig) -> None:
    """Warm up the engine, once per worker process."""
    warm_up(config)


def _train(
    job: BaselineJob,
    data: BaselineData,
    cache_dir: Path,
    shared: Shared,
    trial: TrialResources,
    reads: bool,
) -> Iterator[Progress | None]:
    """None once the training has its place in the cluster, then how far it is.

    reads: whether it is to say how long the features of its role will take.
    """
    yield None
    limit_memory(trial.room_gb)
    _warmed_up(job.engine)
    timed, shared_s, began = Timed(shared), 0.0, time.perf_counter()
    pool = None
    if reads:
        pool = ModelPool(job.model, cache=cache_dir)
        due_s = reading_s(pool, (data.learn, *data.predict.values()))
        yield Progress(share=0.0, seconds=time.perf_counter() - began, due_s=due_s)
    for share, predictions in train_in_parts(job, data, cache_dir, timed, pool, early=EARLY):
        shared_s += timed.taken_s()
        yield Progress(
            share=share,
            seconds=time.perf_counter() - began,
            shared_s=shared_s,
            predictions=predictions if share == 1 else None,
        )
