"""The catalogue of components for each slot, generated from the component classes."""

import inspect
import math
import re
import types
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from trainers.component import Component, Frozen
from trainers.components.formulas.guide import guide
from trainers.method import SLOTS

ParamType = Literal["number", "integer", "boolean", "text", "other"]
LOG_SCALE_RATIO = 100.0  # bounds with high / low at least this make a logarithmic scale
_TYPES: dict[Any, ParamType] = {float: "number", int: "integer", bool: "boolean", str: "text"}


class ParamSpec(Frozen):
    """The values that one parameter of a component may take.

    low, high: bounds, inclusive unless `open_low` or `open_high`; None for no bound. members: the allowed
    values of a parameter that takes only listed values, else (). type: "other" marks a type that a proposal
    cannot express; the parameter keeps its default.
    """

    name: str
    type: ParamType
    low: float | None
    high: float | None
    open_low: bool
    open_high: bool
    members: tuple[bool | int | float | str, ...]
    default: Any
    description: str

    @property
    def ordered(self) -> bool:
        """Whether a range can be searched: a number or an integer without listed members."""
        return self.type in ("number", "integer") and not self.members

    @property
    def interval(self) -> str:
        """The bounds as [0, 1]; a round bracket marks an excluded or missing bound."""
        left = "(-inf" if self.low is None else f"{'(' if self.open_low else '['}{self.low:g}"
        right = "inf)" if self.high is None else f"{self.high:g}{')' if self.open_high else ']'}"
        return f"{left}, {right}"

    def within(self, value: float) -> bool:
        """Whether the value lies within the bounds."""
        above = self.low is None or (value > self.low if self.open_low else value >= self.low)
        below = self.high is None or (value < self.high if self.open_high else value <= self.high)
        return above and below

    @property
    def log_scale(self) -> bool:
        """Whether its bounds are so far apart that the parameter is scaled logarithmically."""
        if self.low is None or self.high is None:
            return False
        return self.low > 0 and self.high / self.low >= LOG_SCALE_RATIO

    def scaled(self, value: object) -> float | None:
        """Where a number lies between the bounds, 0 to 1; None for what has no place between two bounds."""
        low, high = self.low, self.high
        if not self.ordered or low is None or high is None or not isinstance(value, int | float):
            return None
        if self.log_scale:
            return math.log(value / low) / math.log(high / low)
        return (value - low) / (high - low)


@cache
def param_specs(component: type[Component]) -> dict[str, ParamSpec]:
    """The parameters of a component, by name, read from the metadata of its fields."""
    return {name: _spec(name, field) for name, field in component.model_fields.items() if name != "kind"}


def _spec(name: str, field: FieldInfo) -> ParamSpec:
    leaves = [leaf for leaf in _leaves(field.annotation) if leaf is not type(None)]
    bounds = list(field.metadata) + list(_metadata(field.annotation))
    members = tuple(value for leaf in leaves if get_origin(leaf) is Literal for value in get_args(leaf))
    kinds = {type(value) for value in members} or set(leaves)
    low, open_low = _bound(bounds, Ge, "ge", Gt, "gt")
    high, open_high = _bound(bounds, Le, "le", Lt, "lt")
    return ParamSpec(
        name=name,
        type=_TYPES.get(kinds.pop(), "other") if len(kinds) == 1 else "other",
        low=low,
        high=high,
        open_low=open_low,
        open_high=open_high,
        members=members,
        default=field.get_default(call_default_factory=True),
        description=field.description or "",
    )


def _leaves(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from _leaves(part)
    elif get_origin(annotation) is Annotated:
        yield from _leaves(get_args(annotation)[0])
    else:
        yield annotation


def _metadata(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from _metadata(part)
    elif get_origin(annotation) is Annotated:
        for item in get_args(annotation)[1:]:
            yield from item.metadata if isinstance(item, FieldInfo) else (item,)


def _bound(
    metadata: list[Any], closed: type, closed_name: str, opened: type, open_name: str
) -> tuple[float | None, bool]:
    for item in metadata:
        if isinstance(item, closed):
            return float(getattr(item, closed_name)), False
        if isinstance(item, opened):
            return float(getattr(item, open_name)), True
    return None, False


def catalogue() -> str:
    """The text that an agent reads: every slot, its components and their parameters, and how formulas go."""
    lines = [
        "A slot holds one component. A parameter that is not named keeps its default. Training targets are "
        "made in up to three steps, each from the last one's probabilities: labels, repair, second_repair. "
        "Trainings follow each other: on these targets (through the models of a chain), on targets that "
        "relabel makes anew, on own predictions (self_train); then refine, which needs no targets. Each "
        "member goes through all of it."
    ]
    written: dict[frozenset[str], str] = {}
    for slot, components in SLOTS.items():
        first = written.setdefault(frozenset(components), slot)
        lines += ["", f"slot {slot}" + (f": the components of slot {first}" if first != slot else "")]
        if first != slot:
            continue
        for kind, component in components.items():
            lines.append(f"  {kind}: {_first_sentence(component)}")
            lines += [f"    {_param_line(spec)}" for spec in param_specs(component).values()]
    return "\n".join(lines) + "\n\n" + guide()


def _param_line(spec: ParamSpec) -> str:
    if spec.members:
        allowed = "one of " + ", ".join(map(str, spec.members))
    elif spec.ordered and (spec.low, spec.high) != (None, None):
        allowed = f"{spec.type} in {spec.interval}"
    else:
        allowed = spec.type if spec.type != "other" else "not searched"
    description = f": {spec.description}" if spec.description else ""
    return f"{spec.name} ({allowed}, default {_shown(spec.default)}){description}"


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _first_sentence(component: type[Component]) -> str:
    paragraph = inspect.cleandoc(component.__doc__ or "").split("\n\n")[0]
    return re.split(r"(?<=\.)\s+(?=[A-Z])", " ".join(paragraph.split()))[0]
