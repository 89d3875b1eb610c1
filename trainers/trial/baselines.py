"""Weak floor, ceiling and weak labels: trained on ground truth, over several seeds, cached by content."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from trainers.cache import Arrays, digest
from trainers.component import Frozen
from trainers.components.losses import Xent
from trainers.components.optim import Adamw
from trainers.components.selecting.plans import Phase, Plan
from trainers.components.students import BagOfWords, Student, SupervisorStudent, make_student
from trainers.data.examples import Labels, SplitName
from trainers.data.tokens import Tokens
from trainers.models.head import new_head
from trainers.models.pool import ModelPool
from trainers.models.settings import ModelConfig
from trainers.models.tf_idf import TfIdf
from trainers.training.compilation import share_compiled_code
from trainers.training.loop import FeatureInputs, Inputs, Recipe, fit, predict
from trainers.training.settings import EngineConfig
from trainers.trial.model_data import ModelData, Shared, unshared

Role = Literal["weak", "ceiling"]
LEARNS: dict[Role, SplitName] = {"weak": "weak_train", "ceiling": "transfer"}
VERSION = 1  # raise it when a change to the training code changes the results of baselines


class BaselineJob(Frozen):
    """A training on ground truth with a seed."""

    role: Annotated[Role, Field(description="weak: the weak supervisor; ceiling: the strong model")]
    model: Annotated[ModelConfig, Field(description="the model to train")]
    student: Annotated[
        SupervisorStudent, Field(discriminator="kind", description="which weights are trained")
    ]
    optim: Annotated[Adamw, Field(description="optimizer and learning rate")]
    engine: Annotated[EngineConfig, Field(description="how the training runs")]
    seed: Annotated[int, Field(ge=0, description="seed of the head, the order of batches and dropout")]


@dataclass(frozen=True, kw_only=True)
class BaselineData:
    """The data of a role's trainings: tokens and ground truth to learn, and the splits to predict.

    learn: tokens of weak_train (weak) or transfer (ceiling). truth: int8 [n] of the same split.
    predict: tokens of the splits to predict.
    """

    learn: Tokens
    truth: Labels
    predict: Mapping[SplitName, Tokens]

    def only(self, rows: range) -> "BaselineData":
        """The same with consecutive rows of what there is to learn."""
        return replace(self, learn=self.learn.only(rows), truth=self.truth[rows.start : rows.stop])

    @property
    def digest(self) -> str:
        """Changes with any token, label or split."""
        predicted = [
            part
            for name, tokens in sorted(self.predict.items())
            for part in (name, tokens.ids, tokens.offsets)
        ]
        words = self.learn.words or ()
        return digest(self.learn.ids, self.learn.offsets, self.truth, *predicted, *words)


def model_digest(config: ModelConfig, weights: str) -> str:
    """Identify a model: its weights, as `trainers.models.weights.weights_digest` gives them, and settings."""
    return digest(weights, config.model_dump(exclude={"path", "revision"}))


def cache_path(job: BaselineJob, data_digest: str, weights_digest: str, cache: Path) -> Path:
    """The file of the job's predictions; anything that they depend on changes its name."""
    key = digest(
        VERSION,
        job.role,
        weights_digest,
        job.student.model_dump(),
        job.optim.model_dump(),
        job.engine.model_dump(exclude={"backend", "compile"}),  # they change speed alone
        job.seed,
        data_digest,
    )
    return cache / "baselines" / f"{job.role}-{key}.npz"


def train_baseline(
    job: BaselineJob,
    data: BaselineData,
    cache: Path,
    shared: Shared = unshared,
    pool: ModelPool | None = None,
) -> Arrays:
    """Train with `job.seed` and return P(class 1), float32 [n], for every split of `data.predict`.

    For the others see `train_in_parts`. Raises trainers.training.loop.Diverged if the loss is not finite.
    """
    ((_, predictions),) = train_in_parts(job, data, cache, shared, pool)
    return predictions


def train_in_parts(
    job: BaselineJob,
    data: BaselineData,
    cache: Path,
    shared: Shared = unshared,
    pool: ModelPool | None = None,
    early: Sequence[float] = (),
) -> Iterator[tuple[float, Arrays]]:
    """Train as `train_baseline`; yields shares of the training that are done, at last 1 with the predictions.

    cache: where models are kept. shared: holds the frozen features of probes, which other seeds need too.
    pool: the job's model, where it is loaded already. early: shares below 1 to yield, without predictions.
    """
    share_compiled_code(cache)
    student, learn, evaluated = _student(job, data, cache, pool, shared)
    weights = np.ones(len(data.truth), dtype=np.float32)
    recipe = Recipe(
        plan=Plan(phases=(Phase(start=0.0, weights=weights, lr_scale=1.0),)),
        loss=Xent(),
        optim=job.optim,
        engine=job.engine,
        seed=job.seed,
    )
    targets = data.truth.astype(np.float32)
    rungs = [share * job.optim.stop for share in (*early, 1.0)]
    done = fit(student.module, student.parameters, learn, targets, recipe, rungs, ends=True)
    for share, _ in zip(early, done, strict=False):  # asks for no rung after these
        yield share, {}
    for _ in done:
        yield 1.0, {split: predict(student.module, inputs) for split, inputs in evaluated.items()}


def _student(
    job: BaselineJob, data: BaselineData, cache: Path, pool: ModelPool | None, shared: Shared
) -> tuple[Student, Inputs, dict[SplitName, Inputs]]:
    """The student, the inputs that it learns from, and those that it predicts."""
    if isinstance(job.student, BagOfWords):
        counted = TfIdf(data.learn)
        head = new_head(counted.size, job.seed)
        return (
            Student(module=head, parameters=list(head.parameters())),
            FeatureInputs(features=counted.vectors(data.learn)),
            {split: FeatureInputs(features=counted.vectors(of)) for split, of in data.predict.items()},
        )
    pool = pool or ModelPool(job.model, cache=cache)
    student = make_student(job.student, pool, seed=job.seed, words=data.learn.words)
    split, predicted = LEARNS[job.role], ModelData(pool, data.predict, shared)
    learn = ModelData(pool, {split: data.learn}, shared).inputs(split, student.layer)
    return student, learn, {split: predicted.inputs(split, student.layer) for split in data.predict}
