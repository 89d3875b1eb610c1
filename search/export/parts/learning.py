"""What each training of an exported method learns: from weak labels, or from the model before it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from trainers.components.formulas.evidence import MIRRORED
from trainers.components.selecting.plans import Plan, alike
from trainers.components.selection import Confidence, keep_confident
from trainers.components.staging.folds import held_out, without
from trainers.components.staging.relabel import Known
from trainers.components.staging.sequence import ROUNDING
from trainers.components.staging.stage import Stage
from trainers.components.weak_labels import Evidence, check_probabilities, harden
from trainers.seeds import derived_seed
from trainers.training.inputs import Floats, Rows
from trainers.training.loop import total_steps

Step = tuple[Callable[..., Any], Any]  # a component's function and its settings


@dataclass(frozen=True, kw_only=True)
class OwnAnswers:
    """Self-training: what a training on the student's own answers to the transfer split learns.

    targets: soft, hard, or confident: hard, on the surest share.
    """

    targets: str
    share: float


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A method, as functions with their settings.

    labels: the steps from weak probabilities to targets. batch_loss: (settings, log-probabilities [b, 2],
    targets [b], progress) -> a loss an example; a formula also takes what loss_evidence makes of the
    evidence. trained, answered: the orders of pairs, 1 or 2. stages: the trainings, in order. own, relabel,
    refine: what the stages that need it do. asks: what the untouched model is asked, by its name in the
    evidence. Members answer by an aggregate of their log-odds; trim: the share left out at either end.
    precision: of forward and backward passes, fp32 or bf16; zero_stage: of the trainings of the run. Neither
    matters to a probe. micro_batch: examples that pass the model together, None: a whole batch. threads: CPU
    threads of a training.
    """

    labels: Sequence[Step]
    select: Step
    batch_loss: Step
    student: Step
    optim: Any
    trained: int
    answered: int
    seed: int
    stages: Sequence[Stage] = (Stage(),)
    own: OwnAnswers | None = None
    relabel: Step | None = None
    refine: Step | None = None
    loss_evidence: Step | None = None
    asks: Mapping[str, Callable[[Any], Floats]] = field(default_factory=dict)
    aggregate: str = "mean"
    trim: float = 0.0
    precision: str = "fp32"
    zero_stage: int = 0
    micro_batch: int | None = None
    threads: int = 1


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What a training learns: targets P(class 1), float32 [n], and the weights of examples over time.

    evidence: what its loss takes of what is known of the examples, float32 [n] each.
    """

    targets: Floats
    plan: Plan
    evidence: Mapping[str, Floats] = field(default_factory=dict)


class Lessons:
    """What each stage learns, as the stages before it have ended."""

    def __init__(self, recipe: Recipe, evidence: Evidence) -> None:
        self._recipe = recipe
        self._evidence = self._taught = evidence
        self._folded = np.array(evidence.weak_probs, dtype=np.float32)
        self.first = learned_from_labels(recipe, evidence)
        self._of_loss: Mapping[str, Floats] = {}
        if recipe.loss_evidence:
            known, settings = recipe.loss_evidence
            self._of_loss = known(settings, evidence)

    def of(self, stage: Stage) -> Learned:
        """What a stage learns."""
        return self._shaped(stage, self._whole(stage.teacher, self._taught))

    def due(self, stage: Stage, part: float) -> float:
        """The share at which a stage stops of which a part is trained: that of a whole step."""
        if stage.evolves and self._recipe.refine:
            steps = int(self._recipe.refine[1].steps)
        else:
            teacher = "self" if stage.teacher == "self" else "weak"  # others' labels are not known before
            planned = self._shaped(stage, self._whole(teacher, self._evidence))
            steps = total_steps(planned.plan, self._recipe.optim)
        step = min(steps, max(1, math.ceil(part * steps - ROUNDING)))
        return 1.0 if step == steps else (step - 0.5) / steps

    def take(self, place: int, ask: Callable[[Rows | None], Floats]) -> None:
        """Take from a finished model what the next stage needs.

        place: of its stage. ask: what it answers of these transfer examples, or of all: P(class 1).
        """
        stage, after = self._recipe.stages[place : place + 2]
        if stage.fold is not None:
            rows = np.flatnonzero(self._held_out(stage))
            if len(rows):
                self._folded[rows] = ask(rows)
            if stage.fold.held_out == stage.fold.of - 1:
                self._taught = self._evidence.with_probs(self._folded.copy())
        elif after.teacher != "weak":
            self._taught = self._evidence.with_probs(ask(None))

    def _whole(self, teacher: str, evidence: Evidence) -> Learned:
        if teacher == "self" and self._recipe.own:
            return learned_from_itself(self._recipe.own, evidence)
        if teacher == "previous":
            return learned_from_labels(self._recipe, evidence)
        if teacher == "relabelled":
            return learned_from_student(self._recipe, self._evidence, self.first.targets, evidence.weak_probs)
        return self.first

    def _shaped(self, stage: Stage, learned: Learned) -> Learned:
        plan = learned.plan if stage.fold is None else without(learned.plan, self._held_out(stage))
        learned = replace(learned, plan=plan, evidence=self._of_loss)
        return in_both_orders(learned) if self._recipe.trained == 2 else learned

    def _held_out(self, stage: Stage) -> Any:
        assert stage.fold is not None
        return held_out(stage.fold, len(self._folded), seed_of(self._recipe, stage))


def seed_of(recipe: Recipe, stage: Stage) -> int:
    """The seed; further members get seeds drawn from it."""
    return derived_seed(recipe.seed, stage.member) if stage.member else recipe.seed


def learned_from_labels(recipe: Recipe, evidence: Evidence) -> Learned:
    """The targets that the label steps make, and the weights that the selection gives."""
    targets = made_targets(recipe.labels, evidence)
    choose, settings = recipe.select
    return Learned(targets=targets, plan=choose(settings, evidence, targets))


def learned_from_student(recipe: Recipe, evidence: Evidence, targets: Floats, student: Any) -> Learned:
    """Labels made anew of weak labels, first targets and a student's P(class 1) on the transfer split."""
    assert recipe.relabel is not None
    make, settings = recipe.relabel
    known = Known(weak=made_targets(recipe.labels[:1], evidence), targets=targets, student=student)
    labels = np.asarray(make(settings, known), dtype=np.float32)
    choose, chosen = recipe.select
    return Learned(targets=labels, plan=choose(chosen, evidence.with_probs(labels), labels))


