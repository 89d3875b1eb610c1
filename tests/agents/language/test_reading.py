"""Answers of gateways that ignore the output format: what is wrong costs its own branch alone."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from agents.language.proposal import Branch
from agents.language.reading import IGNORED, read_answer
from agents.language.validation import Problem


@pytest.fixture
def four(branch: Callable[..., Branch]) -> dict[str, Any]:
    """A proposal of four branches, as JSON values."""
    branches = [branch(f"b{i}", i / 10).model_dump(mode="json") for i in range(4)]
    return {"branches": branches, "rationale": "because"}


@pytest.mark.parametrize(
    "wrapped",
    [
        "{}",
        "```json\n{}\n```",
        "```\n{}\n```\nI hope this helps {{a lot}}.",
        "Here is my proposal for lane {{1}}:\n\n{}\n\nShall I go on?",
        'A draft: {{"branches": [], "rationale": ""}}. The final answer:\n{}',
        '<think>{{"x": [1, 2]}} { { {</think>{}',
        "\ufeff  {}",
    ],
)
def test_text_around_a_proposal_costs_nothing(four: dict[str, Any], wrapped: str) -> None:
    said = wrapped.replace("{}", json.dumps(four, indent=1)).replace("{{", "{").replace("}}", "}")
    read = read_answer(said)
    assert read.proposal is not None
    assert [branch.name for branch in read.proposal.branches] == ["b0", "b1", "b2", "b3"]
    assert (read.proposal.rationale, read.problems, read.places) == ("because", (), (0, 1, 2, 3))


BAD: dict[str, Callable[[dict[str, Any]], Any]] = {
    "branches[1].hypothesis": lambda branch: {k: v for k, v in branch.items() if k != "hypothesis"},
    "branches[1].family": lambda branch: branch | {"family": "magic"},
    "branches[1].slots": lambda branch: branch | {"slots": {"loss": "gce"}},
    "branches[1].name": lambda branch: branch | {"name": None},
    "branches[1]": lambda branch: "gce",
    "branches[1].slots[0].options[0].params[0]": lambda branch: json.loads(
        json.dumps(branch).replace('"range"', '"span"')
    ),
}


@pytest.mark.parametrize("place", BAD)
def test_a_branch_that_cannot_be_read_costs_itself_alone(four: dict[str, Any], place: str) -> None:
    four["branches"][1] = BAD[place](four["branches"][1])
    read = read_answer(json.dumps(four))
    assert read.proposal is not None
    assert [branch.name for branch in read.proposal.branches] == ["b0", "b2", "b3"]
    assert [problem.place for problem in read.problems] == [place]
    assert [problem.branch for problem in read.problems] == [None]
    # problems of the others are told with their places in the answer
    problem = Problem(branch=1, place="branches[1].slots", text="no")
    assert read.as_answered(problem).place == "branches[2].slots"
    whole = Problem(branch=None, place="rationale", text="no")
    assert read.as_answered(whole) == whole


def test_what_belongs_to_no_branch_costs_none(four: dict[str, Any]) -> None:
    for changed, place in (
        (four | {"\x1b[2Jnote": 1}, "?[2Jnote"),
        (four | {"rationale": None}, "rationale"),
        ({"branches": four["branches"]}, "rationale"),
        (four["branches"], "rationale"),
    ):
        read = read_answer(json.dumps(changed))
        assert read.proposal is not None
        assert len(read.proposal.branches) == 4
        assert [problem.place for problem in read.problems] == [place]


@pytest.mark.parametrize(
    "said", ["", "no", "null", "{" * 50_000, "[" * 50_000, '{"a":' * 20_000, '{"branches": [1, {}]}', "[{}]"]
)
def test_an_answer_without_a_branch_is_no_proposal(said: str) -> None:
    read = read_answer(said)
    assert read.proposal is None
    assert read.problems


EXTRA: dict[str, tuple[str, ...]] = {
    "branches[1].note": (),
    "branches[1].slots[0].why": ("slots", "0"),
    "branches[1].slots[0].options[0].why": ("slots", "0", "options", "0"),
    "branches[1].slots[0].options[0].params[0].range.why": ("slots", "0", "options", "0", "params", "0"),
}


@pytest.mark.parametrize("place", EXTRA)
def test_a_key_that_there_is_not_is_named_and_ignored(four: dict[str, Any], place: str) -> None:
    node: Any = four["branches"][1]
    for part in EXTRA[place]:
        node = node[int(part) if isinstance(node, list) else part]
    node[place.rpartition(".")[2]] = {"any": ["thing"]}
    read = read_answer(json.dumps(four))
    assert read.proposal is not None
    assert [branch.name for branch in read.proposal.branches] == ["b0", "b1", "b2", "b3"]
    assert [str(problem) for problem in read.problems] == [f"{place}: {IGNORED}"]


def test_a_branch_that_is_wrong_besides_its_extra_keys_costs_itself(four: dict[str, Any]) -> None:
    four["branches"][1] |= {"note": "x", "family": "magic"}
    read = read_answer(json.dumps(four))
    assert read.proposal is not None
    assert [branch.name for branch in read.proposal.branches] == ["b0", "b2", "b3"]
    assert [problem.place for problem in read.problems] == ["branches[1].family"]


def test_of_broken_json_every_whole_branch_is_kept(four: dict[str, Any]) -> None:
    said = json.dumps(four)
    third = said.index('"b2"')
    for broken, names in (
        (said[: said.index('"b3"')], ["b0", "b1", "b2"]),  # cut short
        (said[:third] + "'b2'" + said[third + 4 :], ["b0", "b1", "b3"]),  # a quote that JSON has not
    ):
        read = read_answer(broken)
        assert read.proposal is not None
        assert [branch.name for branch in read.proposal.branches] == names
        told = f"proposal: is broken JSON or cut short; {len(names)} whole branches of it were read"
        assert str(read.problems[0]) == told
