"""From a config to what a search needs: splits, tokens, weak labels, floor and ceiling."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import ray

from cluster.inventory import gpu_memories, gpus_may_come
from search.config.schema import LearnerConfig, RunConfig
from search.scoring.grader import BaselinePredictions
from trainers.cache import Arrays, load_arrays, save_arrays
from trainers.data.dataset import load_task
from trainers.data.examples import Labels, SplitName, Task
from trainers.data.tokens import Tokens
from trainers.models.pool import check_model
from trainers.models.prompts import ask, render
from trainers.training.deepspeed_engine import warm_up
from trainers.training.model_size import room_for
from trainers.training.settings import EngineConfig
from trainers.trial.baselines import BaselineData, BaselineJob, Role, cache_path, model_digest, train_baseline
from trainers.trial.workbench import Intermediate, Materials

log = logging.getLogger(__name__)

Graded = tuple[Labels, BaselinePredictions]
Advance = Callable[[int, int], None]
STUDENTS_SEE: tuple[SplitName, ...] = ("transfer", "search", "test")
POLL_S = 0.5  # between two looks at whether the run was told to stop


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What trials get (materials), what only the grader gets (search, test), and seconds spent training."""

    materials: Materials
    search: Graded
    test: Graded
    train_s: float


def with_gpus(config: RunConfig) -> RunConfig:
    """The config with `trial.gpus` decided by the cluster and the memory predicted for the naive method."""
    if config.trial.gpus is not None:
        return config
    memories, naive, needed = gpu_memories(), config.naive, None
    if memories and (
        room := room_for(config.strong.model, config.engine, min(memories) / 1e9, config.trial.processes)
    ):
        needed = room.needed(naive.student, naive.optim.batch_size)
    trial = config.trial.on(memories, needed, may_come=gpus_may_come())
    log.info("trial.gpus is open: %g of a GPU for each process", trial.needs.gpus)
    return config.model_copy(update={"trial": trial})


def prepare(config: RunConfig, advance: Advance) -> Prepared:
    """Load the task, train or fetch the baselines on Ray; `advance(done, all)` is called as they come in.

    Raises ValueError, one line, for whatever is wrong with the data or the models.
    """
    task = load_task(config.task)
    for model in (config.weak.model, config.strong.model, *config.intermediates):
        check_model(model, cache=config.cache_dir)
    if reason := config.naive.refused(config.abilities):
        raise ValueError(f"strong: the naive baseline cannot run: {reason}")
    weak = _tokens(config.weak, task, ("weak_train", "transfer", "search", "test"))
    strong = _tokens(config.strong, task, STUDENTS_SEE)
    data: dict[Role, BaselineData] = {
        "weak": _data("weak_train", task, weak),
        "ceiling": _data("transfer", task, strong),
    }
    answers, train_s = _baselines(config, data, advance)

    def classes(role: Role, split: SplitName) -> Any:
        return np.stack([answer[split] for answer in answers[role]]) > np.float32(0.5)

    def graded(split: SplitName) -> Graded:
        predictions = BaselinePredictions(weak=classes("weak", split), ceiling=classes("ceiling", split))
        return task.truth[split], predictions

    materials = Materials(
        weak_probs=np.stack([answer["transfer"] for answer in answers["weak"]]),
        tokens=strong,
        questions=ask(config.strong.model, task.inputs["transfer"]),
        intermediates=tuple(
            Intermediate(
                model=model, tokens={split: render(model, task.inputs[split]) for split in STUDENTS_SEE}
            )
            for model in config.intermediates
        ),
    )
    return Prepared(materials=materials, search=graded("search"), test=graded("test"), train_s=train_s)


def _tokens(learner: LearnerConfig, task: Task, splits: tuple[SplitName, ...]) -> dict[SplitName, Tokens]:
    return {split: render(learner.model, task.inputs[split]) for split in splits}


def _data(split: SplitName, task: Task, tokens: dict[SplitName, Tokens]) -> BaselineData:
    answer = {name: one for name, one in tokens.items() if name != split}
    return BaselineData(learn=tokens[split], truth=task.truth[split], predict=answer)


def _baselines(
    config: RunConfig, data: dict[Role, BaselineData], advance: Advance
) -> tuple[dict[Role, list[Arrays]], float]:
    """Answers of every role and seed, in the order of the seeds, and the seconds that training took."""
    learners: dict[Role, LearnerConfig] = {"weak": config.weak, "ceiling": config.strong}
    answers: dict[Role, dict[int, Arrays]] = {"weak": {}, "ceiling": {}}
    pending = {}
    for role, learner in learners.items():
        shared = None
        weights, content = model_digest(learner.model), data[role].digest
        for seed in range(config.first_seed, config.first_seed + config.baselines.seeds):
            job = BaselineJob(
                role=role,
                model=learner.model,
                student=learner.student,
                optim=learner.optim,
                engine=config.engine,
                seed=seed,
            )
            path = cache_path(job, content, weights, config.cache_dir)
            if (known := load_arrays(path)) is not None:
                answers[role][seed] = known
                continue
            shared = shared or ray.put(data[role])
            pending[_remote(config).remote(job, shared, config.cache_dir)] = (job, path)
    total = len(learners) * config.baselines.seeds
    train_s = 0.0
    while True:
        advance(total - len(pending), total)
        if not pending:
            break
        done, _ = ray.wait(list(pending), num_returns=1, timeout=POLL_S)
        for ready in done:
            job, path = pending.pop(ready)
            arrays, seconds = _result(ready)
            save_arrays(path, arrays)
            answers[job.role][job.seed] = arrays
            train_s += seconds
    return {role: [by_seed[seed] for seed in sorted(by_seed)] for role, by_seed in answers.items()}, train_s


def _result(reference: Any) -> tuple[Arrays, float]:
    try:
        answer: tuple[Arrays, float] = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, ValueError | RuntimeError | OSError):
            raise error.cause from None
        raise RuntimeError(f"a baseline failed: {type(error.cause).__name__}: {error.cause}") from None
    except ray.exceptions.RayError as error:  # Ray has tried it again already
        raise RuntimeError(f"the worker of a baseline died: {str(error).splitlines()[0]}") from None
    return answer


def _remote(config: RunConfig) -> Any:
    needs = config.trial.needs
    return ray.remote(num_cpus=needs.cpus, num_gpus=needs.gpus, memory=needs.memory)(_timed_training)


@cache
def _warmed_up(config: EngineConfig) -> None:
    """Once a worker process, before its first training."""
    warm_up(config)


def _timed_training(job: BaselineJob, data: BaselineData, kept_in: Path) -> tuple[Arrays, float]:
    _warmed_up(job.engine)
    started = time.perf_counter()
    return train_baseline(job, data, kept_in), time.perf_counter() - started
