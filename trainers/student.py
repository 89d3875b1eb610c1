"""A trial: a method and a seed in, predictions out at every rung."""

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray

from trainers.adapters import Student, Weights, load_weights, make_student, trained_weights
from trainers.engine import EngineConfig
from trainers.evidence import Evidence
from trainers.examples import SplitName
from trainers.labels import make_targets
from trainers.method import Abilities, Method
from trainers.models import ModelConfig, ModelPool
from trainers.prior import zero_shot
from trainers.prompts import Question
from trainers.selection import plan
from trainers.stages import Lesson, SelfTrain, Stage, Teacher, answer, halts, own_lesson, stages_of, taught_by
from trainers.tokens import Tokens
from trainers.training import (
    Diverged,
    FeatureInputs,
    Floats,
    Inputs,
    Recipe,
    TokenInputs,
    fit,
    forward,
    predict,
    total_steps,
)

Part = Literal["setup_s", "train_s", "eval_s"]
PARTS: tuple[Part, ...] = ("setup_s", "train_s", "eval_s")


@dataclass(frozen=True, kw_only=True)
class Intermediate:
    """A model between the weak and the strong one, and its tokens of the splits that students see."""

    model: ModelConfig
    tokens: Mapping[SplitName, Tokens]


@dataclass(frozen=True, kw_only=True)
class Materials:
    """What every trial of a campaign works from; there is no ground truth in it.

    weak_probs: float32 [supervisors, n], P(class 1) of each weak supervisor on the transfer split.
    tokens: the strong model's tokens of the transfer, search and test inputs, as `prompts.render` makes them.
    questions: the transfer inputs as `prompts.ask` makes them; none where the strong model cannot be asked.
    intermediates: what a chain goes through, from small to large.
    """

    weak_probs: NDArray[np.float32]
    tokens: Mapping[SplitName, Tokens]
    questions: tuple[Question, ...] = ()
    intermediates: tuple[Intermediate, ...] = ()

    @property
    def abilities(self) -> Abilities:
        """What methods can count on."""
        return Abilities(prior=bool(self.questions), intermediates=len(self.intermediates))

    def supervisor(self, seed: int) -> int:
        """The weak supervisor whose labels a trial with this seed learns from."""
        return seed % len(self.weak_probs)


@dataclass(frozen=True, kw_only=True)
class Report:
    """A trial at a rung: predictions are P(class 1) float32 [n] on the split asked for, times in seconds.

    share: of the method's whole training, over all its stages. The times are those since the last report.
    """

    share: float
    predictions: Floats
    setup_s: float
    train_s: float
    eval_s: float


class Workbench:
    """What a worker process keeps between trials: materials, base weights, frozen features and the prior."""

    def __init__(self, materials: Materials, pool: ModelPool, engine: EngineConfig) -> None:
        self._materials = materials
        self._engine = engine
        self._strong = _Desk(pool, materials.tokens)
        self._intermediates = [_Desk(pool.another(one.model), one.tokens) for one in materials.intermediates]

    @property
    def abilities(self) -> Abilities:
        """What methods can count on here."""
        return self._materials.abilities

    def train(
        self, method: Method, *, seed: int, split: SplitName, rungs: Sequence[float]
    ) -> Iterator[Report]:
        """Train by `method` and yield, at every rung, predictions on `split`.

        rungs: rising shares of the method's whole training, the last one 1. Raises ValueError where these
        materials don't allow for the method, trainers.training.Diverged when the loss is not finite. Closing
        the iterator frees the engine.
        """
        if reason := method.refused(self.abilities):
            raise ValueError(reason)
        course = _Course(method, self._evidence(seed), seed)
        stages = stages_of(method.stages, len(self._intermediates))
        clock = _Clock()
        for stage, after, due in zip(stages, (*stages[1:], None), course.halts(stages, rungs), strict=True):
            student, learn, asked = self._student(course, stage, split)
            lesson = course.lesson(stage)
            recipe = Recipe(
                plan=lesson.plan,
                loss=method.loss,
                optim=method.optim,
                engine=self._engine,
                seed=course.seed_of(stage),
            )
            fitted = fit(student.module, student.parameters, learn, lesson.targets, recipe, sorted(due))
            clock.lap("setup_s")
            with closing(cast(Generator[float], fitted)):
                for share in fitted:
                    clock.lap("train_s")
                    odds = _log_odds(student.module, asked)
                    predictions = answer(method.stages, [*course.odds, odds])
                    clock.lap("eval_s")
                    for rung in due[share]:
                        yield Report(share=rung, predictions=predictions, **clock.read())
                    if share == 1 and after is not None:
                        course.passed(student, learn, odds, after)

    def _student(self, course: "_Course", stage: Stage, split: SplitName) -> tuple[Student, Inputs, Inputs]:
        """The student of a stage, the inputs it learns from and those it answers."""
        desk = self._strong if stage.learner is None else self._intermediates[stage.learner]
        seed = course.seed_of(stage)
        torch.manual_seed(seed)
        student = make_student(course.method.student, desk.pool, seed=seed, words=desk.words)
        if stage.continues:
            load_weights(student, course.weights)
        return student, desk.inputs("transfer", student.layer), desk.inputs(split, student.layer)

    def _evidence(self, seed: int) -> Evidence:
        return Evidence(
            weak_probs=self._materials.weak_probs[self._materials.supervisor(seed)],
            features=lambda: self._strong.features("transfer", self._strong.pool.layer_at(1.0)).numpy(),
            prior=lambda: self._prior,
            seed=seed,
        )

    @cached_property
    def _prior(self) -> Floats:
        return zero_shot(self._strong.pool, self._materials.questions)


