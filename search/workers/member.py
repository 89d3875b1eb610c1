"""What a process of a trial needs to train."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from search.config.schema import RunConfig
from search.engine.assignment import Assignment
from search.engine.compared.transfer import transferred
from search.workers.shared_arrays import SharedArrays
from trainers.models.pool import ModelPool
from trainers.models.settings import ModelConfig
from trainers.training.checkpoint import Checkpoint
from trainers.training.deepspeed_engine import warm_up
from trainers.training.memory.pieces import limit_memory
from trainers.trial.kept_models import keeper
from trainers.trial.workbench import Materials, Report, Workbench

Train = Callable[[Assignment], Iterator[Report]]


@dataclass(frozen=True, kw_only=True)
class TaskWork:
    """The materials of a task, the config with it, and the arrays that all workers share of it."""

    config: RunConfig
    materials: Materials
    shared: SharedArrays


@dataclass(frozen=True, kw_only=True)
class Work(TaskWork):
    """What every worker gets once: the materials and the settings of all trials. It has no ground truth.

    checkpoints: holds a folder of checkpoints per trial; best on a file system that all nodes share.
    tasks: several that are searched, by name; the others are then those of the first. Empty for a single one.
    """

    checkpoints: Path
    tasks: Mapping[str, TaskWork] = field(default_factory=dict)

    @property
    def each(self) -> Mapping[str, TaskWork]:
        """Every task by its name, a single one by ""."""
        return self.tasks or {"": self}

    def worker_lost(self) -> None:
        """Tell the stores of shared arrays, which may wait for one that a lost worker computed."""
        for one in self.each.values():
            one.shared.worker_lost()


class Member:
    """A process of a trial: the model pool and the workbench that its trials share."""

    def __init__(self, work: Work) -> None:
        torch.set_num_threads(max(1, int(work.config.trial.cpus)))
        limit_memory(work.config.trial.room_gb)
        warm_up(work.config.engine, work.config.trial.processes)
        self._work = work
        pools: dict[ModelConfig, ModelPool] = {}
        self._benches = {name: _bench(one, pools) for name, one in work.each.items()}

    def train(self, assignment: Assignment) -> Iterator[Report]:
        """Train a trial on its tasks, one after another; its reports."""
        for name in assignment.on:
            yield from self._train_on(name, assignment)

    def _train_on(self, name: str, assignment: Assignment) -> Iterator[Report]:
        config, folder = self._work.config, self._work.checkpoints / assignment.trial
        keeps = config.confirm.keep_models and assignment.purpose == "confirm"
        is_first = name == next(iter(self._benches))
        models = self._work.checkpoints.parent / "models" / assignment.trial
        return self._benches[name].train(
            transferred(assignment.method, config, self._work.each[name].config),
            seed=assignment.seed,
            split=assignment.split,
            rungs=assignment.rungs,
            checkpoint=Checkpoint(folder=folder / name if name else folder),
            micro_batch=assignment.micro_batch,
            keep=keeper(models) if keeps and is_first else None,
        )


def _bench(task: TaskWork, pools: dict[ModelConfig, ModelPool]) -> Workbench:
    """A workbench for a task. pools: of each strong model, which tasks share."""
    model = task.config.strong.model
    if model not in pools:
        pools[model] = ModelPool(model, cache=task.config.cache_dir)
    return Workbench(task.materials, pools[model], task.config.engine, task.shared)
