"""The space of methods that a valid branch spans: sample points, corners, equality of spaces."""

import itertools
import math
from collections.abc import Iterator
from functools import lru_cache

from agents.language.catalogue import ParamSpec, param_specs
from agents.language.proposal import Branch, Choice, Fixed, Option, Param, Range, Slot, Value, with_components
from trainers.component import Component
from trainers.method import SLOTS, Method

KEPT = 8192  # cache size in branches: every round checks all known branches again


def coerced(spec: ParamSpec, value: Value) -> Value:
    """The value converted to the parameter's type, so that 1 and 1.0 are the same number."""
    if spec.type == "integer":
        return int(value)
    return float(value) if spec.type == "number" else value


def middle(spec: ParamSpec, param: Param) -> Value:
    """The middle of a parameter's space: the geometric mean of a log range, a choice's first value."""
    match param:
        case Fixed():
            return coerced(spec, param.value)
        case Choice():
            return coerced(spec, param.values[0])
        case Range():
            mean = math.sqrt(param.low) * math.sqrt(param.high) if param.log else (param.low + param.high) / 2
            return round(mean) if spec.type == "integer" else mean


def ends(spec: ParamSpec, param: Param) -> list[Value]:
    """The values at the edge of a parameter's space: both ends of a range, every value of a choice."""
    match param:
        case Fixed():
            return [coerced(spec, param.value)]
        case Choice():
            return [coerced(spec, value) for value in param.values]
        case Range():
            return [coerced(spec, param.low), coerced(spec, param.high)]


def corners(slot: str, option: Option) -> Iterator[Component]:
    """The option's component with all parameters at their middle, then with each parameter at its ends.

    Raises ValueError if the component refuses a combination of its own parameters.
    """
    component = SLOTS[slot][option.component]
    specs = param_specs(component)
    middles = {param.name: middle(specs[param.name], param) for param in option.params}
    yield component.model_validate(middles)
    for param in option.params:
        for value in ends(specs[param.name], param):
            if value != middles[param.name]:
                yield component.model_validate(middles | {param.name: value})


def combinations(branch: Branch) -> int:
    """The number of ways to pick an option for every slot of the branch."""
    return math.prod(len(slot.options) for slot in branch.slots)


def sample_methods(branch: Branch, naive: Method) -> Iterator[Method]:
    """A method for every combination of options, then a method for every corner of every option.

    Raises ValueError, naming the conflict, if components of a method cannot work together.
    """
    slots = branch.slots
    for picks in itertools.product(*(slot.options for slot in slots)):
        yield with_components(naive, {s.slot: _middle(s, o) for s, o in zip(slots, picks, strict=True)})
    firsts = {slot.slot: _middle(slot, slot.options[0]) for slot in slots}
    for slot in slots:
        for option in slot.options:
            for component in corners(slot.slot, option):
                yield with_components(naive, firsts | {slot.slot: component})


def _middle(slot: Slot, option: Option) -> Component:
    return next(corners(slot.slot, option))


@lru_cache(KEPT)
def single_method(branch: Branch, naive: Method) -> Method | None:
    """The branch's only method, or None if the branch holds several."""
    if combinations(branch) != 1:
        return None
    for slot in branch.slots:
        if sum(1 for _ in corners(slot.slot, slot.options[0])) > 1:
            return None
    return with_components(naive, {slot.slot: _middle(slot, slot.options[0]) for slot in branch.slots})


@lru_cache(KEPT)
def space_key(branch: Branch, naive: Method) -> frozenset[tuple[str, object]]:
    """A key that two branches share exactly when their spaces are equal, whatever their names."""
    kept = {slot: frozenset({_component_key(getattr(naive, slot))}) for slot in SLOTS}
    named = {slot.slot: frozenset(_option_key(slot.slot, o) for o in slot.options) for slot in branch.slots}
    return frozenset((kept | named).items())


def _option_key(slot: str, option: Option) -> tuple[str, frozenset[tuple[str, object]]]:
    specs = param_specs(SLOTS[slot][option.component])
    defaults = {name: _value_set(spec.default) for name, spec in specs.items()}
    named = {param.name: _param_key(specs[param.name], param) for param in option.params}
    return option.component, frozenset((defaults | named).items())


def _param_key(spec: ParamSpec, param: Param) -> object:
    if isinstance(param, Range):
        return "between", param.low, param.high, param.log
    return _value_set(*ends(spec, param))


def _component_key(component: Component) -> tuple[str, frozenset[tuple[str, object]]]:
    values = ((name, _value_set(getattr(component, name))) for name in param_specs(type(component)))
    return component.kind, frozenset(values)


def _value_set(*values: object) -> object:
    return "one of", frozenset(values)
