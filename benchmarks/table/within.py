"""The method of a branch that is nearest to a row with the branch's components."""

from typing import Any

from agents.language.catalogue import param_specs
from agents.language.proposal import Branch, Choice, Fixed, Option, Param, Range, with_components
from agents.language.space import coerced
from trainers.component import Component
from trainers.method import SLOTS, Method


def within(branch: Branch, row: Method, naive: Method) -> Method | None:
    """The row with every parameter moved into the branch's space; None if its components are others.

    Slots that the branch leaves to naive have naive's component as a whole.
    """
    components: dict[str, Component] = {}
    for slot in branch.slots:
        component = getattr(row, slot.slot)
        option = next((option for option in slot.options if option.component == component.kind), None)
        if option is None:
            return None
        components[slot.slot] = _moved(slot.slot, option, component)
    if any(getattr(row, slot).kind != getattr(naive, slot).kind for slot in SLOTS if slot not in components):
        return None
    try:
        return with_components(naive, components)
    except ValueError:  # components that cannot work together
        return None


def _moved(slot: str, option: Option, component: Component) -> Component:
    kind = SLOTS[slot][option.component]
    specs = param_specs(kind)
    return kind.model_validate(
        {
            param.name: coerced(specs[param.name], _nearest(param, getattr(component, param.name)))
            for param in option.params
        }
    )


def _nearest(param: Param, value: Any) -> Any:
    match param:
        case Fixed():
            return param.value
        case Range():
            return min(max(value, param.low), param.high)
        case Choice() if value in param.values or isinstance(value, str):
            return value if value in param.values else param.values[0]
        case Choice():
            return min(param.values, key=lambda other: abs(float(other) - float(value)))
