"""Prepares a search from its config and its task: tokens, weak labels, floor and ceiling."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cluster.inventory import gpu_memories, gpus_may_come
from search.config.learners import SupervisorConfig
from search.config.schema import RunConfig
from search.scoring.grader import BaselinePredictions
from search.workers.baselines import BaselineTrainings
from search.workers.loading import Loaded
from search.workers.shared_arrays import SharedArrays
from trainers.cache import Arrays, load_arrays, save_arrays
from trainers.data.counts import DataCounts
from trainers.data.examples import SPLITS, Labels, SplitName, Task
from trainers.data.tokens import Tokens, length_counts
from trainers.models.pool import load_tokenizer
from trainers.models.prompts import ask, render
from trainers.models.settings import ModelConfig
from trainers.training.model_size import room_for
from trainers.trial.baselines import BaselineData, BaselineJob, Role, cache_path, model_digest
from trainers.trial.workbench import Intermediate, Materials

log = logging.getLogger(__name__)

Graded = tuple[Labels, BaselinePredictions]
Advance = Callable[[int, int], None]
Trained = Callable[[BaselineJob, float], None]
STUDENTS_SEE: tuple[SplitName, ...] = ("transfer", "search", "test")


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
    naive, needed = config.naive, None
    if memories and (
        room := room_for(config.strong.model, config.engine, min(memories) / 1e9, config.trial.processes)
    ):
        needed = room.needed(naive.student, naive.optim.batch_size)
    trial = config.trial.on(memories, needed, may_come=gpus_may_come())
    log.info("trial.gpus is null in the config: set to %g GPUs per process", trial.needs.gpus)
    return config.model_copy(update={"trial": trial})


def prepare(
    config: RunConfig, loaded: Loaded, advance: Advance, trained: Trained = lambda job, seconds: None
) -> Prepared:
    """Train the baselines on Ray or load them from the cache.

    advance: called with (done, all) as baselines finish. trained: called with each that was trained and its
    seconds, once it is in the cache. Raises ValueError, of one line, if the data or the models are unusable.
    What is lost of the data is logged before training.
    """
    task = loaded.task
    if reason := config.naive.refused(config.abilities):
        raise ValueError(f"strong: the naive baseline cannot run: {reason}")
    weak = _tokens(config.weak.model, task, SPLITS)
    strong = _tokens(config.strong.model, task, STUDENTS_SEE)
    intermediates = [_tokens(model, task, STUDENTS_SEE) for model in config.intermediates]
    counts = _counted(config, task, [weak, strong, *intermediates])
    data: dict[Role, Sequence[BaselineData]] = {
        "weak": weak_data(config, _data("weak_train", task, weak)),
        "ceiling": [_data("transfer", task, strong)] * config.baselines.seeds,
    }
    questions = ask(config.strong.model, task.inputs["transfer"])
    arrays = SharedArrays()
    predictions, train_s = _baselines(config, loaded.weights, data, arrays, advance, trained)

    def classes(role: Role, split: SplitName) -> Any:
        return np.stack([of_seed[split] for of_seed in predictions[role]]) > np.float32(0.5)

    def graded(split: SplitName, supervisors: int) -> Graded:
        weak = classes("weak", split)[:supervisors]
        return task.truth[split], BaselinePredictions(weak=weak, ceiling=classes("ceiling", split))

    materials = Materials(
        weak_probs=np.stack([of_seed["transfer"] for of_seed in predictions["weak"]]),
        tokens=strong,
        swapped=_swapped(config.strong.model, task),
        questions=questions,
        intermediates=tuple(
            Intermediate(model=model, tokens=tokens, swapped=_swapped(model, task))
            for model, tokens in zip(config.intermediates, intermediates, strict=True)
        ),
    )
    return Prepared(
        materials=materials,
        arrays=arrays,
        search=graded("search", config.baselines.seeds),  # the others are kept back for the confirmation
        test=graded("test", config.supervisors),
        train_s=train_s,
        counts=counts,
    )


def _tokens(model: ModelConfig, task: Task, splits: tuple[SplitName, ...]) -> dict[SplitName, Tokens]:
    return {split: render(model, task.inputs[split]) for split in splits}


def _swapped(model: ModelConfig, task: Task) -> dict[SplitName, Tokens]:
    """What students see with the responses of each pair exchanged; nothing of single texts."""
    inputs = {split: task.inputs[split] for split in STUDENTS_SEE}
    pairs = {split: examples for split, examples in inputs.items() if examples.pairs is not None}
    return {split: render(model, examples.exchanged()) for split, examples in pairs.items()}


def _counted(config: RunConfig, task: Task, tokens: list[dict[SplitName, Tokens]]) -> DataCounts:
    """What is lost of the task's data and within the length of each model, logged.

    tokens: of the weak model, the strong one and the intermediate ones.
    """
    models = {"weak.model": config.weak.model, "strong.model": config.strong.model}
    models |= {f"intermediates.{i}": model for i, model in enumerate(config.intermediates)}
    counts = task.counts.model_copy(
        update={
            "lengths": tuple(
                length_counts(role, load_tokenizer(model).model_max_length, of_model)
                for (role, model), of_model in zip(models.items(), tokens, strict=True)
            )
        }
    )
    for sentence in counts.sentences():
        log.warning("%s", sentence)
    return counts


def _data(split: SplitName, task: Task, tokens: dict[SplitName, Tokens]) -> BaselineData:
    others = {name: of_split for name, of_split in tokens.items() if name != split}
    return BaselineData(learn=tokens[split], truth=task.truth[split], predict=others)


def weak_data(config: RunConfig, data: BaselineData) -> list[BaselineData]:
    """What each weak supervisor learns from: all of weak_train, or rows of its own."""
    rows = config.baselines.own_rows
    if rows is None:
        return [data] * config.supervisors
    own = [data.only(range(i * rows, (i + 1) * rows)) for i in range(config.supervisors)]
    for i, part in enumerate(own):
        if len(set(part.truth.tolist())) < 2:
            raise ValueError(
                f"baselines.own_rows {rows}: the rows of weak supervisor {i} are all of class "
                f"{part.truth[0]}: set it higher, or leave it out"
            )
    return own


def _baselines(
    config: RunConfig,
    weights: Mapping[ModelConfig, str],
    data: dict[Role, Sequence[BaselineData]],
    arrays: SharedArrays,
    advance: Advance,
    trained: Trained,
) -> tuple[dict[Role, list[Arrays]], float]:
    """Predictions of every role, in the order of seeds, and the seconds spent training.

    data: of each role, a set for each seed.
    """
    learners: dict[Role, SupervisorConfig] = {"weak": config.weak, "ceiling": config.strong}
    predictions: dict[Role, dict[int, Arrays]] = {"weak": {}, "ceiling": {}}
    paths: dict[BaselineJob, Path] = {}
    due: list[tuple[BaselineJob, BaselineData]] = []
    for role, learner in learners.items():
        model = model_digest(learner.model, weights[learner.model])
        contents = {id(of_seed): of_seed.digest for of_seed in data[role]}  # seeds may share their data
        for seed, of_seed in enumerate(data[role], start=config.first_seed):
            job = BaselineJob(
                role=role,
                model=learner.model,
                student=learner.student,
                optim=learner.optim,
                engine=config.engine,
                seed=seed,
            )
            path = cache_path(job, contents[id(of_seed)], model, config.cache_dir)
            if (cached := load_arrays(path)) is not None:
                predictions[role][seed] = cached
                continue
            paths[job] = path
            due.append((job, of_seed))
    total = sum(map(len, data.values()))
    train_s = 0.0

    def finished(job: BaselineJob, predicted: Arrays, seconds: float) -> None:
        nonlocal train_s
        save_arrays(paths[job], predicted)
        trained(job, seconds)
        predictions[job.role][job.seed] = predicted
        train_s += seconds

    BaselineTrainings(config, arrays, finished).run(
        due, lambda unfinished: advance(total - unfinished, total)
    )
    in_order = {role: [by_seed[seed] for seed in sorted(by_seed)] for role, by_seed in predictions.items()}
    return in_order, train_s
