"""A method: a component in each slot. `SLOTS` lists the components of each slot."""

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from trainers.component import Component, Frozen
from trainers.components.equivalents import Recipe, nothing_of_its_own, plainest
from trainers.components.formulas.formula import Formula
from trainers.components.formulas.losses import LossFormula, minimal_at_own_predictions
from trainers.components.labels import LABELS, Hard, Label
from trainers.components.losses import LOSSES, Kl, Loss, ReverseKl, Window, Xent
from trainers.components.optim import Adamw
from trainers.components.orders import INPUTS, InputOrders, PlainInputs
from trainers.components.repairing.per_example import ChannelPerExample
from trainers.components.repairs import REPAIRS, Consistency, Elicited, NoisyChannel, NoRepair, Repair
from trainers.components.selecting.spread import Spread
from trainers.components.selection import SELECTIONS, Agreement, All, Selection
from trainers.components.stages import STAGES, Chain, Once, SelfTrain, Stages
from trainers.components.staging.members import MEMBERS, Members, Single
from trainers.components.staging.refine import REFINES, Evolve, NoRefine, Refine, evolved_names
from trainers.components.staging.relabel import RELABELS, NoRelabel, Relabel
from trainers.components.staging.sequence import sequence, total_length
from trainers.components.staging.stage import Stage
from trainers.components.students import STUDENTS, Full, StudentConfig
from trainers.components.targets import senseless
from trainers.training.memory.room import Room

# Losses whose minimum is where the student's probabilities equal the targets; formulas are tried.
MINIMAL_AT_OWN_PREDICTIONS = (Xent, Window, Kl, ReverseKl)
CHANNELS = NoisyChannel | ChannelPerExample


class Abilities(Frozen):
    """What a campaign offers to its methods."""

    prior: Annotated[bool, Field(description="whether the strong model can give a zero-shot answer")]
    intermediates: Annotated[int, Field(ge=0, description="models between the weak and the strong one")]
    pairs: Annotated[bool, Field(description="whether examples are pairs, which have two orders")] = False
    panel: Annotated[
        bool, Field(description="whether a supervisor is several weak models, whose spread is known")
    ] = False
    room: Annotated[
        Room | None, Field(description="memory of a trial and the model that has to fit; null: unknown")
    ] = None


