from typing import Any

import pytest
from pydantic import ValidationError

from agents.language.proposal import (
    Branch,
    Choice,
    Fixed,
    Option,
    Proposal,
    Range,
    Slot,
    branch_contains,
    json_schema,
    slug,
    with_components,
)
from trainers.components.losses import LogConf
from trainers.components.optim import Adamw
from trainers.components.selection import Confidence
from trainers.method import Method


def branch(*slots: Slot, name: str = "b") -> Branch:
    return Branch(name=name, family="other", hypothesis="It helps.", parent=None, slots=slots)


LOGCONF = Slot(
    slot="loss",
    options=(Option(component="logconf", params=(Range(name="aux", low=0.2, high=0.8, log=False),)),),
)
CONFIDENT = Slot(
    slot="select",
    options=(
        Option(component="all", params=()),
        Option(
            component="confidence",
            params=(Fixed(name="balanced", value=True), Choice(name="share", values=(0.3, 0.6))),
        ),
    ),
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Confident only!", "confident-only"),
        ("  déjà--vu ", "deja-vu"),
        ("../../etc/passwd", "etc-passwd"),
        ("日本", ""),
        ("a" * 47 + " b", "a" * 47),
        ("x" * 1_000_000, "x" * 48),
    ],
)
def test_a_name_is_slugged(text: str, name: str) -> None:
    assert slug(text) == name
    assert branch(name=text).name == name


@pytest.mark.parametrize("bound", ["NaN", "Infinity", "-Infinity", "1e999", "true", '"1"', "null", "[1]"])
def test_a_bound_must_be_a_finite_number(bound: str) -> None:
    text = f'{{"kind": "range", "name": "aux", "low": {bound}, "high": 1, "log": false}}'
    with pytest.raises(ValidationError):
        Range.model_validate_json(text)


@pytest.mark.parametrize(("text", "value"), [("true", True), ("1", 1), ("1.0", 1.0), ('"1"', "1")])
def test_a_value_keeps_its_type(text: str, value: object) -> None:
    fixed = Fixed.model_validate_json(f'{{"kind": "fixed", "name": "x", "value": {text}}}')
    assert fixed.value == value
    assert type(fixed.value) is type(value)


def test_a_proposal_survives_json() -> None:
    proposal = Proposal(branches=(branch(LOGCONF, CONFIDENT),), rationale="why")
    assert Proposal.model_validate_json(proposal.model_dump_json()) == proposal


def test_an_unnamed_slot_is_the_naive_one() -> None:
    naive = Method(optim=Adamw(lr=1e-3))
    space = branch(LOGCONF)
    assert branch_contains(space, Method(loss=LogConf(aux=0.5), optim=Adamw(lr=1e-3)), naive)
    assert not branch_contains(space, Method(loss=LogConf(aux=0.5)), naive)


@pytest.mark.parametrize(
    ("aux", "inside"), [(0.2, True), (0.8, True), (0.8 + 1e-12, True), (0.19, False), (0.81, False)]
)
def test_a_range_holds_both_its_ends(aux: float, inside: bool) -> None:
    assert branch_contains(branch(LOGCONF), Method(loss=LogConf(aux=aux)), Method()) is inside


@pytest.mark.parametrize(
    ("method", "inside"),
    [
        (Method(), True),
        (Method(select=Confidence(share=0.3, balanced=True)), True),
        (Method(select=Confidence(share=0.4, balanced=True)), False),
        (Method(select=Confidence(share=0.3, balanced=False)), False),
    ],
)
def test_any_option_may_hold_the_method(method: Method, inside: bool) -> None:
    assert branch_contains(branch(CONFIDENT), method, Method()) is inside


def test_an_unnamed_parameter_is_the_default() -> None:
    assert not branch_contains(branch(LOGCONF), Method(loss=LogConf(aux=0.5, warmup=0.3)), Method())


def test_components_go_into_their_slots() -> None:
    naive = Method(optim=Adamw(lr=1e-3))
    method = with_components(naive, {"loss": LogConf(aux=0.3)})
    assert method == Method(loss=LogConf(aux=0.3), optim=Adamw(lr=1e-3))
    with pytest.raises(ValueError, match="loss"):
        with_components(naive, {"loss": Confidence()})


def test_the_json_schema_is_strict() -> None:
    schema = json_schema()
    objects = [node for node in _nodes(schema) if node.get("type") == "object"]
    assert len(objects) == 7  # Proposal, Branch, Slot, Option, Fixed, Range, Choice
    for node in objects:
        assert node["additionalProperties"] is False
        assert sorted(node["required"]) == sorted(node["properties"])
    for node in _nodes(schema):
        assert not {"oneOf", "default", "discriminator", "minimum", "maxLength", "pattern"} & node.keys()


def _nodes(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, dict):
        return [node, *(found for child in node.values() for found in _nodes(child))]
    return [found for child in node for found in _nodes(child)] if isinstance(node, list) else []
