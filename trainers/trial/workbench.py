"""Runs a trial: a method and a seed in, predictions at every rung out."""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray

from trainers.components.staging.sequence import DueRungs
from trainers.components.staging.stage import Stage
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
from trainers.training.loop import Floats
from trainers.training.orders import Asked, answer
from trainers.training.session import Event
from trainers.training.settings import EngineConfig
from trainers.training.weights import load_weights
from trainers.trial.contrast import consistency_of_answers, consistency_of_orders
from trainers.trial.label_quality import LabelQuality
from trainers.trial.model_data import ModelData, Shared, Timed, unshared
from trainers.trial.neighbourhood import SharedNeighbours
from trainers.trial.stage_runner import StageRunner
from trainers.trial.stage_training import run_stage
from trainers.trial.zero_shot import zero_shot, zero_shot_margins

Keep = Callable[[Stage, Student], None]
Part = Literal["setup_s", "train_s", "eval_s"]
PARTS: tuple[Part, ...] = ("setup_s", "train_s", "eval_s")


@dataclass(frozen=True, kw_only=True)
class Intermediate:
    """A model between the weak and the strong one, with its tokens of the splits that students use.

    swapped: as in `Materials`.
    """

    model: ModelConfig
    tokens: Mapping[SplitName, Tokens]
    swapped: Mapping[SplitName, Tokens] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Materials:
    """The inputs of every trial of a campaign. They contain no ground truth.

    weak_probs: float32 [supervisors, n], P(class 1) of each weak supervisor on the transfer split.
    weak_spread: the same shape, how far the models of each differ (`panels.Pooled`); None if each is one.
    tokens: the strong model's tokens of the transfer, search and test inputs, as `prompts.render` makes them.
    swapped: the same with the responses of each pair exchanged; empty for single texts.
    questions: the transfer inputs as `prompts.ask` makes them; none if the strong model cannot be asked.
    intermediates: the models of a chain, from small to large.
    """

    weak_probs: NDArray[np.float32]
    tokens: Mapping[SplitName, Tokens]
    swapped: Mapping[SplitName, Tokens] = field(default_factory=dict)
    questions: tuple[Question, ...] = ()
    intermediates: tuple[Intermediate, ...] = ()
    weak_spread: NDArray[np.float32] | None = None

    @property
    def abilities(self) -> Abilities:
        """What these materials offer to methods."""
        return Abilities(
            prior=bool(self.questions),
            intermediates=len(self.intermediates),
            pairs=bool(self.swapped),
            panel=self.weak_spread is not None,
        )

    def supervisor(self, seed: int) -> int:
        """The weak supervisor whose labels a trial with this seed learns from."""
        return supervisor_of(seed, len(self.weak_probs))


@dataclass(frozen=True, kw_only=True)
class Report:
    """A trial's report at a rung: predictions are P(class 1), float32 [n]; times are in seconds.

    share: of the method's whole training, over all stages. shared_s: for what all trials share, or in waiting
    for it; the other times are without it. Times, events and losses are those since the last
    report; losses are means of the training loss over parts of it, on weak labels. labels: of a trial's first
    report alone. engine: what trained, if a training began since the last report.
    """

    share: float
    predictions: Floats
    setup_s: float
    train_s: float
    eval_s: float
    events: tuple[Event, ...]
    losses: tuple[float, ...]
    labels: LabelQuality | None = None
    engine: str = ""
    shared_s: float = 0.0


