"""The catalogue of components and the playbook's methods, as facts for scripts and as text for people."""

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from agents.language.catalogue import ParamSpec, param_specs
from agents.playbook.named import ideas, named_method, variants
from search.policy.training_seconds import Step, TrainingSeconds
from trainers.component import Component
from trainers.components.labels import LABELS, Label, Soft
from trainers.components.losses import LOSSES, Kl, Product
from trainers.components.orders import INPUTS
from trainers.components.repairs import REPAIRS
from trainers.components.selection import SELECTIONS, Selection, SmallLoss
from trainers.components.stages import STAGES
from trainers.components.staging.members import MEMBERS
from trainers.components.staging.refine import Evolve, agreement, information
from trainers.components.staging.relabel import RELABELS
from trainers.components.students import STUDENTS
from trainers.method import SLOTS, Method

EXAMPLES, PREDICTED = 2000, 1000  # in a transfer split and a search split, for costs
WORK: tuple[Mapping[type[Component], Callable[..., Any]], ...] = (
    LABELS,
    REPAIRS,
    SELECTIONS,
    INPUTS,
    LOSSES,
    STUDENTS,
    RELABELS,
    STAGES,
    MEMBERS,
)
BESIDE: Mapping[type[Component], Mapping[str, Label | Selection]] = {  # what a loss needs
    Product: {"labels": Soft()},
    Kl: {"labels": Soft(), "select": SmallLoss()},
}

Facts = dict[str, Any]


def component_facts(slot: str, kind: str) -> Facts:
    """A component: what it does, its formula and source, its parameters with bounds, its cost.

    cost: predicted training seconds of the naive method with this component, and with those `beside` that it
    needs, as a multiple of naive's; None where the naive method cannot have it.
    """
    component = SLOTS[slot][kind]
    return {
        "slot": slot,
        "name": kind,
        "says": _paragraphs(component)[0],
        "more": _paragraphs(component)[1:],
        "formula": _formula(component),
        "parameters": [_parameter(spec) for spec in param_specs(component).values()],
        "beside": {name: needed.kind for name, needed in BESIDE.get(component, {}).items()},
        "cost": _cost_of(slot, component),
    }


def slot_facts(slot: str) -> list[Facts]:
    """Every component of a slot."""
    return [component_facts(slot, kind) for kind in SLOTS[slot]]


def method_facts(name: str) -> Facts:
    """A named method of the playbook: its hypothesis, what differs from naive, its variants, its cost."""
    naive = Method()
    branch, method = ideas()[name.partition(":")[0]], named_method(name, naive)
    return {
        "name": name,
        "family": branch.family,
        "says": branch.hypothesis,
        "slots": {
            slot: component.model_dump()
            for slot in SLOTS
            if (component := getattr(method, slot)) != getattr(naive, slot)
        },
        "variants": [variant for variant in variants(branch) if variant != name],
        "cost": _times_naive(method),
    }


def all_methods() -> list[Facts]:
    """Every named method of the playbook, most promising first."""
    return [method_facts(name) for name in ideas()]


def find(first: str, second: str) -> list[Facts]:
    """What two words of a user name: a slot, a component of a slot or of any, a named method.

    Raises ValueError, on one line, if they name nothing.
    """
    if first in SLOTS and not second:
        return slot_facts(first)
    kind = second or first
    slots = [slot for slot in SLOTS if kind in SLOTS[slot] and slot != "second_repair"]
    if first in slots:
        return [component_facts(first, kind)]
    if slots and (not second or first in SLOTS):
        return [component_facts(slot, kind) for slot in slots]
    if second:
        raise ValueError(f"no component is called {second!r}; slot {first} has {', '.join(_kinds(first))}")
    if first.partition(":")[0] in ideas():
        return [method_facts(first)]
    try:
        named_method(first, Method())
    except ValueError as error:
        raise ValueError(f"{error}; the slots are {', '.join(SLOTS)}") from None
    return []


def _kinds(slot: str) -> list[str]:
    if slot not in SLOTS:
        raise ValueError(f"there is no slot {slot!r}; the slots are {', '.join(SLOTS)}")
    return list(SLOTS[slot])


def _paragraphs(documented: object) -> list[str]:
    paragraphs = (inspect.getdoc(documented) or "").split("\n\n")
    return [" ".join(paragraph.split()) for paragraph in paragraphs if paragraph.strip()]


def _formula(component: type[Component]) -> list[str]:
    """What the function of a component says of itself: formula and source, a paragraph each."""
    if component is Evolve:  # its function counts steps; these are what it climbs
        return [*_paragraphs(information), *_paragraphs(agreement)]
    for functions in WORK:
        if component in functions:
            return _paragraphs(functions[component])
    return []


def _parameter(spec: ParamSpec) -> Facts:
    allowed: object = spec.interval if spec.ordered else "fixed" if spec.type == "other" else spec.type
    if spec.members:
        allowed = list(spec.members)
    return {"name": spec.name, "default": spec.default, "allowed": allowed, "says": spec.description}


@cache
def _prices() -> TrainingSeconds:
    return TrainingSeconds(transfer=EXAMPLES, evaluated=PREDICTED)


def _times_naive(method: Method) -> float:
    """Predicted seconds of a method's training over those of naive; before any trial has been timed."""
    steps = [Step(method=one, start=0.0, end=1.0) for one in (method, Method())]
    mine, naive = _prices().predict(steps)
    return float(mine / naive)


def _cost_of(slot: str, component: type[Component]) -> float | None:
    try:
        return _times_naive(
            Method.model_validate({**BESIDE.get(component, {}), slot: component.model_validate({})})
        )
    except ValueError:  # of the naive method's own components one stands in its way
        return None


def about_costs() -> str:
    """What the costs are multiples of, in a sentence."""
    return (
        "cost: predicted seconds of training, as a multiple of naive's with full fine-tuning, before any "
        f"trial has been timed, for {EXAMPLES} examples, with what a component needs beside it; `check` "
        "times your own models"
    )