class _Desk:
    """One model's place on the workbench: its weights, its tokens, and its frozen features so far."""

    def __init__(self, pool: ModelPool, tokens: Mapping[SplitName, Tokens]) -> None:
        self.pool = pool
        self._tokens = tokens
        self._features: dict[tuple[SplitName, int], torch.Tensor] = {}

    @property
    def words(self) -> tuple[int, int] | None:
        """The tokens that its examples are answered with."""
        return self._tokens["transfer"].words

    def inputs(self, split: SplitName, layer: int | None) -> Inputs:
        """The split as frozen features of a layer, or as tokens where that is None."""
        if layer is None:
            return TokenInputs(tokens=self._tokens[split], pad_id=self.pool.pad_id)
        return FeatureInputs(features=self.features(split, layer))

    def features(self, split: SplitName, layer: int) -> torch.Tensor:
        """Features float32 [n, d] of the untouched model at a layer, computed once a worker."""
        if (split, layer) not in self._features:
            model = self.pool.fresh(seed=0, words=self.words)
            tokens = self.inputs(split, None)
            self._features[split, layer] = forward(partial(model.features, layer=layer), tokens, model)
        return self._features[split, layer]


class _Course:
    """A trial's way through its stages: what each learns, and what those behind it have left.

    odds: the log-odds of each finished model on the split asked for. weights: what the last one trained.
    """

    def __init__(self, method: Method, evidence: Evidence, seed: int) -> None:
        self.method = method
        self.odds: list[Floats] = []
        self.weights: Weights = {}
        self._evidence = evidence
        self._taught = evidence
        self._seed = seed

    def seed_of(self, stage: Stage) -> int:
        """The trial's own seed; further members of an ensemble have seeds drawn from it."""
        if stage.member == 0:
            return self._seed
        return int(np.random.SeedSequence([self._seed, stage.member]).generate_state(1)[0])

    def halts(self, stages: Sequence[Stage], rungs: Sequence[float]) -> list[dict[float, list[float]]]:
        """As `stages.halts`; a chain's links count as long as its first, whose plan alone is known."""
        plans = {
            teacher: self._lesson(teacher, self._evidence).plan for teacher in {s.teacher for s in stages}
        }
        return halts([total_steps(plans[stage.teacher], self.method.optim) for stage in stages], rungs)

    def lesson(self, stage: Stage) -> Lesson:
        """What the stage learns."""
        return self._lesson(stage.teacher, self._taught)

    def _lesson(self, teacher: Teacher, evidence: Evidence) -> Lesson:
        if teacher == "weak":
            return self._first
        if teacher == "previous":
            return self._by_method(evidence)
        assert isinstance(self.method.stages, SelfTrain)
        return own_lesson(self.method.stages, evidence)

    @cached_property
    def _first(self) -> Lesson:
        return self._by_method(self._evidence)

    def _by_method(self, evidence: Evidence) -> Lesson:
        targets = make_targets(self.method.labels, evidence)
        return Lesson(targets=targets, plan=plan(self.method.select, evidence, targets))

    def passed(self, student: Student, learn: Inputs, odds: Floats, after: Stage) -> None:
        """Take over from a finished model what the stage after it needs."""
        self.odds.append(odds)
        if after.teacher != "weak":
            self._taught = taught_by(self._evidence, predict(student.module, learn))
        if after.continues:
            self.weights = trained_weights(student)


def _log_odds(model: torch.nn.Module, inputs: Inputs) -> Floats:
    """Log-odds: log P(class 1) - log P(class 0), float32 [n]. Raises Diverged where one is not a number."""
    logits = forward(model, inputs, model)
    odds: Floats = (logits[:, 1] - logits[:, 0]).numpy()
    if not np.isfinite(odds).all():
        raise Diverged("the model's predictions are not numbers")
    return odds


class _Clock:
    """Sorts the time that passes into setup, training and evaluation."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self._spent = dict.fromkeys(PARTS, 0.0)

    def lap(self, part: Part) -> None:
        """Count the time since the last lap as that of `part`."""
        now = time.perf_counter()
        self._spent[part] += now - self._last
        self._last = now

    def read(self) -> dict[Part, float]:
        """Seconds by part since they were last read."""
        spent, self._spent = self._spent, dict.fromkeys(PARTS, 0.0)
        return spent
