"""A method of a branch, named by the values of what the branch leaves open; checked before it counts."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

from pydantic import Field, ValidationError

from agents.language.catalogue import ParamSpec, param_specs
from agents.language.naming import kind_name, param_name
from agents.language.proposal import (
    Branch,
    Choice,
    Fixed,
    Option,
    Param,
    Range,
    Slot,
    Value,
    with_components,
)
from agents.language.space import coerced
from trainers.component import Component, Frozen
from trainers.method import SLOTS, Method
from trainers.printable import one_line

MAX_NAMED = 64  # values of a suggestion that are looked at


class NamedValue(Frozen):
    """The value of one open parameter or slot of a branch."""

    name: Annotated[str, Field(description="such as `loss.kind` or `loss.logconf.aux`")]
    value: Annotated[Value, Field(description="a value that the branch's space holds")]


def open_names(branch: Branch) -> Iterator[str]:
    """What a branch leaves open, by name: slots with several options, then every parameter not held fixed.

    A parameter of an option counts whichever option is taken.
    """
    for slot in branch.slots:
        if len(slot.options) > 1:
            yield kind_name(slot.slot)
        for option in slot.options:
            for param in option.params:
                if not isinstance(param, Fixed):
                    yield param_name(slot.slot, option.component, param.name)


def named_method(branch: Branch, values: Sequence[NamedValue], naive: Method) -> Method:
    """The method of a valid branch with these values; every open parameter of its components is named.

    Raises ValueError, a sentence with place, value and remedy, for a value that is missing, unknown, outside
    the branch's space, or named twice, and for components that cannot work together.
    """
    given: dict[str, Value] = {}
    for named in values[:MAX_NAMED]:
        if named.name in given:
            raise ValueError(f"{_said(named.name)} is named twice; name it once")
        given[named.name] = named.value
    used = set[str]()
    components = {slot.slot: _component(slot, given, used) for slot in branch.slots}
    if extra := next((name for name in given if name not in used), None):
        there = ", ".join(open_names(branch)) or "nothing"
        raise ValueError(f"{_said(extra)} is not open in {branch.name} here; it leaves open {there}"[:400])
    try:
        return with_components(naive, components)
    except ValueError as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise ValueError(f"these components cannot work together: {one_line(reason)[:200]}") from None


def _component(slot: Slot, given: Mapping[str, Value], used: set[str]) -> Component:
    """The component of a slot. used: takes the names that were needed."""
    option = slot.options[0]
    if len(slot.options) > 1:
        name, kinds = kind_name(slot.slot), {option.component: option for option in slot.options}
        kind = _given(name, given, used, f"one of {', '.join(kinds)}")
        if not isinstance(kind, str) or kind not in kinds:
            raise ValueError(f"{name} must be one of {', '.join(kinds)}, got {_said(kind)}")
        option = kinds[kind]
    values = {param.name: _value(slot.slot, option, param, given, used) for param in option.params}
    try:
        return SLOTS[slot.slot][option.component].model_validate(values)
    except ValidationError as error:
        reason = one_line(error.errors()[0]["msg"])[:200]
        raise ValueError(f"{slot.slot}.{option.component} cannot be made: {reason}") from None


def _value(slot: str, option: Option, param: Param, given: Mapping[str, Value], used: set[str]) -> Value:
    spec = param_specs(SLOTS[slot][option.component])[param.name]
    if isinstance(param, Fixed):
        return coerced(spec, param.value)
    name, held = param_name(slot, option.component, param.name), _held(param)
    value = _given(name, given, used, held)
    if not (_between(value, param, spec) if isinstance(param, Range) else _listed(value, param)):
        raise ValueError(f"{name} must be {held}, got {_said(value)}"[:400])
    return coerced(spec, value)


def _between(value: Value, param: Range, spec: ParamSpec) -> bool:
    if isinstance(value, bool | str) or not param.low <= value <= param.high:
        return False
    return spec.type != "integer" or value == int(value)


def _listed(value: Value, param: Choice) -> bool:
    """Whether a choice has the value: true is not 1, and 1 is 1.0."""
    return any(
        value == other and isinstance(value, bool) == isinstance(other, bool) for other in param.values
    )


def _held(param: Choice | Range) -> str:
    if isinstance(param, Range):
        return f"in [{param.low:g}, {param.high:g}]"
    return f"one of {', '.join(map(_said, param.values))}"


def _given(name: str, given: Mapping[str, Value], used: set[str], held: str) -> Value:
    used.add(name)
    if name not in given:
        raise ValueError(f"{name} is missing; name a value {held}"[:400])
    return given[name]


def _said(value: object) -> str:
    """A value in at most 60 characters on one line."""
    if isinstance(value, int) and value.bit_length() > 64:
        return f"an integer of {value.bit_length()} bits"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return one_line(text[:60])
