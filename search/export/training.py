"""Trains an exported method in a process of its own, which never holds ground truth."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from cluster.apart import apart
from search.config.schema import RunConfig
from trainers.data.examples import SplitName
from trainers.method import Method
from trainers.models.pool import ModelPool
from trainers.training.deepspeed_engine import warm_up
from trainers.training.loop import Floats
from trainers.training.memory.pieces import limit_memory
from trainers.trial.kept_models import keeper
from trainers.trial.workbench import Materials, Workbench


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
    started = time.monotonic()
    answer = apart(
        "the training of the exported method",
        _trained,
        job,
        passed_on=job.config.trial.environment,
        every_poll=lambda: every_poll(time.monotonic() - started),
    )
    return np.asarray(answer, dtype=np.float32)


def _trained(job: Training) -> Floats:
    config = job.config
    torch.set_num_threads(max(1, int(config.trial.cpus)))
    limit_memory(config.trial.room_gb)
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
