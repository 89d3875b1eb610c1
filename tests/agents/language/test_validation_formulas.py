"""Proposals with formulas: what is taken, the sentence by which others are refused, and the schema."""

import json
from typing import Any

import pytest

from agents.language.catalogue import catalogue, param_specs
from agents.language.proposal import Choice, Fixed, Proposal, Slot, branch_contains, json_schema
from agents.language.reading import read_answer
from agents.language.space import sample_methods
from agents.language.validation import problems
from tests.agents.language.conftest import branch, found, option, proposal, ranged, slot
from trainers.components.formulas.guide import EXAMPLES
from trainers.method import SLOTS, Abilities, Method

UNABLE = Abilities(prior=False, intermediates=0)


def formula(slot_name: str, expression: Any, *params: Any) -> Slot:
    return slot(slot_name, option("formula", Fixed(name="expression", value=expression), *params))


def test_the_examples_are_taken_with_their_numbers_ranged() -> None:
    slots = [formula(e.slot, e.expression, ranged(0.1, 0.9, name="a")) for e in EXAMPLES]
    said = branch(*slots)
    assert found(proposal(said)) == []
    assert all(branch_contains(said, method, Method()) for method in sample_methods(said, Method()))


def test_a_proposal_in_json_holds_formulas() -> None:
    said = proposal(branch(formula("loss", "ce(t) * (1 - a * f)", ranged(0.1, 0.9, name="a"))))
    read = read_answer(json.dumps(said.model_dump(mode="json")))
    assert read.proposal == Proposal.model_validate(said)
    values = json_schema()["$defs"]["Fixed"]["properties"]["value"]["anyOf"]
    assert {"type": "string"} in values


def test_a_choice_of_expressions_is_a_space() -> None:
    texts = Choice(name="expression", values=("w * a", "sigmoid(a * logit(w))"))
    said = branch(slot("labels", option("formula", texts, ranged(0.1, 0.9, name="a"))))
    assert found(proposal(said)) == []
    assert {method.labels.expression for method in sample_methods(said, Method())} == {  # type: ignore[union-attr]
        "w * a",
        "sigmoid(a * logit(w))",
    }


@pytest.mark.parametrize(
    ("slots", "sentence"),
    [
        (
            formula("labels", "w + (probe"),
            "branches[0].slots: holds a method that cannot run, labels formula, column 11: the bracket of "
            "column 5 is not closed before this; fix or drop one of its components",
        ),
        (
            formula("labels", "prob"),
            "branches[0].slots: holds a method that cannot run, labels formula, column 1: there is no signal "
            "prob here; did you mean probe?; fix or drop one of its components",
        ),
        (
            formula("loss", "3 * ce(t)"),
            "branches[0].slots: holds a method that cannot run, loss formula has a gradient proportional to "
            "that of ce(t): set loss to xent; fix or drop one of its components",
        ),
        (
            formula("select", "w", ranged(0, 3, name="a")),
            "branches[0].slots[0].options[0].params[1]: select.formula.a must lie in [0, 1], got high 3",
        ),
        (
            formula("labels", 5.0),
            "branches[0].slots[0].options[0].params[0]: labels.formula.expression must be a text, got 5",
        ),
        (
            formula("labels", "w > 0.5"),
            "branches[0].slots: labels.formula computes what naive computes with labels.hard here; change "
            "its parameters or drop it",
        ),
        (
            formula("select", "abs(2 * t - 1)"),
            "branches[0].slots: select.formula computes what naive computes with select.all here; change its "
            "parameters or drop it",
        ),
        (
            formula("loss", "ce(t) + a * margin", Fixed(name="a", value=0)),
            "branches[0].slots: loss.formula computes what naive computes with loss.xent here; change its "
            "parameters or drop it",
        ),
        (
            formula("repair", "w + a * w * (1 - w)", ranged(0.1, 0.9, name="a")),
            "branches[0].slots: repair.formula computes what naive computes with repair.none here; change "
            "its parameters or drop it",
        ),
    ],
)
def test_what_cannot_run_or_is_naive_by_another_name_is_told(slots: Slot, sentence: str) -> None:
    assert found(proposal(branch(slots))) == [sentence]


def test_a_prior_that_a_campaign_lacks_is_refused_in_one_line() -> None:
    said = proposal(branch(formula("repair", "where(abs(prior - 0.5) > a, prior, w)")))
    told = problems(said, naive=Method(), known_branches=(), known_methods=(), abilities=UNABLE)
    assert [str(problem) for problem in told] == [
        "branches[0].slots: holds a method that cannot run here, repair.formula needs a zero-shot answer, "
        "and this strong model is no language model"
    ]


def test_formulas_that_differ_in_spaces_are_one_method() -> None:
    one, other = (
        branch(formula("labels", text), name=name) for text, name in (("w*a", "one"), (" w * a", "other"))
    )
    assert found(proposal(one, other)) == [
        "branches[1].slots: computes what the branch one computes; change or drop one of the two"
    ]


def test_the_catalogue_tells_of_formulas() -> None:
    text = catalogue()
    for slot_name in ("labels", "repair", "select", "loss"):
        spec = param_specs(SLOTS[slot_name]["formula"])["expression"]
        assert f"    expression (text, default {spec.default}): " in text
    assert "\nformulas: an expression gives a number for every example." in text
    assert all(example.expression in text for example in EXAMPLES)
