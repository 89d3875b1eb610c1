"""Proposal, Branch, Slot, Option, Param: the language in which proposers describe methods to try.

Everything is a list of records, never a free-form map, because strict JSON schemas need that. These records
define the form of a proposal; `agents.language.validation` checks its content.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from trainers.component import Component, Frozen
from trainers.method import SLOTS, Method
from trainers.printable import printable

NAME_LENGTH = 48

Family = Literal[
    "self-training",
    "ensemble",
    "distillation",
    "filtering",
    "weighting",
    "loss",
    "elicitation",
    "curriculum",
    "internals",
    "regularization",
    "other",
]
Value = StrictBool | StrictInt | StrictFloat | StrictStr


def slug(text: str) -> str:
    """The text as a name of a-z, 0-9 and single hyphens, at most 48 characters; may be empty."""
    plain = unicodedata.normalize("NFKD", text[: 8 * NAME_LENGTH]).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:NAME_LENGTH].rstrip("-")


Name = Annotated[str, AfterValidator(slug)]
Sentence = Annotated[str, AfterValidator(lambda text: printable(text).replace("\n", " "))]
Prose = Annotated[str, AfterValidator(printable)]


class Fixed(Frozen):
    """A parameter held at one value."""

    kind: Literal["fixed"] = "fixed"
    name: Annotated[str, Field(description="parameter of the component")]
    value: Annotated[Value, Field(description="the value it is held at")]


class Range(Frozen):
    """A parameter searched between low and high, both included, on a log scale if `log`."""

    kind: Literal["range"] = "range"
    name: Annotated[str, Field(description="parameter of the component")]
    low: Annotated[StrictFloat, Field(description="lowest value, included")]
    high: Annotated[StrictFloat, Field(description="highest value, included")]
    log: Annotated[StrictBool, Field(description="whether it is searched on a log scale")]


class Choice(Frozen):
    """A parameter searched among listed values."""

    kind: Literal["choice"] = "choice"
    name: Annotated[str, Field(description="parameter of the component")]
    values: Annotated[tuple[Value, ...], Field(description="the values to choose among")]


Param = Annotated[Fixed | Range | Choice, Field(discriminator="kind")]


class Option(Frozen):
    """A component that may fill the slot; unnamed parameters keep the component's defaults."""

    component: Annotated[str, Field(description="kind of the component, such as `gce`")]
    params: Annotated[
        tuple[Param, ...],
        Field(description="parameters that are set or searched; in a config or an order may be left out"),
    ]


class Slot(Frozen):
    """The options for one slot; the search picks one of them for each trial."""

    slot: Annotated[str, Field(description="name of the slot, such as `loss`")]
    options: Annotated[tuple[Option, ...], Field(description="components of which a trial takes one")]


class Branch(Frozen):
    """A space of methods; unnamed slots keep the naive baseline's component.

    hypothesis: one sentence, why the branch should recover more of the gap.
    parent: the name of the earlier branch that it grew from, or None.
    """

    name: Annotated[Name, Field(description="name of the branch, new in the run")]
    family: Annotated[
        Family, Field(description="what kind of idea it is; in a config or an order may be left out")
    ]
    hypothesis: Annotated[
        Sentence,
        Field(description="why it should recover more of the gap; in a config or an order may be left out"),
    ]
    parent: Annotated[
        Name | None,
        Field(description="earlier branch that it grew from; in a config or an order may be left out"),
    ]
    slots: Annotated[tuple[Slot, ...], Field(description="slots that differ from naive's")]


class Proposal(Frozen):
    """The branches that open a round, and the reasoning behind them."""

    branches: tuple[Branch, ...]
    rationale: Prose


def with_components(naive: Method, components: Mapping[str, Component]) -> Method:
    """The naive baseline with these components in their slots.

    Raises ValueError if a component does not belong in its slot or two of them cannot work together.
    """
    kept: dict[str, Any] = {slot: getattr(naive, slot) for slot in SLOTS}
    return type(naive).model_validate(kept | dict(components))


def branch_contains(branch: Branch, method: Method, naive: Method) -> bool:
    """Whether the branch's space contains the method; ranges tolerate a relative rounding error of 1e-9."""
    options = {slot.slot: slot.options for slot in branch.slots}
    for slot in SLOTS:
        component = getattr(method, slot)
        if slot not in options:
            if component != getattr(naive, slot):
                return False
        elif not any(_option_contains(option, component) for option in options[slot]):
            return False
    return True


def _option_contains(option: Option, component: Component) -> bool:
    if option.component != component.kind:
        return False
    params = {param.name: param for param in option.params}
    if not params.keys() <= type(component).model_fields.keys():
        return False
    return all(
        _param_contains(params[name], getattr(component, name))
        if name in params
        else getattr(component, name) == field.default
        for name, field in type(component).model_fields.items()
    )


def _param_contains(param: Fixed | Range | Choice, value: object) -> bool:
    match param:
        case Fixed():
            return param.value == value
        case Choice():
            return value in param.values
        case Range():
            slack = 1e-9 * max(abs(param.low), abs(param.high))
            return isinstance(value, int | float) and param.low - slack <= value <= param.high + slack


def json_schema() -> dict[str, Any]:
    """The strict JSON schema of a Proposal, see `strict_schema`; the prompt says what its fields mean."""
    schema = strict_schema(Proposal)
    for node in _objects(schema):
        for field in node.get("properties", {}).values():
            field.pop("description", None)
    return schema


def strict_schema(model: type[Frozen]) -> dict[str, Any]:
    """A model's JSON schema for constrained decoding: no defaults, every property required.

    Bounds are left out because the API refuses them; the caller validates the reply.
    """
    schema = model.model_json_schema()
    for node in _objects(schema):
        for key in ("title", "default", "discriminator", *_BOUNDS):
            node.pop(key, None)
        if "oneOf" in node:
            node["anyOf"] = node.pop("oneOf")
        if "properties" in node:
            node["required"] = list(node["properties"])
    return schema


_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength")


def _objects(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        children = list(node.values())
        yield node
    else:
        children = list(node) if isinstance(node, list) else []
    for child in children:
        yield from _objects(child)
