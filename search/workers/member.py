"""What a process of a trial needs to train."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from search.config.schema import RunConfig
from search.engine.assignment import Assignment
from search.workers.shared_arrays import SharedArrays
from trainers.models.pool import ModelPool
from trainers.training.checkpoint import Checkpoint
from trainers.training.deepspeed_engine import warm_up
from trainers.trial.kept_models import keeper
from trainers.trial.workbench import Materials, Report, Workbench

Train = Callable[[Assignment], Iterator[Report]]


@dataclass(frozen=True, kw_only=True)
class Work:
    """What every worker gets once: the materials and the settings of all trials. It has no ground truth.

    checkpoints: holds a folder of checkpoints per trial; best on a file system that all nodes share.
    """

    config: RunConfig
    materials: Materials
    shared: SharedArrays
    checkpoints: Path


class Member:
    """A process of a trial: the model pool and the workbench that its trials share."""

    def __init__(self, work: Work) -> None:
        torch.set_num_threads(max(1, int(work.config.trial.cpus)))
        warm_up(work.config.engine)
        pool = ModelPool(work.config.strong.model, cache=work.config.cache_dir)
        self._bench = Workbench(work.materials, pool, work.config.engine, work.shared)
        self._checkpoints = work.checkpoints
        self._keeps_models = work.config.confirm.keep_models

    def train(self, assignment: Assignment) -> Iterator[Report]:
        """Train a trial; its reports."""
        keeps = self._keeps_models and assignment.purpose == "confirm"
        models = self._checkpoints.parent / "models" / assignment.trial
        return self._bench.train(
            assignment.method,
            seed=assignment.seed,
            split=assignment.split,
            rungs=assignment.rungs,
            checkpoint=Checkpoint(folder=self._checkpoints / assignment.trial),
            micro_batch=assignment.micro_batch,
            keep=keeper(models) if keeps else None,
        )
