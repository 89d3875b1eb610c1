"""The same space in other words, nearly the same, and without the value that its hypothesis argues for."""

import math
from collections.abc import Callable

from agents.language.catalogue import ParamSpec, param_specs
from agents.language.overlap import holds
from agents.language.proposal import Branch, Option, Param, Range, Slot, slug
from trainers.method import SLOTS, Method

Shares = tuple[float, float]  # of a range, from 0 at its low end to 1 at its high end
SHIFT = 0.25  # of a range
AWAY, NARROWEST = 0.25, 0.2  # of a range: how far it ends from the argued value, and what is left at least

Moved = Callable[[ParamSpec, Range], Shares]


def named(branch: Branch, name: str) -> Branch:
    """The branch under another name, from no parent."""
    return branch.model_copy(update={"name": slug(name), "parent": None})


def reworded(branch: Branch, share: float) -> Branch:
    """Its slots in another order, its ranges narrower by a share at both ends: nearly the same methods."""
    narrower = _with_ranges(branch, lambda spec, param: (share, 1 - share))
    return narrower.model_copy(update={"slots": narrower.slots[::-1]})


def shifted(branch: Branch) -> Branch:
    """Its ranges moved up by a quarter, as far as the bounds allow: most of its methods, and some more."""

    def up(spec: ParamSpec, param: Range) -> Shares:
        inside = spec.high is None or _at(param, 1 + SHIFT) <= spec.high
        return SHIFT, 1 + SHIFT if inside else 1.0

    return _with_ranges(branch, up)


def beside(branch: Branch, argued: Method, naive: Method) -> Branch | None:
    """The branch with a range that leaves out the value which its hypothesis argues for; None without one.

    argued: the method whose value it argues for.
    """
    for slot in sorted(branch.slots, key=lambda slot: slot.slot == "optim"):
        component = getattr(argued, slot.slot)
        for option in slot.options:
            for param in option.params if option.component == component.kind else ():
                if not isinstance(param, Range) or _spec(slot.slot, option, param).type != "number":
                    continue
                value = getattr(component, param.name)
                shares = _without(_share(param, value))
                cut = _with_ranges(branch, lambda spec, one, at=param, to=shares: to if one is at else (0, 1))
                if not holds(cut, argued, naive):
                    why = f"{param.name} of {option.component} should be near {value:.3g}."
                    return cut.model_copy(update={"hypothesis": why})
    return None


def _without(share: float) -> Shares:
    """The larger part of a range beside a value in it."""
    return (0.0, max(NARROWEST, share - AWAY)) if share >= 0.5 else (min(1 - NARROWEST, share + AWAY), 1.0)


def _with_ranges(branch: Branch, moved: Moved) -> Branch:
    """The branch with other ends of its ranges of real numbers."""
    slots = tuple(
        slot.model_copy(update={"options": tuple(_option(slot, option, moved) for option in slot.options)})
        for slot in branch.slots
    )
    return branch.model_copy(update={"slots": slots})


def _option(slot: Slot, option: Option, moved: Moved) -> Option:
    params = tuple(_param(_spec(slot.slot, option, param), param, moved) for param in option.params)
    return option.model_copy(update={"params": params})


def _param(spec: ParamSpec, param: Param, moved: Moved) -> Param:
    if not isinstance(param, Range) or spec.type != "number":
        return param
    low, high = moved(spec, param)
    return param.model_copy(update={"low": _at(param, low), "high": _at(param, high)})


def _spec(slot: str, option: Option, param: Param) -> ParamSpec:
    return param_specs(SLOTS[slot][option.component])[param.name]


def _at(param: Range, share: float) -> float:
    """The value at a share of the range, on its scale; its own ends exactly."""
    if share in (0, 1):
        return param.high if share else param.low
    if param.log:
        return float(param.low ** (1 - share) * param.high**share)
    return param.low + share * (param.high - param.low)


def _share(param: Range, value: float) -> float:
    """Where a value lies in the range, on its scale."""
    if param.log:
        return math.log(value / param.low) / math.log(param.high / param.low)
    return (value - param.low) / (param.high - param.low)
