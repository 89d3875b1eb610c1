"""Proposals and texts of any kind, by hypothesis."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.language.catalogue import param_specs
from agents.language.proposal import (
    Branch,
    Choice,
    Fixed,
    Option,
    Param,
    Proposal,
    Range,
    Slot,
    branch_contains,
    slug,
)
from agents.language.space import sample_methods
from agents.language.validation import problems, read_proposal, valid_branches
from tests.agents.language.conftest import ANY, AUX, branch, option, proposal, slot
from trainers.method import SLOTS, Method

names = st.sampled_from(
    [*SLOTS, *(kind for components in SLOTS.values() for kind in components), "aux", "share", "lr", "epochs"]
) | st.text(max_size=70)
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.floats(0, 1) | st.integers(0, 40).map(float)
values = st.booleans() | st.integers() | numbers | names | st.sampled_from(["linear", "head", 10**400])
params: st.SearchStrategy[Param] = st.one_of(
    st.builds(Fixed, name=names, value=values),
    st.builds(Range, name=names, low=numbers, high=numbers, log=st.booleans()),
    st.builds(Choice, name=names, values=st.lists(values, max_size=20).map(tuple)),
)


@st.composite
def likely_options(draw: st.DrawFn, slot_name: str) -> Option:
    kind = draw(st.sampled_from(list(SLOTS[slot_name])))
    known = list(param_specs(SLOTS[slot_name][kind]))
    chosen = draw(st.lists(params, max_size=3))
    named = [p.model_copy(update={"name": draw(st.sampled_from(known))}) for p in chosen] if known else []
    return Option(component=kind, params=tuple(named))


@st.composite
def any_slot(draw: st.DrawFn) -> Slot:
    name = draw(st.sampled_from(list(SLOTS)))
    options = st.lists(likely_options(name), max_size=3).map(tuple)
    wild = st.lists(
        st.builds(Option, component=names, params=st.lists(params, max_size=3).map(tuple)), max_size=10
    ).map(tuple)
    if draw(st.booleans()):
        return Slot(slot=name, options=draw(options))
    return Slot(slot=draw(names), options=draw(options | wild))


branches = st.builds(
    Branch,
    name=names,
    family=st.just("loss"),
    hypothesis=st.text(max_size=500),
    parent=st.none() | names,
    slots=st.lists(any_slot(), max_size=8).map(tuple),
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(said=st.builds(Proposal, branches=st.lists(branches, max_size=4).map(tuple), rationale=st.text()))
def test_no_proposal_crashes_and_none_that_passes_holds_a_bad_method(said: Proposal) -> None:
    naive = Method()
    known = [slug(name) for name in SLOTS]
    wrong = problems(said, naive=naive, known_branches=known, known_methods=(), abilities=ANY)
    for problem in wrong:
        assert str(problem).isprintable()
        assert len(str(problem)) < 700
        assert problem.place.startswith(("branches", "rationale"))
    for good in valid_branches(said, naive=naive, known_branches=known, known_methods=(), abilities=ANY):
        for method in sample_methods(good, naive):
            assert branch_contains(good, method, naive)


def mutated(draw: st.DrawFn, node: Any) -> Any:
    junk: st.SearchStrategy[Any] = st.sampled_from(
        [None, [], {}, "", -1, 1e308, float("nan"), float("inf"), 10**30, True, "\x00<b>"]
    )
    if draw(st.integers(0, 11)) == 0:
        return draw(junk)
    if isinstance(node, dict):
        return {key: mutated(draw, child) for key, child in node.items() if draw(st.integers(0, 30))}
    return [mutated(draw, child) for child in node] if isinstance(node, list) else node


@st.composite
def mutated_text(draw: st.DrawFn) -> str:
    good = proposal(branch(AUX, slot("select", option("all"), option("confidence"))), branch(AUX, name="c"))
    return json.dumps(mutated(draw, good.model_dump(mode="json")))


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=mutated_text() | st.text() | st.binary())
def test_no_text_crashes(text: str | bytes) -> None:
    answer = read_proposal(text)
    if isinstance(answer, Proposal):
        answer = tuple(problems(answer, naive=Method(), known_branches=(), known_methods=(), abilities=ANY))
    else:
        assert answer
    assert all(str(problem).isprintable() for problem in answer)
