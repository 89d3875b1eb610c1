"""Reads an answer as a proposal, also from gateways that ignore the output format.

Fences and text around the JSON are skipped. Unknown keys are named and ignored. A branch that cannot
be read is left out alone, and of JSON that is broken somewhere every whole branch is kept.
"""

import copy
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from agents.language.proposal import Branch, Proposal
from agents.language.validation import Problem, printable_part, read_proposal, unreadable
from trainers.component import Frozen

# Where a proposal may begin: at a key of its own, at the start of a fence or of the answer, or anywhere.
_STARTS = (
    re.compile(r'\{\s*"(?:branches|rationale)"\s*:'),
    re.compile(r"```\w*\s*(?=[{\[])"),
    re.compile(r"^\s*(?=\[)"),
    re.compile(r"\{"),
)
_MOST_STARTS = 8  # of each kind: the time to read an answer is bounded
_BRANCH_STARTS = re.compile(r'\{\s*"(?:name|family|hypothesis|parent|slots)"\s*:')
_MOST_BRANCH_STARTS = 64
_MOST_PROBLEMS = 64
IGNORED = "no such key; it was ignored"


class Reading(Frozen):
    """A proposal, or None; the problems of what was left out of it, or why there is none.

    places: the index that each branch of the proposal has in the answer.
    """

    proposal: Proposal | None
    problems: tuple[Problem, ...] = ()
    places: tuple[int, ...] = ()

    def as_answered(self, problem: Problem) -> Problem:
        """A problem of the proposal, with its place as in the answer."""
        if problem.branch is None:
            return problem
        place = problem.place.removeprefix(f"branches[{problem.branch}]")
        return problem.model_copy(update={"place": f"branches[{self.places[problem.branch]}]{place}"})


def read_answer(text: str) -> Reading:
    """The proposal in an answer. Never raises."""
    read = read_proposal(text)
    if isinstance(read, Proposal):
        return Reading(proposal=read, places=tuple(range(len(read.branches))))
    found = _found(text)
    if found is not None:
        return _by_branch(found, read)
    if whole := _whole_branches(text):
        broken = Problem(
            branch=None,
            place="proposal",
            text=f"is broken JSON or cut short; {len(whole)} whole branches of it were read",
        )
        reading = _by_branch({"branches": whole, "rationale": ""}, read)
        return reading.model_copy(update={"problems": (broken, *reading.problems)})
    return Reading(proposal=None, problems=read)


def _found(text: str) -> dict[str, Any] | None:
    """The last object in the text that has a list of branches; a bare list of objects counts as one."""
    for pattern in _STARTS:
        values = []
        end = 0
        for start, _ in zip(pattern.finditer(text), range(_MOST_STARTS), strict=False):
            place = start.start() if start.group().startswith("{") else start.end()
            if place >= end and (parsed := _value(text, place)):
                value, end = parsed
                values.append(value)
        for value in reversed(values):
            if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
                return {"branches": value}
            if isinstance(value, dict) and isinstance(value.get("branches"), list):
                return value
    return None


def _whole_branches(text: str) -> list[dict[str, Any]]:
    """The objects of a broken answer that have what a branch has, in its order."""
    branches: list[dict[str, Any]] = []
    end = 0
    for start, _ in zip(_BRANCH_STARTS.finditer(text), range(_MOST_BRANCH_STARTS), strict=False):
        if start.start() >= end and (parsed := _value(text, start.start())):
            value, end = parsed
            if isinstance(value, dict) and {"name", "slots"} <= value.keys():
                branches.append(value)
    return branches


def _value(text: str, start: int) -> tuple[Any, int] | None:
    """The JSON value that begins there, and where it ends; None if there is none."""
    try:
        _, end = json.JSONDecoder().raw_decode(text, start)
        return from_json(text[start:end]), end
    except (ValueError, RecursionError):
        return None


def _by_branch(found: dict[str, Any], whole: tuple[Problem, ...]) -> Reading:
    """The branches that can be read; `whole` are the problems if there is none."""
    branches: list[Branch] = []
    places: list[int] = []
    left_out = list(_besides(found))
    for index, item in enumerate(found["branches"]):
        branch, wrong = _branch(item, index)
        left_out += [problem.model_copy(update={"branch": None}) for problem in wrong]
        if branch is not None:
            branches.append(branch)
            places.append(index)
    problems = tuple(dict.fromkeys(left_out))[:_MOST_PROBLEMS]
    if found["branches"] and not branches:
        return Reading(proposal=None, problems=problems or whole)
    rationale = found.get("rationale")
    proposal = Proposal(branches=tuple(branches), rationale=rationale if isinstance(rationale, str) else "")
    return Reading(proposal=proposal, problems=problems, places=tuple(places))


def _branch(item: Any, index: int) -> tuple[Branch | None, list[Problem]]:
    """The branch without keys that there are not, or None; which keys were ignored, or what is wrong."""
    try:
        return Branch.model_validate(item), []
    except ValidationError as error:
        extra = [detail["loc"] for detail in error.errors() if detail["type"] == "extra_forbidden"]
        first = list(unreadable(error, ("branches", index)))
    plain = _without(item, extra)
    try:
        branch = Branch.model_validate(plain)
    except ValidationError as error:
        return None, list(unreadable(error, ("branches", index)))
    return branch, [problem.model_copy(update={"text": IGNORED}) for problem in first]


def _without(item: Any, places: Sequence[tuple[int | str, ...]]) -> Any:
    """A copy of a JSON value without the keys at these places, as pydantic names them.

    A place also names the kind of the parameter that it leads through, which is no key.
    """
    item = copy.deepcopy(item)
    for *path, key in places:
        node = item
        for part in path:
            inside = node.get(part) if isinstance(node, dict) else node[part]
            node = inside if isinstance(inside, dict | list) else node
        if isinstance(node, dict):
            node.pop(key, None)
    return item


def _besides(found: dict[str, Any]) -> Iterator[Problem]:
    """Problems that concern no branch."""
    for key in found.keys() - {"branches", "rationale"}:
        yield Problem(branch=None, place=printable_part(key) or "proposal", text=IGNORED)
    if not isinstance(found.get("rationale"), str):
        yield Problem(branch=None, place="rationale", text="should be a text; it was ignored")
