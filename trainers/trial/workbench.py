"""A trial: a method and a seed in, predictions out at every rung."""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray

from trainers.components.stages import Halts, Stage, stages_of
from trainers.components.students import Student, make_student
from trainers.components.weak_labels import Evidence, supervisor_of
from trainers.data.examples import SplitName
from trainers.data.tokens import Tokens
from trainers.method import Abilities, Method
from trainers.models.pool import ModelPool
from trainers.models.prompts import Question
from trainers.models.settings import ModelConfig
from trainers.training.checkpoint import Checkpoint
from trainers.training.compilation import share_compiled_code
from trainers.training.loop import (
    Diverged,
    FeatureInputs,
    Floats,
    Inputs,
    Recipe,
    TokenInputs,
    fit,
    forward,
)
from trainers.training.session import Event
from trainers.training.settings import EngineConfig
from trainers.training.weights import load_weights
from trainers.trial.stage_runner import Course
from trainers.trial.zero_shot import zero_shot

Array = NDArray[Any]
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
        return supervisor_of(seed, len(self.weak_probs))


@dataclass(frozen=True, kw_only=True)
class Report:
    """A trial at a rung: predictions are P(class 1) float32 [n] on the split asked for, times in seconds.

    share: of the method's whole training, over all its stages. Times and events are those since the last
    report.
    """

    share: float
    predictions: Floats
    setup_s: float
    train_s: float
    eval_s: float
    events: tuple[Event, ...]


class Shared(Protocol):
    """Arrays that the workers of a campaign compute once between them."""

    def __call__(self, name: str, compute: Callable[[], Array], /) -> Array:
        """The array of this name, computed by the first worker that asks for it."""
        ...


def unshared(name: str, compute: Callable[[], Array], /) -> Array:
    """For a worker without others: computed here."""
    return compute()


class Workbench:
    """What a worker process keeps between trials: materials, base weights, frozen features and the prior."""

    def __init__(
        self, materials: Materials, pool: ModelPool, engine: EngineConfig, shared: Shared = unshared
    ) -> None:
        share_compiled_code(pool.cache)
        self._materials = materials
        self._engine = engine
        self._shared = shared
        self._strong = _Desk("strong", pool, materials.tokens, shared)
        self._intermediates = [
            _Desk(f"intermediate {place}", pool.another(one.model), one.tokens, shared)
            for place, one in enumerate(materials.intermediates)
        ]

    @property
    def abilities(self) -> Abilities:
        """What methods can count on here."""
        return self._materials.abilities

    def train(
        self,
        method: Method,
        *,
        seed: int,
        split: SplitName,
        rungs: Sequence[float],
        checkpoint: Checkpoint | None = None,
        micro_batch: int | None = None,
    ) -> Iterator[Report]:
        """Train by `method` and yield, at every rung, predictions on `split`.

        rungs: rising shares of the method's whole training. Where the last is below 1 the training pauses
        there. checkpoint: where its state is kept at rungs, needed for a pause; the same method and seed go
        on from there, and a rung before that state is not yielded again. micro_batch: the largest that fits,
        if that is known to be less than the engine's.
        Raises ValueError where these materials don't allow for the method, Diverged when the loss is not
        finite and OutOfMemory as `trainers.training.loop.fit`. Closing the iterator frees the engine.
        """
        if reason := method.refused(self.abilities):
            raise ValueError(reason)
        course = Course(method, self._evidence(seed), seed, checkpoint)
        stages = stages_of(method.stages, len(self._intermediates))
        halts_of = course.halts(stages, rungs)
        first, clock = course.restore(), _Clock()
        for rung in halts_of[first - 1].get(1.0, ()) if first else ():
            yield clock.report(rung, course.answer(), [])
        for place in range(first, len(stages)):
            if any(rung for later in halts_of[place:] for rung in later.values()):
                engine = self._engine.at_most(micro_batch)
                yield from self._stage(course, stages, place, halts_of, split, engine, clock)

    def _stage(
        self,
        course: Course,
        stages: Sequence[Stage],
        place: int,
        halts_of: Sequence[Halts],
        split: SplitName,
        engine: EngineConfig,
        clock: "_Clock",
    ) -> Iterator[Report]:
        """One training of the method, up to the last rung that is wanted of it."""
        stage, after = stages[place], stages[place + 1] if place + 1 < len(stages) else None
        student, learn, asked = self._student(course, stage, split)
        lesson = course.lesson(stage)
        recipe = Recipe(
            plan=lesson.plan,
            loss=course.method.loss,
            optim=course.method.optim,
            engine=engine,
            seed=course.seed_of(stage),
        )
        due, events = halts_of[place], list[Event]()
        pauses = not any(rung for later in halts_of[place + 1 :] for rung in later.values())
        shares = [share for share in sorted(due) if not pauses or share <= max(s for s in due if due[s])]
        fitted = fit(
            student.module,
            student.parameters,
            learn,
            lesson.targets,
            recipe,
            shares,
            checkpoint=course.checkpoint_of(place),
            on_event=events.append,
        )
        clock.lap("setup_s")
        with closing(cast(Generator[float], fitted)):
            for share in fitted:
                clock.lap("train_s")
                odds = _log_odds(student.module, asked)
                predictions = course.answer(odds)
                clock.lap("eval_s")
                hands_on = share == 1 and after is not None
                if hands_on and pauses:
                    course.passed(student, learn, odds, stages[place + 1])
                    course.save(place + 1)
                for rung in due[share]:
                    yield clock.report(rung, predictions, events)
                    events.clear()
                if hands_on and not pauses:
                    course.passed(student, learn, odds, stages[place + 1])
                    course.save_if_worth_it(place + 1)

    def _student(self, course: Course, stage: Stage, split: SplitName) -> tuple[Student, Inputs, Inputs]:
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
        return self._shared("prior", lambda: zero_shot(self._strong.pool, self._materials.questions))


class _Desk:
    """One model's place on the workbench: its weights, its tokens, and its frozen features so far."""

    def __init__(
        self, name: str, pool: ModelPool, tokens: Mapping[SplitName, Tokens], shared: Shared
    ) -> None:
        self.pool = pool
        self._name = name
        self._tokens = tokens
        self._shared = shared
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
        """Features float32 [n, d] of the untouched model at a layer, computed once for all workers."""
        if (split, layer) not in self._features:
            shared = self._shared(f"{self._name} {split} {layer}", lambda: self._computed(split, layer))
            self._features[split, layer] = torch.tensor(shared)
        return self._features[split, layer]

    def _computed(self, split: SplitName, layer: int) -> Array:
        model = self.pool.fresh(seed=0, words=self.words)
        return forward(partial(model.features, layer=layer), self.inputs(split, None), model).numpy()


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

    def report(self, share: float, predictions: Floats, events: Sequence[Event]) -> Report:
        """A report with the seconds since the last one."""
        spent, self._spent = self._spent, dict.fromkeys(PARTS, 0.0)
        return Report(share=share, predictions=predictions, events=tuple(events), **spent)
