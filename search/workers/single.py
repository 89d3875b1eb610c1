"""Trains one method outside a search: its predictions on the search split, and their score."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import ray
from numpy.typing import NDArray

from agents.findings.predictions import pack
from search.config.schema import RunConfig
from search.engine.assignment import Assignment
from search.scoring.grader import BaselineScores, Score
from search.storage.search_queries import count_query
from search.workers.loading import Loaded
from search.workers.member import Member, Work
from search.workers.preparation import Prepared
from search.workers.remote_grader import new_grader
from trainers.data.digests import inputs_digest
from trainers.data.examples import Examples
from trainers.method import Method
from trainers.scratch import scratch_folder

log = logging.getLogger(__name__)

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A method that was trained once.

    predictions: P(class 1) on the search split, float32 [n], in the order of `examples`. score: accuracy and
    PGR of these predictions. baselines: weak floor and ceiling on the same split. seconds: of the training.
    queries: how often single trainings with this cache have been told a score on this split, this one
    included: whoever chooses by many of them has fitted the split.
    """

    method: Method
    seed: int
    examples: Examples
    predictions: Floats
    score: Score
    baselines: BaselineScores
    seconds: float
    queries: int


def check_single(config: RunConfig, method: Method) -> None:
    """Raise ValueError, on one line, if a method cannot be trained alone with this config."""
    if config.trial.processes > 1:
        raise ValueError("trial.processes: a single training has one process; leave it at 1")
    if reason := method.refused(config.abilities):
        raise ValueError(reason)


def train_once(
    config: RunConfig,
    loaded: Loaded,
    prepared: Prepared,
    method: Method,
    seed: int,
    every_poll: Callable[[], None] = lambda: None,
) -> Trained:
    """Train a method on the connected Ray, in a process of its own, which never holds ground truth.

    every_poll: called while it trains; what it raises ends the wait. Raises what the training raised.
    """
    grader = new_grader(config, prepared)
    assignment = Assignment(trial="single", purpose="search", method=method, seed=seed, rungs=(1.0,))
    with scratch_folder() as folder:
        work = Work(config=config, materials=prepared.materials, shared=prepared.arrays, checkpoints=folder)
        predictions, seconds = _trained(work, assignment, every_poll)
    inputs = loaded.task.inputs["search"]
    queries = count_query(config.cache_dir, inputs_digest(inputs))  # before it is told
    return Trained(
        method=method,
        seed=seed,
        examples=inputs,
        predictions=predictions,
        score=grader.grade(pack(predictions > np.float32(0.5))),
        baselines=grader.baselines(),
        seconds=seconds,
        queries=queries,
    )


def _trained(work: Work, assignment: Assignment, every_poll: Callable[[], None]) -> tuple[Floats, float]:
    needs = work.config.trial.needs
    remote = ray.remote(num_cpus=needs.cpus, num_gpus=needs.gpus, memory=needs.memory, max_retries=0)(_train)
    running = remote.remote(work, assignment)
    while not ray.wait([running], timeout=0.5)[0]:
        every_poll()
    try:
        answer: tuple[Floats, float] = ray.get(running)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    return answer


def _train(work: Work, assignment: Assignment) -> tuple[Floats, float]:
    """Predictions at the end, and the seconds from the start of the training."""
    reports = list(Member(work).train(assignment))
    return reports[-1].predictions, sum(
        one.setup_s + one.shared_s + one.train_s + one.eval_s for one in reports
    )