def learned_from_itself(own: OwnAnswers, evidence: Evidence) -> Learned:
    """A student's answers, given as the evidence's probabilities, as targets of its next training."""
    probs = np.asarray(evidence.weak_probs, dtype=np.float32)
    targets = probs if own.targets == "soft" else harden(probs).astype(np.float32)
    if own.targets != "confident":
        return Learned(targets=targets, plan=Plan(phases=(alike(np.ones(len(targets), dtype=np.bool_)),)))
    surest = Confidence(share=own.share, balanced=False, weights="equal")
    return Learned(targets=targets, plan=keep_confident(surest, evidence, targets))


def in_both_orders(learned: Learned) -> Learned:
    """Pairs as shown, then exchanged with mirrored targets."""
    targets = np.concatenate([learned.targets, 1 - learned.targets])
    phases = [replace(phase, weights=np.tile(phase.weights, 2)) for phase in learned.plan.phases]
    evidence = {
        name: np.concatenate([values, 1 - values if name in MIRRORED else values])
        for name, values in learned.evidence.items()
    }
    plan = Plan(phases=tuple(phases), keep_share=learned.plan.keep_share)
    return Learned(targets=targets, plan=plan, evidence=evidence)


def made_targets(steps: Sequence[Step], evidence: Evidence) -> Floats:
    """The training targets P(class 1), float32 [n]: each step takes the last one's probabilities."""
    check_probabilities("weak", evidence.weak_probs)
    for function, settings in steps:
        evidence = evidence.with_probs(function(settings, evidence))
    return np.asarray(evidence.weak_probs, dtype=np.float32)
