"""How fast a model trains and predicts on this machine, timed on a few of its own examples."""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from search.workers.inputs import Training
from trainers.components.students import BagOfWords, Probe, SupervisorStudent
from trainers.data.tokens import Tokens
from trainers.models.pool import ModelPool
from trainers.training.deepspeed_engine import warm_up
from trainers.trial.baselines import BaselineData, train_baseline
from trainers.trial.model_data import Shared, unshared

ENOUGH_S = 0.4  # a difference in seconds that stands out from what two runs of the same differ by
LONG_S = 5.0  # a run that is timed once
FIRST_STEPS, FIRST_ROWS = 2, 16
WORKER = "import search.workers.baselines, search.workers.trial_runner, transformers.modeling_utils"
LEARNED = 8  # batches of examples that the timed trainings pass over

Seconds = Callable[[int], float]


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Seconds on this machine: to load a model, to start a training, of a step, and to read an example.

    row_s: to predict an example; where the body is frozen, to compute the features of one, learned or
    predicted. first_s: what the first training of a process takes more than a later one.
    """

    load_s: float
    start_s: float
    step_s: float
    row_s: float
    first_s: float = 0.0


def line(seconds: Seconds, first: int, most: int) -> tuple[float, float]:
    """The seconds of nothing, and of each further unit, from runs of growing size.

    seconds: times a run of a size; the faster of two counts, as something else may be at work. The size grows
    fourfold from `first` until the difference stands out, up to `most`. Both are at least 0.
    """

    def timed(size: int) -> float:
        took = seconds(size)
        return min(took, seconds(size)) if took < LONG_S else took

    base = took = timed(first)
    size = first
    while size < most and took - base < ENOUGH_S:
        size = min(most, 4 * size)
        took = timed(size)
    slope = max(0.0, took - base) / (size - first) if size > first else 0.0
    return max(0.0, base - slope * first), slope


def imports_s(together: int) -> float:
    """Seconds until so many new processes, started together, have imported what a worker needs.

    Raises RuntimeError if one of them cannot, as no worker then could.
    """
    began = time.perf_counter()
    command = [sys.executable, "-c", WORKER]
    processes = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(together)]
    codes = [process.wait() for process in processes]
    if any(codes):
        raise RuntimeError(f"a new process cannot import what a worker needs: {' '.join(command)}")
    return time.perf_counter() - began


def is_frozen(student: SupervisorStudent) -> bool:
    """Whether a student reads features that are computed once and never trained."""
    return isinstance(student, Probe | BagOfWords)


def measured(training: Training, cache: Path, cpus: float) -> Speed:
    """The speed of a baseline's model and student. cpus: the threads that a trial has."""
    torch.set_num_threads(max(1, int(cpus)))
    job, data = training.job, training.data
    warm_up(job.engine)
    pool = ModelPool(job.model, cache=cache)
    began = time.perf_counter()
    if not isinstance(job.student, BagOfWords):
        _ = pool.hidden  # loads the weights
    load_s = time.perf_counter() - began
    batch = job.optim.batch_size
    learned = min(len(data.learn), LEARNED * batch)
    split, predicted = next(iter(data.predict.items()))

    def seconds(steps: int, rows: int, learned: int, shared: Shared) -> float:
        epochs = steps / -(-learned // batch)
        optim = job.optim.model_copy(update={"epochs": epochs, "stop": 1.0})
        engine = job.engine.model_copy(update={"compile": "off"})
        short = job.model_copy(update={"optim": optim, "engine": engine})
        part = BaselineData(
            learn=data.learn.only(range(learned)),
            truth=data.truth[:learned],
            predict={split: _first(predicted, rows)},
        )
        start = time.perf_counter()
        train_baseline(short, part, cache, shared, pool)
        return time.perf_counter() - start

    few, frozen = min(FIRST_ROWS, len(predicted)), is_frozen(job.student)
    kept = _Kept()
    first_s = seconds(FIRST_STEPS, few, learned, kept)
    whole = max(1, round(job.optim.epochs * -(-len(data.learn) // batch)))
    start_s, step_s = line(lambda steps: seconds(steps, few, learned, kept), min(FIRST_STEPS, whole), whole)
    short = min(few, learned) if frozen else learned
    _, row_s = line(lambda rows: seconds(FIRST_STEPS, rows, short, unshared), few, len(predicted))
    read = few + (learned if frozen else 0)
    read_again = 0 if isinstance(job.student, Probe) else read
    start_s = max(0.0, start_s - read_again * row_s)
    return Speed(
        load_s=load_s,
        start_s=start_s,
        step_s=step_s,
        row_s=row_s,
        first_s=max(0.0, first_s - start_s - FIRST_STEPS * step_s - read * row_s),
    )


class _Kept:
    """A trainers.trial.model_data.Shared of one process: a probe's features are computed once."""

    def __init__(self) -> None:
        self._arrays: dict[str, NDArray[Any]] = {}

    def __call__(self, name: str, compute: Callable[[], NDArray[Any]], /) -> NDArray[Any]:
        """The array of this name, computed where it is not there."""
        if name not in self._arrays:
            self._arrays[name] = compute()
        return self._arrays[name]


def _first(tokens: Tokens, rows: int) -> Tokens:
    return tokens.only(range(min(rows, len(tokens))))
