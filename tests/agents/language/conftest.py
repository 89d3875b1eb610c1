"""Proposals written in few words."""

from collections.abc import Sequence

from agents.language.proposal import Branch, Option, Param, Proposal, Range, Slot
from agents.language.validation import problems
from trainers.method import Abilities, Method


def option(component: str, *params: Param) -> Option:
    return Option(component=component, params=params)


def slot(name: str, *options: Option) -> Slot:
    return Slot(slot=name, options=options)


def branch(*slots: Slot, name: str = "b", parent: str | None = None, hypothesis: str = "It helps.") -> Branch:
    return Branch(name=name, family="other", hypothesis=hypothesis, parent=parent, slots=slots)


def proposal(*branches: Branch, rationale: str = "") -> Proposal:
    return Proposal(branches=branches, rationale=rationale)


def found(
    said: Proposal, known_branches: Sequence[str] = (), known_methods: Sequence[Method] = ()
) -> list[str]:
    return [
        str(problem)
        for problem in problems(
            said, naive=Method(), known_branches=known_branches, known_methods=known_methods, abilities=ANY
        )
    ]


def ranged(low: float, high: float, *, log: bool = False, name: str = "aux") -> Range:
    return Range(name=name, low=low, high=high, log=log)


ANY = Abilities(prior=True, intermediates=4, pairs=True, panel=True)
AUX = slot("loss", option("logconf", ranged(0.2, 0.8)))
