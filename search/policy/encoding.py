"""A method as a point: what the surrogate compares methods by. Pure."""

import math
from collections.abc import Mapping
from functools import cache

import numpy as np

from agents.language.catalogue import ParamSpec, param_specs
from search.scoring.pgr import Reals
from trainers.component import Component
from trainers.method import SLOTS, Method

ABSENT = 0.5  # where a parameter belongs to a component that the method does not use
WIDE = 100.0  # bounds this many times apart are scaled by their logarithms
APART = math.sqrt(0.5)  # the height of a one-hot column: two kinds are a distance of one apart


def encode(method: Method) -> Reals:
    """The method as a point, float [width()], every coordinate in [0, 1].

    For each slot a one-hot of its kinds; then for each kind its parameters, scaled by their bounds. A
    parameter that takes one of a list of values has a column for each. One of a kind that the method does not
    use is ABSENT throughout.
    """
    point: list[float] = []
    for slot, kinds in SLOTS.items():
        chosen = getattr(method, slot)
        point += _one_hot(chosen.kind, tuple(kinds))
        for kind, specs in _params()[slot].items():
            for spec in specs:
                point += _coordinates(spec, chosen if chosen.kind == kind else None)
    return np.array(point)


@cache
def width() -> int:
    """How many coordinates a point has; fixed by the catalogue."""
    return len(encode(Method()))


@cache
def _params() -> Mapping[str, Mapping[str, tuple[ParamSpec, ...]]]:
    return {
        slot: {kind: tuple(param_specs(component).values()) for kind, component in kinds.items()}
        for slot, kinds in SLOTS.items()
    }


def _coordinates(spec: ParamSpec, component: Component | None) -> list[float]:
    """A parameter that is no number, no list and no flag has no column: nothing searches it."""
    members = spec.members or ((False, True) if spec.type == "boolean" else ())
    if members:
        absent = [ABSENT * APART] * len(members)
        return absent if component is None else _one_hot(getattr(component, spec.name), members)
    if not spec.ordered or spec.low is None or spec.high is None:
        return []
    return [ABSENT if component is None else _scaled(spec.low, spec.high, getattr(component, spec.name))]


def _one_hot(value: object, members: tuple[object, ...]) -> list[float]:
    return [APART * (member == value) for member in members] if len(members) > 1 else []


def _scaled(low: float, high: float, value: float) -> float:
    if low > 0 and high / low >= WIDE:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)
