"""Methods drawn at random from the whole catalogue."""

import math
from typing import Any, Literal, get_args, get_origin

import numpy as np
from annotated_types import Ge, Le
from pydantic.fields import FieldInfo

from tests.small_runs.random_formulas import draw_formula
from trainers.component import Component
from trainers.components.formulas.formula import Formula
from trainers.method import SLOTS, Method

# Trainings are cut short, and few follow each other; all else is drawn from the catalogue's whole bounds.
SHORT: dict[str, tuple[float, float]] = {
    "epochs": (0.1, 1.5),
    "batch_size": (6, 64),
    "count": (2, 3),
    "steps": (1, 6),
    "pairs": (1, 3),
}


def draw_method(rng: np.random.Generator, *wanted: type[Component] | None) -> Method:
    """A method drawn uniformly over components and bounds; raises ValidationError where it is none.

    wanted: components that the method has in their slots.
    """
    slots = {}
    for slot, components in SLOTS.items():
        options = [c for c in components.values() if c in wanted] or list(components.values())
        slots[slot] = _draw_component(rng, options[int(rng.integers(len(options)))])
    return Method.model_validate(slots)


def _draw_component(rng: np.random.Generator, component: type[Component]) -> Component:
    if issubclass(component, Formula):
        return draw_formula(rng, component)
    fields = {name: field for name, field in component.model_fields.items() if name != "kind"}
    return component(**{name: draw(rng, name, field) for name, field in fields.items()})


def draw(rng: np.random.Generator, name: str, field: FieldInfo) -> Any:
    """A value of a parameter: uniform over its bounds, its members, or true and false."""
    if get_origin(field.annotation) is Literal:
        return get_args(field.annotation)[int(rng.integers(len(get_args(field.annotation))))]
    if field.annotation is bool:
        return bool(rng.integers(2))
    low = next(float(bound.ge) for bound in field.metadata if isinstance(bound, Ge))  # type: ignore[arg-type]  # a number here
    high = next(float(bound.le) for bound in field.metadata if isinstance(bound, Le))  # type: ignore[arg-type]  # a number here
    low, high = SHORT.get(name, (low, high))
    edge = rng.random()
    value = low if edge < 0.1 else high if edge > 0.9 else rng.uniform(low, high)
    if low > 0 and 0.1 <= edge <= 0.9 and high / low > 20:
        value = math.exp(rng.uniform(math.log(low), math.log(high)))
    return round(value) if field.annotation is int else value
