"""Encodes a method as a point in the unit cube, the input of the surrogate. Pure."""

import hashlib
import math
from collections.abc import Mapping
from functools import cache

import numpy as np

from agents.language.catalogue import ParamSpec, param_specs
from search.scoring.pgr import Reals
from trainers.component import Component
from trainers.components.optim import Adamw
from trainers.method import SLOTS, Method

ABSENT = 0.5  # coordinate of a parameter whose component the method does not use
ONE_HOT_HEIGHT = math.sqrt(0.5)  # two different kinds are at distance 1
TEXT_BITS = 16  # columns of a formula
TEXT_HEIGHT = math.sqrt(2 / TEXT_BITS)  # two different formulas differ in half of their bits: distance 1


def encode(method: Method) -> Reals:
    """The method as a point, float [width()], every coordinate in [0, 1].

    For each slot: a one-hot of its kinds. Then for each component its parameters, scaled by their bounds: a
    repair has the same ones in either place, since a method makes it once. A parameter that takes one of a
    list of values has a column for each value; a formula has the bits of its digest, which puts
    any two about 1 apart. The parameters of kinds that the method does not use are ABSENT.
    """
    point: list[float] = []
    for slot, kinds in SLOTS.items():
        point += _one_hot(getattr(method, slot).kind, tuple(kinds))
    chosen = {type(component): component for component in (getattr(method, slot) for slot in SLOTS)}
    for component, specs in _params().items():
        for spec in specs:
            point += _coordinates(spec, chosen.get(component))
    return np.array(point)


@cache
def stop_column() -> int:
    """The coordinate of the share of the schedule that is trained, `optim.stop`; its scale is logarithmic."""
    early, late = (encode(Method(optim=Adamw(stop=stop))) for stop in (0.5, 1.0))
    return int(np.flatnonzero(early != late)[0])


@cache
def width() -> int:
    """Number of coordinates of a point; the catalogue fixes it."""
    return len(encode(Method()))


@cache
def _params() -> Mapping[type[Component], tuple[ParamSpec, ...]]:
    components = (component for kinds in SLOTS.values() for component in kinds.values())
    return {component: tuple(param_specs(component).values()) for component in components}


def _coordinates(spec: ParamSpec, component: Component | None) -> list[float]:
    """The columns of a parameter: none for a number without bounds, as no search varies it."""
    members = spec.members or ((False, True) if spec.type == "boolean" else ())
    if members:
        absent = [ABSENT * ONE_HOT_HEIGHT] * len(members)
        return absent if component is None else _one_hot(getattr(component, spec.name), members)
    if spec.type == "text":
        absent = [ABSENT * TEXT_HEIGHT] * TEXT_BITS
        return absent if component is None else _bits(getattr(component, spec.name))
    if not spec.ordered or spec.low is None or spec.high is None:
        return []
    place = None if component is None else spec.scaled(getattr(component, spec.name))
    return [ABSENT if place is None else place]


def _bits(text: str) -> list[float]:
    """The first bits of a digest of the text without spaces."""
    number = int.from_bytes(hashlib.sha256(text.replace(" ", "").encode()).digest())
    return [TEXT_HEIGHT * (number >> place & 1) for place in range(TEXT_BITS)]


def _one_hot(value: object, members: tuple[object, ...]) -> list[float]:
    return [ONE_HOT_HEIGHT * (member == value) for member in members] if len(members) > 1 else []
