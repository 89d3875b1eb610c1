"""Loads what a run learns from: its task, and the models that it checks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from search.config.schema import RunConfig
from trainers.cache import check_writable
from trainers.data.dataset import load_task
from trainers.data.examples import Task
from trainers.models.pool import check_model
from trainers.models.settings import ModelConfig
from trainers.models.weights import weights_digest


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The task, and the digest of every model's weights."""

    task: Task
    weights: Mapping[ModelConfig, str]


def load(config: RunConfig) -> Loaded:
    """Load the task and check the models.

    Raises ValueError, of one line, if one of them is unusable, or if the cache cannot be written.
    """
    check_writable(config.cache_dir)
    task = load_task(config.task)
    for _, model in models_of(config):
        check_model(model, cache=config.cache_dir)
    return Loaded(task=task, weights={model: weights_digest(model) for _, model in models_of(config)})


def require_naive(config: RunConfig) -> None:
    """Raise ValueError, on one line, if the naive baseline cannot run."""
    if reason := config.naive.refused(config.abilities):
        raise ValueError(f"strong: the naive baseline cannot run: {reason}")


def models_of(config: RunConfig) -> Iterator[tuple[str, ModelConfig]]:
    """The models of a run with the places of their settings."""
    yield "weak.model", config.weak.model
    yield "strong.model", config.strong.model
    for i, model in enumerate(config.intermediates):
        yield f"intermediates.{i}", model
