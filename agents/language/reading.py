"""Reads an answer as a proposal, also from gateways that ignore the output format.

Fences and text around the JSON are skipped, and a branch that cannot be read is left out alone.
"""

import json
import re
from collections.abc import Iterator
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
_MOST_PROBLEMS = 64


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
    return Reading(proposal=None, problems=read) if found is None else _by_branch(found, read)


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
        try:
            branches.append(Branch.model_validate(item))
        except ValidationError as error:
            at_fault = unreadable(error, ("branches", index))
            left_out += [problem.model_copy(update={"branch": None}) for problem in at_fault]
        else:
            places.append(index)
    problems = tuple(dict.fromkeys(left_out))[:_MOST_PROBLEMS]
    if found["branches"] and not branches:
        return Reading(proposal=None, problems=problems or whole)
    rationale = found.get("rationale")
    proposal = Proposal(branches=tuple(branches), rationale=rationale if isinstance(rationale, str) else "")
    return Reading(proposal=proposal, problems=problems, places=tuple(places))


def _besides(found: dict[str, Any]) -> Iterator[Problem]:
    """Problems that concern no branch."""
    for key in found.keys() - {"branches", "rationale"}:
        yield Problem(
            branch=None, place=printable_part(key) or "proposal", text="no such key; it was ignored"
        )
    if not isinstance(found.get("rationale"), str):
        yield Problem(branch=None, place="rationale", text="should be a text; it was ignored")
