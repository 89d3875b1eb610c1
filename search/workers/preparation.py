"""Prepares a search from its config and its task: tokens, weak labels, floor and ceiling."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cluster.inventory import gpu_memories, gpus_may_come
from search.config.schema import RunConfig
from search.scoring.grader import BaselinePredictions
from search.workers.baselines import BaselineTrainings, Progress
from search.workers.inputs import STUDENTS_SEE, Inputs, read_inputs, trainings
from search.workers.loading import Loaded
from search.workers.shared_arrays import SharedArrays
from trainers.cache import Arrays, load_arrays, save_arrays
from trainers.data.counts import DataCounts
from trainers.data.examples import Labels, SplitName, Task
from trainers.data.tokens import Tokens
from trainers.models.prompts import ask, render
from trainers.models.settings import ModelConfig
from trainers.training.memory.model_size import room_for
from trainers.trial.baselines import BaselineData, BaselineJob, Role
from trainers.trial.panels import Pooled, pooled
from trainers.trial.workbench import Intermediate, Materials

log = logging.getLogger(__name__)

Graded = tuple[Labels, BaselinePredictions]
Advance = Callable[[int, int], None]


class Watch:
    """Is told of the baselines that are trained; this one takes no notice."""

    def begin(self, due: Mapping[Role, int]) -> None:
        """So many of each role are to be trained: all others are in the cache."""

    def told(self, job: BaselineJob, progress: Progress) -> None:
        """How far one is; where it has finished, it is in the cache by now."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """materials: for trials. search, test: for the grader only. train_s: seconds spent on baselines.

    arrays: the frozen features that baselines computed, for trials to share. counts: what became of the rows
    of the data, and of their texts.
    """

    materials: Materials
    arrays: SharedArrays
    search: Graded
    test: Graded
    train_s: float
    counts: DataCounts


def with_gpus(config: RunConfig, every_poll: Callable[[], None] = lambda: None) -> RunConfig:
    """The config with `trial.gpus` set from the cluster's GPUs and the memory that the naive method needs.

    every_poll: called while GPUs are waited for; what it raises ends the wait.
    """
    if config.trial.gpus is not None:
        return config
    memories = gpu_memories(config.faults.cluster_limit_s, every_poll)
    needed = None
    if memories:
        gb = min(memories) / 1e9
        found = [_needed(one, gb) for one in config.searched.values()]
        needed = max((bytes_ for bytes_ in found if bytes_ is not None), default=None)
    trial = config.trial.on(memories, needed, may_come=gpus_may_come())
    log.info("trial.gpus is null in the config: set to %g GPUs per process", trial.needs.gpus)
    return config.model_copy(update={"trial": trial})


def _needed(config: RunConfig, gb: float) -> Any:
    """What the naive method needs of a GPU of so many gigabytes; None where nobody can say."""
    room = room_for(config.strong.model, config.engine, gb, config.trial.processes, on_gpu=True)
    return None if room is None else room.needed(config.naive.student, config.naive.optim.batch_size)


def prepare(config: RunConfig, loaded: Loaded, advance: Advance, watch: Watch | None = None) -> Prepared:
    """Train the baselines on Ray or load them from the cache.

    advance: called with (done, all) as baselines finish. Raises ValueError, of one line, if the data or the
    models are unusable. What is lost of the data is logged before training.
    """
    task = loaded.task
    inputs = read_inputs(config, task)
    for sentence in inputs.counts.sentences():
        log.warning("%s", sentence)
    arrays = SharedArrays()
    predictions, train_s = _baselines(config, loaded.weights, inputs.data, arrays, advance, watch or Watch())
    weak = _pooled(config, predictions["weak"])
    predictions["weak"] = weak.supervisors

    def classes(role: Role, split: SplitName) -> Any:
        return np.stack([of_seed[split] for of_seed in predictions[role]]) > np.float32(0.5)

    def graded(split: SplitName, supervisors: int) -> Graded:
        weak = classes("weak", split)[:supervisors]
        return task.truth[split], BaselinePredictions(weak=weak, ceiling=classes("ceiling", split))

    return Prepared(
        materials=materials(config, task, inputs, weak),
        arrays=arrays,
        search=graded("search", config.baselines.seeds),  # the others are kept back for the confirmation
        test=graded("test", config.supervisors),
        train_s=train_s,
        counts=inputs.counts,
    )


def _pooled(config: RunConfig, models: Sequence[Arrays]) -> Pooled:
    """What each supervisor says; a warning where its models never contradict each other."""
    panel = config.weak.panel
    found = pooled(models, panel.size, panel.pooling)
    if found.unanimous:
        log.warning(
            "the %d weak models of each supervisor always decide alike, so together they know no more than "
            "one: give each its own examples with baselines.own_rows, or set weak.panel.size to 1",
            panel.size,
        )
    return found


def materials(config: RunConfig, task: Task, inputs: Inputs, weak: Pooled) -> Materials:
    """What trials get. weak: what their supervisors say."""
    return Materials(
        weak_probs=np.stack([said["transfer"] for said in weak.supervisors]),
        weak_spread=weak.spread,
        tokens=inputs.strong,
        swapped=_swapped(config.strong.model, task),
        questions=ask(config.strong.model, task.inputs["transfer"]),
        intermediates=tuple(
            Intermediate(model=model, tokens=tokens, swapped=_swapped(model, task))
            for model, tokens in zip(config.intermediates, inputs.intermediates, strict=True)
        ),
    )


def _swapped(model: ModelConfig, task: Task) -> dict[SplitName, Tokens]:
    """What students see with the responses of each pair exchanged; nothing of single texts."""
    inputs = {split: task.inputs[split] for split in STUDENTS_SEE}
    pairs = {split: examples for split, examples in inputs.items() if examples.pairs is not None}
    return {split: render(model, examples.exchanged()) for split, examples in pairs.items()}


def _baselines(
    config: RunConfig,
    weights: Mapping[ModelConfig, str],
    data: Mapping[Role, Sequence[BaselineData]],
    arrays: SharedArrays,
    advance: Advance,
    watch: Watch,
) -> tuple[dict[Role, list[Arrays]], float]:
    """Predictions of every role, in the order of seeds, and the seconds spent training.

    data: of each role, a set for each seed. One of every role begins first: so it is soon known what the
    others take.
    """
    predictions: dict[Role, dict[int, Arrays]] = {"weak": {}, "ceiling": {}}
    paths: dict[BaselineJob, Path] = {}
    due: list[tuple[BaselineJob, BaselineData]] = []
    for training in trainings(config, weights, data):
        job = training.job
        if (cached := load_arrays(training.path)) is not None:
            predictions[job.role][job.seed] = cached
            continue
        paths[job] = training.path
        due.append((job, training.data))
    total = sum(map(len, data.values()))
    train_s = 0.0

    def told(job: BaselineJob, progress: Progress) -> None:
        nonlocal train_s
        if progress.predictions is not None:
            save_arrays(paths[job], progress.predictions)
            predictions[job.role][job.seed] = progress.predictions
            train_s += progress.seconds
        watch.told(job, progress)

    watch.begin(Counter(job.role for job, _ in due))
    BaselineTrainings(config, arrays, told).run(
        _first_of_each(due), lambda unfinished: advance(total - unfinished, total)
    )
    in_order = {role: [by_seed[seed] for seed in sorted(by_seed)] for role, by_seed in predictions.items()}
    return in_order, train_s


def _first_of_each(due: Sequence[tuple[BaselineJob, BaselineData]]) -> list[tuple[BaselineJob, BaselineData]]:
    """The same, beginning with one of each role."""
    first = {job.role: job for job, _ in reversed(due)}
    return sorted(due, key=lambda one: one[0] is not first[one[0].role])
