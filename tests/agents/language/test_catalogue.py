from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from agents.language.catalogue import catalogue, param_specs
from trainers.component import Component
from trainers.method import SLOTS, Method


class Sample(Component):
    """Does a thing, e.g. well. Does another.

    More about it.
    """

    kind: Literal["sample"] = "sample"
    share: Annotated[float, Field(gt=0, le=1, description="how much")] = 0.5
    rounds: Annotated[int, Field(ge=1, le=9)] | None = None
    mode: Literal["a", "b"] = "a"
    on: bool = True
    word: str = "x"
    free: float = 0.0
    names: tuple[str, ...] = ()


def test_a_parameter_is_read_from_its_field() -> None:
    specs = param_specs(Sample)
    assert list(specs) == ["share", "rounds", "mode", "on", "word", "free", "names"]
    assert {name: spec.type for name, spec in specs.items()} == {
        "share": "number",
        "rounds": "integer",
        "mode": "text",
        "on": "boolean",
        "word": "text",
        "free": "number",
        "names": "other",
    }
    assert (specs["share"].interval, specs["share"].default, specs["share"].description) == (
        "(0, 1]",
        0.5,
        "how much",
    )
    assert (specs["rounds"].interval, specs["rounds"].default) == ("[1, 9]", None)
    assert specs["mode"].members == ("a", "b")
    assert specs["free"].interval == "(-inf, inf)"
    assert [name for name, spec in specs.items() if spec.ordered] == ["share", "rounds", "free"]


@pytest.mark.parametrize(("value", "inside"), [(0, False), (1e-9, True), (1, True), (1.1, False)])
def test_an_open_bound_is_left_out(value: float, inside: bool) -> None:
    assert param_specs(Sample)["share"].within(value) is inside


def test_the_catalogue_lists_a_component_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SLOTS, "loss", {"sample": Sample})
    text = catalogue()
    assert (
        "slot loss\n"
        "  sample: Does a thing, e.g. well.\n"
        "    share (number in (0, 1], default 0.5): how much\n"
        "    rounds (integer in [1, 9], default None)\n"
        "    mode (one of a, b, default a)\n"
        "    on (boolean, default True)\n"
        "    word (text, default x)\n"
        "    free (number, default 0)\n"
        "    names (not searched, default ())\n"
    ) in text


# Losses that compute what xent does on hard labels, and on what they do not.
SUITED: dict[str, dict[str, Any]] = {"product": {"labels": {"kind": "soft"}}}
SUITED["kl"] = SUITED["product"] | {"select": {"kind": "small_loss"}}
SUITED["evolve"] = {"student": {"kind": "probe"}}


@pytest.mark.parametrize(
    ("slot", "kind"), [(slot, kind) for slot, components in SLOTS.items() for kind in components]
)
def test_every_component_fills_its_slot_and_bounds_its_numbers(slot: str, kind: str) -> None:
    component = SLOTS[slot][kind].model_validate({})
    assert component.kind == kind
    suited = SUITED.get(kind, {}) | {slot: component}
    if slot == "second_repair":
        suited["repair"] = {"kind": "noisy_channel" if kind == "elicited" else "elicited"}
    assert getattr(Method.model_validate(suited), slot) == component
    assert f"\n  {kind}: {(component.__doc__ or '?')[:20]}" in catalogue()
    for spec in param_specs(type(component)).values():
        assert spec.description, spec.name
        if spec.ordered:
            assert spec.low is not None, spec.name
            assert spec.high is not None, spec.name
            assert spec.within(spec.default), spec.name


def test_the_slots_are_the_fields_of_a_method() -> None:
    assert list(SLOTS) == list(Method.model_fields)
