"""The catalogue of components and named methods as text for a terminal."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

INDENT, WIDTH = " " * 4, 100
NOTATION = (
    "In formulas w is the weak supervisor's P(class 1), f the student's, t the training target, sg the "
    "stop-gradient, and a hat marks a decision: 1 above one half."
)


def overview(
    slots: Mapping[str, Sequence[Mapping[str, Any]]], methods: Iterable[Mapping[str, Any]], costs: str
) -> RenderableType:
    """All components by slot with their costs, then the playbook's methods. costs: what these mean."""
    parts: list[RenderableType] = []
    for slot, components in slots.items():
        table = Table(title=f"slot {slot}", title_justify="left", show_header=False, box=None, pad_edge=False)
        for facts in components:
            table.add_row(INDENT + facts["name"], _cost(facts["cost"]), Text(facts["says"]))
        parts += [table, Text("")]
    named = Table(title="methods of the playbook", title_justify="left", box=None, pad_edge=False)
    for column in ("name", "cost", "from"):
        named.add_column(column)
    for facts in methods:
        named.add_row(
            Text("\n  ".join([facts["name"], *facts["variants"]])), _cost(facts["cost"]), facts["says"]
        )
    return Group(*parts, named, Text(f"\n{costs}"))


def in_full(found: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Components or methods with all that is known of each."""
    lines = [line for facts in found for line in (*_entry(facts), "")]
    if any(facts.get("formula") for facts in found):
        return Text("\n".join([*lines, *textwrap.wrap(NOTATION, WIDTH)]))
    return Text("\n".join(lines[:-1]))


def _cost(cost: float | None) -> str:
    return "" if cost is None else f"{cost:.2g}x"


def _entry(facts: Mapping[str, Any]) -> Iterator[str]:
    is_method = "slots" in facts
    yield facts["name"] if is_method else f"{facts['slot']}.{facts['name']}"
    yield from _wrapped(facts["says"])
    if is_method:
        for slot, component in facts["slots"].items():
            values = ", ".join(f"{name}: {value}" for name, value in component.items())
            yield from _wrapped(f"{slot}: {{{values}}}")
        if facts["variants"]:
            yield from _wrapped(f"variants: {', '.join(facts['variants'])}")
    else:
        for paragraph in [*facts["more"], *facts["formula"]]:
            yield from _wrapped(paragraph)
        for parameter in facts["parameters"]:
            yield from _parameter(parameter)
    if facts["cost"] is not None:
        needed = ", ".join(f"{slot} {kind}" for slot, kind in facts.get("beside", {}).items())
        beside = f", with {needed} beside it" if needed else ""
        yield f"{INDENT}cost: {facts['cost']:.2g} times naive's{beside}"


def _parameter(parameter: Mapping[str, Any]) -> Iterator[str]:
    allowed = parameter["allowed"]
    bounds = f"one of {', '.join(map(str, allowed))}" if isinstance(allowed, list) else allowed
    text = f"{parameter['name']} = {parameter['default']}   {bounds}   {parameter['says']}"
    yield from textwrap.wrap(text, WIDTH, initial_indent=INDENT, subsequent_indent=2 * INDENT)


def _wrapped(text: str) -> Iterator[str]:
    yield from textwrap.wrap(text, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)