class Method(Frozen):
    """What a trial does with the weak labels; the defaults make the naive baseline.

    The naive baseline is a full fine-tuning on hard weak labels by cross-entropy (Burns et al., 2023).
    """

    labels: Annotated[
        Label, Field(discriminator="kind", description="splits or scales the weak probabilities")
    ] = Hard()
    repair: Annotated[Repair, Field(discriminator="kind", description="makes better labels of these")] = (
        NoRepair()
    )
    second_repair: Annotated[
        Repair, Field(discriminator="kind", description="makes better labels of the repaired ones")
    ] = NoRepair()
    select: Annotated[
        Selection, Field(discriminator="kind", description="chooses examples, their weights and their phase")
    ] = All()
    inputs: Annotated[
        InputOrders, Field(discriminator="kind", description="the orders of pairs, in training and answers")
    ] = PlainInputs()
    loss: Annotated[
        Loss, Field(discriminator="kind", description="compares the student with the targets")
    ] = Xent()
    student: Annotated[
        StudentConfig, Field(discriminator="kind", description="which weights are trained")
    ] = Full()
    optim: Annotated[Adamw, Field(description="optimizer and learning rate")] = Adamw()
    relabel: Annotated[
        Relabel,
        Field(discriminator="kind", description="makes labels anew from the trained student's answers"),
    ] = NoRelabel()
    stages: Annotated[
        Stages, Field(discriminator="kind", description="models on the way, or trainings on own predictions")
    ] = Once()
    refine: Annotated[
        Refine, Field(discriminator="kind", description="moves the trained student without labels")
    ] = NoRefine()
    members: Annotated[
        Members, Field(discriminator="kind", description="how many such students answer together")
    ] = Single()

    @model_validator(mode="after")
    def _its_repairs_make_sense_in_their_order(self) -> Self:
        if reason := senseless(self.repair, self.second_repair):
            raise ValueError(reason)
        return self

    @model_validator(mode="after")
    def _its_loss_computes_something_of_its_own(self) -> Self:
        if reason := nothing_of_its_own(self._recipe):
            raise ValueError(reason)
        return self

    @model_validator(mode="after")
    def _every_stage_has_something_to_learn(self) -> Self:
        stages = self.stages
        own_probabilities = isinstance(stages, SelfTrain) and stages.targets == "soft" and not stages.fresh
        if own_probabilities and is_minimal_at_own_predictions(plainest(self._recipe).loss):
            # Adam would scale the remaining gradient, which is rounding error, up to full steps.
            raise ValueError(
                f"loss {self.loss.kind} has no gradient where a student that continues meets its own soft "
                "targets: set stages.self_train targets to hard or confident, or fresh to true"
            )
        return self

    @model_validator(mode="after")
    def _training_stops_where_there_is_a_student(self) -> Self:
        optim, stages = self.optim, self.sequence()
        whole = total_length(stages)
        if optim.stop * whole <= optim.warmup * stages[0].length:
            raise ValueError(
                f"optim.stop {optim.stop:g} ends the training inside its warm-up: set it above "
                f"{optim.warmup * stages[0].length / whole:g}, or optim.warmup lower"
            )
        between = sum(stage.learner is not None for stage in stages) / self.members.count
        if optim.stop * whole <= between:
            raise ValueError(
                f"optim.stop {optim.stop:g} ends the chain before its strong student, which trains last: set "
                f"it above {between / whole:.3g}"
            )
        return self

    @model_validator(mode="after")
    def _an_evolution_has_few_weights_to_move(self) -> Self:
        if isinstance(self.refine, Evolve) and not evolved_names(self.student):
            raise ValueError(
                f"refine evolve moves a probe's head or adapters, and student {self.student.kind} has every "
                "weight to move: set student to probe or lora"
            )
        return self

    def sequence(self, given: int | None = None) -> tuple[Stage, ...]:
        """The trainings of the method, in order.

        given: the number of intermediate models of the campaign; None: as many as the method uses.
        """
        used = self.stages.length if isinstance(self.stages, Chain) else 0
        return sequence(
            self.stages, self.relabel, self.refine, self.members, used if given is None else given
        )

    def stopped_at(self, share: float) -> "Method":
        """The same method, but its training ends at a share of its own, in (0, 1].

        The learning rate keeps the schedule of the whole training. So a trial of this method at a rung is the
        finished trial of the method that stops there.
        """
        optim = self.optim.model_copy(update={"stop": self.optim.stop * share})
        return Method(**self._slots | {"optim": optim})

    @property
    def _slots(self) -> dict[str, Any]:
        return {slot: getattr(self, slot) for slot in SLOTS}

    @cached_property
    def digest(self) -> str:
        """A digest of 16 hex digits that two methods share exactly when they are equal."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]

    @property
    def _recipe(self) -> Recipe:
        return Recipe(**{slot: getattr(self, slot) for slot in Recipe._fields})

    @property
    def plainest(self) -> "Method":
        """The method of the plainest components that compute the same: it is the same for all that do."""
        plain = plainest(self._recipe)
        if plain == self._recipe:
            return self
        return Method.model_construct(**self._slots | plain._asdict())

    @property
    def label_steps(self) -> tuple[Component, ...]:
        """The steps from weak probabilities to training targets, in order."""
        return self.labels, self.repair, self.second_repair

    @property
    def needs_prior(self) -> bool:
        """Whether the method uses the strong model's zero-shot prior."""
        return any(_asks_the_strong_model(step) for step in (*self.label_steps, self.select, self.loss))

    def refused(self, abilities: Abilities) -> str | None:
        """The reason, on one line, why the method cannot run with these abilities; None if it can."""
        for slot in ("labels", "repair", "second_repair", "select", "loss"):
            step = getattr(self, slot)
            if _asks_the_strong_model(step) and not abilities.prior:
                option = ": set its prior to head" if isinstance(step, CHANNELS) else ""
                return (
                    f"{slot}.{step.kind} needs a zero-shot answer, and this strong model is no language "
                    f"model{option}"
                )
        if reason := self._refused_evidence(abilities):
            return reason
        if isinstance(self.stages, Chain) and self.stages.length > abilities.intermediates:
            return (
                f"stages.chain.length must be at most {abilities.intermediates}, the intermediate models of "
                f"this campaign, got {self.stages.length}"
            )
        if abilities.room is not None:
            evolves = isinstance(self.refine, Evolve)
            return abilities.room.refused(self.student, self.optim.batch_size, evolves=evolves)
        return None

    def _refused_evidence(self, abilities: Abilities) -> str | None:
        inputs = self.inputs
        if not abilities.pairs and inputs != PlainInputs():
            asked = f"inputs.{inputs.kind}" if inputs.trained == 2 else "inputs.plain.answer averaged"
            return f"{asked} needs pairs, and single texts have one order: leave the slot inputs out"
        for slot, component in self._slots.items():
            if _reads_the_spread(component) and not abilities.panel:
                return (
                    f"{slot}.{component.kind} needs the spread of a supervisor's weak models, and here each "
                    "supervisor is one: leave spread out"
                )
            if isinstance(component, Consistency | Agreement) and not (abilities.pairs or abilities.prior):
                return (
                    f"{slot}.{component.kind} needs pairs or a zero-shot answer, and these are single texts "
                    "of a strong model that is no language model: leave it out"
                )
        return None


def is_minimal_at_own_predictions(loss: Loss) -> bool:
    """Whether the loss has no gradient where the student's probabilities equal the targets."""
    if isinstance(loss, LossFormula):
        return minimal_at_own_predictions(loss)
    return isinstance(loss, MINIMAL_AT_OWN_PREDICTIONS)


def _asks_the_strong_model(step: Component) -> bool:
    if isinstance(step, Formula):
        return step.needs_prior
    return isinstance(step, Elicited) or (isinstance(step, CHANNELS) and step.prior == "zero_shot")


def _reads_the_spread(component: Component) -> bool:
    return isinstance(component, Spread) or (isinstance(component, Formula) and component.needs_spread)


def _by_kind(components: Mapping[type[Any], object]) -> dict[str, type[Component]]:
    return {component.model_fields["kind"].default: component for component in components}


SLOTS: dict[str, dict[str, type[Component]]] = {
    "labels": _by_kind(LABELS),
    "repair": _by_kind(REPAIRS),
    "second_repair": _by_kind(REPAIRS),
    "select": _by_kind(SELECTIONS),
    "inputs": _by_kind(INPUTS),
    "loss": _by_kind(LOSSES),
    "student": _by_kind(STUDENTS),
    "optim": {"adamw": Adamw},
    "relabel": _by_kind(RELABELS),
    "stages": _by_kind(STAGES),
    "refine": _by_kind(REFINES),
    "members": _by_kind(MEMBERS),
}
