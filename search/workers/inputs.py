"""What baselines and students learn from and predict, read before anything is trained. Without Ray."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from search.config.learners import TrainedConfig
from search.config.schema import RunConfig
from search.workers.loading import require_naive
from trainers.data.counts import DataCounts
from trainers.data.examples import SPLITS, SplitName, Task
from trainers.data.tokens import Tokens, length_counts
from trainers.models.pool import load_tokenizer
from trainers.models.prompts import render
from trainers.models.settings import ModelConfig
from trainers.trial.baselines import BaselineData, BaselineJob, Role, cache_path, model_digest

STUDENTS_SEE: tuple[SplitName, ...] = ("transfer", "search", "test")
AllTokens = Mapping[SplitName, Tokens]


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The tokens of each model, what each seed of each role learns from, and what was lost on the way.

    strong, intermediates: tokens of the splits that students see. data: of each role, a set for each seed.
    """

    strong: AllTokens
    intermediates: Sequence[AllTokens]
    data: Mapping[Role, Sequence[BaselineData]]
    counts: DataCounts


def read_inputs(config: RunConfig, task: Task) -> Inputs:
    """Tokenize a task for every model.

    Raises ValueError, of one line, if nothing can be learned from it, or if the naive baseline cannot run.
    """
    require_naive(config)
    weak = _tokens(config.weak.model, task, SPLITS)
    strong = _tokens(config.strong.model, task, STUDENTS_SEE)
    intermediates = [_tokens(model, task, STUDENTS_SEE) for model in config.intermediates]
    counts = _counted(config, task, [weak, strong, *intermediates])
    data: dict[Role, Sequence[BaselineData]] = {
        "weak": weak_data(config, _data("weak_train", task, weak)),
        "ceiling": [_data("transfer", task, strong)] * config.baselines.seeds,
    }
    return Inputs(strong=strong, intermediates=intermediates, data=data, counts=counts)


@dataclass(frozen=True, kw_only=True)
class Training:
    """A baseline to train or to take from the cache, and the file that holds it there."""

    job: BaselineJob
    data: BaselineData
    path: Path


def trainings(
    config: RunConfig, weights: Mapping[ModelConfig, str], data: Mapping[Role, Sequence[BaselineData]]
) -> Iterator[Training]:
    """Every baseline, those of the weak supervisor first. weights: the digest of every model's weights."""
    learners: dict[Role, TrainedConfig] = {"weak": config.weak, "ceiling": config.strong}
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
            yield Training(job=job, data=of_seed, path=path)


def _tokens(model: ModelConfig, task: Task, splits: tuple[SplitName, ...]) -> dict[SplitName, Tokens]:
    return {split: render(model, task.inputs[split]) for split in splits}


def _counted(config: RunConfig, task: Task, tokens: list[dict[SplitName, Tokens]]) -> DataCounts:
    """What is lost of the task's data and within the length of each model.

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
    return counts


def _data(split: SplitName, task: Task, tokens: dict[SplitName, Tokens]) -> BaselineData:
    others = {name: of_split for name, of_split in tokens.items() if name != split}
    return BaselineData(learn=tokens[split], truth=task.truth[split], predict=others)


def weak_data(config: RunConfig, data: BaselineData) -> list[BaselineData]:
    """What each weak model learns from: all of weak_train, or rows of its own."""
    rows = config.baselines.own_rows
    if rows is None:
        return [data] * config.weak_models
    own = [data.only(range(i * rows, (i + 1) * rows)) for i in range(config.weak_models)]
    for i, part in enumerate(own):
        if len(set(part.truth.tolist())) < 2:
            raise ValueError(
                f"baselines.own_rows {rows}: the rows of weak model {i} are all of class "
                f"{part.truth[0]}: set it higher, or leave it out"
            )
    return own
