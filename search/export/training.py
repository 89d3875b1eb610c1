"""Trains an exported method in a process of its own, which never holds ground truth."""

import multiprocessing
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from search.config.schema import RunConfig
from trainers.data.examples import SplitName
from trainers.method import Method
from trainers.models.pool import ModelPool
from trainers.training.deepspeed_engine import warm_up
from trainers.training.loop import Floats
from trainers.trial.kept_models import keeper
from trainers.trial.workbench import Materials, Workbench

POLL_S = 0.2
START: Literal["spawn", "fork"] = "spawn"  # a process that holds nothing of this one but its job


@dataclass(frozen=True, kw_only=True)
class Training:
    """A training to export: what its process gets. folder: where the trained weights go."""

    config: RunConfig
    materials: Materials
    method: Method
    seed: int
    split: SplitName
    micro_batch: int | None
    folder: Path


def train(job: Training, every_poll: Callable[[float], None] = lambda elapsed_s: None) -> Floats:
    """Train in a new process; returns P(class 1) of every example of the split, float32 [n].

    every_poll: called with the seconds so far. Raises RuntimeError, on one line, if the training fails.
    """
    context: Any = multiprocessing.get_context(START)
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(job, theirs), daemon=True)
    process.start()
    theirs.close()
    started = time.monotonic()
    try:
        while not ours.poll(POLL_S):
            every_poll(time.monotonic() - started)
        answer: Any = ours.recv()
    except EOFError:
        process.join()
        raise RuntimeError(
            f"the training of the exported method was killed (exit code {process.exitcode}): is there enough "
            "memory?"
        ) from None
    finally:
        process.terminate()
        process.join()
    if isinstance(answer, str):
        raise RuntimeError(f"the training of the exported method failed: {answer}")
    return np.asarray(answer, dtype=np.float32)


def _work(job: Training, answers: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's to handle: it ends this process
    try:
        answers.send(_trained(job))
    except Exception as error:  # it becomes the one line of the caller
        answers.send(f"{type(error).__name__}: {' '.join(str(error).split())}")


def _trained(job: Training) -> Floats:
    config = job.config
    torch.set_num_threads(max(1, int(config.trial.cpus)))
    warm_up(config.engine)
    bench = Workbench(job.materials, ModelPool(config.strong.model, cache=config.cache_dir), config.engine)
    *_, report = bench.train(
        job.method,
        seed=job.seed,
        split=job.split,
        rungs=(1.0,),
        micro_batch=job.micro_batch,
        keep=keeper(job.folder),
    )
    return report.predictions
