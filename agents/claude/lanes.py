"""Parallel lanes of a round: their directions, their threads, and how their branches are joined."""

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from agents.claude.prompting import directions
from agents.findings.findings import Findings
from agents.findings.novelty import all_problems, kept
from agents.language.proposal import NAME_LENGTH, Branch, Proposal
from agents.language.validation import MAX_BRANCHES

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Lane:
    """A lane of a round; its name is a number."""

    name: str
    direction: str


def lanes_of(round: int, count: int, given: Sequence[str], seed: int) -> list[Lane]:
    """The lanes of a round, with different directions as far as there are enough.

    Directions from the config take turns over the rounds; without any, they are drawn at random from
    prompts/directions.md.
    """
    if given:
        picked = [given[((round - 1) * count + i) % len(given)] for i in range(count)]
    else:
        picked = random.Random(f"{seed} {round}").sample(directions(), k=count)
    return [Lane(name=str(i), direction=direction) for i, direction in enumerate(picked, start=1)]


def side_by_side(tasks: Sequence[Callable[[], T]]) -> list[T]:
    """The results of all tasks, each run in its own thread; raises the first error.

    The threads are daemons, so that an interrupted process does not wait for the network.
    """
    results: dict[int, T] = {}
    errors: list[BaseException] = []

    def run(place: int, task: Callable[[], T]) -> None:
        try:
            results[place] = task()
        except BaseException as error:
            errors.append(error)

    threads = [
        threading.Thread(target=run, args=(i, task), name=f"lane-{i + 1}", daemon=True)
        for i, task in enumerate(tasks)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [results[i] for i in range(len(tasks))]


@dataclass(frozen=True, kw_only=True)
class Joined:
    """All lanes' branches in one proposal; by lane, the names of its branches and what was refused."""

    proposal: Proposal
    branches: dict[str, list[str]]
    refused: dict[str, list[str]]


def joined(proposals: Sequence[tuple[str, Proposal]], findings: Findings) -> Joined:
    """Join the valid proposals of several lanes, given as (lane, proposal).

    A branch whose name an earlier lane has used gets a number; a branch that repeats a space is refused.
    """
    names = {found.branch.name for found in findings.branches}
    owners: list[str] = []
    branches: list[Branch] = []
    for lane, proposal in proposals:
        for branch in proposal.branches:
            name = _free(branch.name, names)
            names.add(name)
            owners.append(lane)
            branches.append(branch.model_copy(update={"name": name}))
    several = len(proposals) > 1
    rationales = [
        f"Lane {lane}: {proposal.rationale}" if several else proposal.rationale
        for lane, proposal in proposals
    ]
    whole = Proposal(branches=tuple(branches), rationale="\n".join(rationales)[:8000])
    wrong = all_problems(whole, findings)
    result = Joined(
        proposal=whole.model_copy(update={"branches": kept(whole, wrong, MAX_BRANCHES)}),
        branches={lane: [] for lane, _ in proposals},
        refused={lane: [] for lane, _ in proposals},
    )
    taken = {branch.name for branch in result.proposal.branches}
    for owner, branch in zip(owners, branches, strict=True):
        if branch.name in taken:
            result.branches[owner].append(branch.name)
    for problem in wrong:
        if problem.branch is not None:
            result.refused[owners[problem.branch]].append(f"{branches[problem.branch].name}: {problem.text}")
    return result


def _free(name: str, taken: set[str]) -> str:
    number, free = 2, name
    while free in taken:
        free = f"{name[: NAME_LENGTH - 5].rstrip('-')}-{number}"
        number += 1
    return free