class Workbench:
    """What a worker process keeps between trials: materials, pretrained weights, frozen features, prior."""

    def __init__(
        self, materials: Materials, pool: ModelPool, engine: EngineConfig, shared: Shared = unshared
    ) -> None:
        share_compiled_code(pool.cache)
        self._materials = materials
        self._engine = engine
        self._shared = shared = Timed(shared)
        self._strong = ModelData(pool, materials.tokens, shared, materials.swapped)
        self._intermediates = [
            ModelData(pool.another(model.model), model.tokens, shared, model.swapped)
            for model in materials.intermediates
        ]
        self._nearest = SharedNeighbours(self._features, shared)

    @property
    def abilities(self) -> Abilities:
        """What this workbench offers to methods."""
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
        keep: Keep | None = None,
    ) -> Iterator[Report]:
        """Train `method` and yield predictions on `split` at every rung.

        rungs: rising shares of the method's whole training, which ends at its `optim.stop`; if the last is
        below 1, training pauses there.
        checkpoint: where the state is saved at rungs, required for a pause. Training of the same method and
        seed resumes from it, and earlier rungs are skipped. micro_batch: the largest that fits, if known to
        be smaller than the engine's. keep: called at the end of the training with every model that answers,
        one for each member, and its stage; under ZeRO-3 in all processes of a gang.
        Raises ValueError if these materials do not support the method, Diverged if the loss is not finite,
        and OutOfMemory as `trainers.training.loop.fit`. Closing the iterator frees the engine.
        """
        if reason := method.refused(self.abilities):
            raise ValueError(reason)
        runner = StageRunner(method, self._evidence(seed), seed, checkpoint, len(self._intermediates))
        due_by_stage = runner.due_rungs(rungs)
        first, clock = runner.restore(), _Clock(self._shared)
        if checkpoint is None or not checkpoint.folder.exists():  # else an earlier process has reported them
            clock.labels = runner.label_quality(two_forms=self.abilities.pairs)
        for rung in due_by_stage[first - 1].get(1.0, ()) if first else ():
            yield clock.report(rung, runner.probs(), [])
        for place in range(first, len(runner.stages)):
            if any(rung for later in due_by_stage[place:] for rung in later.values()):
                engine, ends = self._engine.at_most(micro_batch), rungs[-1] == 1
                yield from self._stage(runner, place, due_by_stage, split, engine, clock, keep, ends=ends)

    def _stage(
        self,
        runner: StageRunner,
        place: int,
        due_by_stage: Sequence[DueRungs],
        split: SplitName,
        engine: EngineConfig,
        clock: "_Clock",
        keep: Keep | None,
        *,
        ends: bool,
    ) -> Iterator[Report]:
        """Run a stage up to its last due rung. ends: whether the trial ends there instead of pausing."""
        stage, orders = runner.stages[place], runner.method.inputs
        student, data = self._student(runner, stage)
        layer, both = student.layer, 2 if self.abilities.pairs else 1
        transfer, evaluated = (data.asked(of, layer, orders.answered) for of in ("transfer", split))
        if stage.evolves:
            learn = data.asked("transfer", layer, both)
        else:
            shown = data.inputs("transfer", layer, "both" if orders.trained == 2 else "shown")
            learn = Asked(shown=shown, swapped=None)
        due, events = due_by_stage[place], list[Event]()
        is_last = not any(rung for later in due_by_stage[place + 1 :] for rung in later.values())
        shares = [share for share in sorted(due) if not is_last or share <= max(s for s in due if due[s])]
        halts = run_stage(
            runner,
            place,
            student,
            learn,
            shares,
            engine,
            events,
            clock.losses,
            clock.engines,
            ends=ends and is_last,
        )
        clock.lap("setup_s")
        with closing(cast(Generator[float], halts)):
            for share in halts:
                clock.lap("train_s")
                logits = answer(student.module, evaluated)
                predictions = runner.probs(logits)
                clock.lap("eval_s")
                if keep and share == shares[-1] and (stage.answers or (ends and is_last)):
                    keep(stage, student)
                hands_on = share == 1 and place + 1 < len(runner.stages) and not (ends and is_last)
                if hands_on and is_last:
                    runner.hand_over(place, student, transfer, logits)
                    runner.save(place + 1)
                for rung in due[share]:
                    yield clock.report(rung, predictions, events)
                    events.clear()
                if hands_on and not is_last:
                    runner.hand_over(place, student, transfer, logits)
                    runner.save_if_worth_it(place + 1)

    def _student(self, runner: StageRunner, stage: Stage) -> tuple[Student, ModelData]:
        """The student of a stage, and the examples in the form of its model."""
        data = self._strong if stage.learner is None else self._intermediates[stage.learner]
        seed = runner.seed_of(stage)
        torch.manual_seed(seed)
        student = make_student(runner.method.student, data.pool, seed=seed, words=data.words)
        if stage.continues:
            load_weights(student, runner.weights)
        return student, data

    def _evidence(self, seed: int) -> Evidence:
        supervisor, spreads = self._materials.supervisor(seed), self._materials.weak_spread
        known = {} if spreads is None else {"spread": lambda: spreads[supervisor]}
        return Evidence(
            weak_probs=self._materials.weak_probs[supervisor],
            features=self._features,
            prior=lambda: zero_shot(self._margins),
            margins=lambda: self._margins,
            consistency=lambda: self._consistency,
            nearest=self._nearest,
            seed=seed,
            **known,
        )

    def _features(self) -> Floats:
        layer = self._strong.pool.layer_at(1.0)
        features = self._strong.features("transfer", layer)
        if self._materials.swapped:
            features = features - self._strong.features("transfer", layer, "swapped")
        found: Floats = features.numpy()
        return found

    @cached_property
    def _margins(self) -> Floats:
        return self._shared(
            "margins", lambda: zero_shot_margins(self._strong.pool, self._materials.questions)
        )

    @cached_property
    def _consistency(self) -> Floats:
        pool, given = self._strong.pool, self._materials
        if not given.swapped:
            return self._shared("consistency", lambda: consistency_of_answers(pool, given.questions))
        pairs = given.tokens["transfer"], given.swapped["transfer"]
        return self._shared("consistency", lambda: consistency_of_orders(pool, *pairs))


class _Clock:
    """Divides the elapsed time into setup, training and evaluation; keeps losses for the next report."""

    def __init__(self, shared: Timed) -> None:
        self._shared = shared
        shared.taken_s()  # of the trial before
        self._last = time.perf_counter()
        self._spent = dict.fromkeys(PARTS, 0.0)
        self.losses: list[float] = []
        self.engines: list[str] = []
        self.labels: LabelQuality | None = None

    def lap(self, part: Part) -> None:
        """Count the time since the last lap as time of `part`."""
        now = time.perf_counter()
        self._spent[part] += now - self._last
        self._last = now

    def report(self, share: float, predictions: Floats, events: Sequence[Event]) -> Report:
        """A report with the seconds since the last one, the first one with the quality of the labels."""
        spent, self._spent = self._spent, dict.fromkeys(PARTS, 0.0)
        shared_s = min(self._shared.taken_s(), spent["setup_s"])
        spent["setup_s"] -= shared_s
        losses, labels = tuple(self.losses), self.labels
        engine = "; ".join(dict.fromkeys(self.engines))
        self.losses.clear()
        self.engines.clear()
        self.labels = None
        return Report(
            share=share,
            predictions=predictions,
            events=tuple(events),
            losses=losses,
            labels=labels,
            engine=engine,
            shared_s=shared_s,
            **spent,
        )
