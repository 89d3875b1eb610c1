"""Branches that span the rows of a table, so that there is room for a draw that somebody names.

A table has a handful of rows of each published space: there a branch is used up before anybody can help. So
its rows are grouped by the slots whose component is not naive's, and a branch holds what a group's rows hold.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from agents.findings.findings import Findings
from agents.language.catalogue import ParamSpec, param_specs
from agents.language.proposal import Branch, Choice, Fixed, Option, Param, Proposal, Range, Slot
from agents.language.validation import MAX_CHOICES, MAX_OPTIONS
from benchmarks.table.rows import sound
from benchmarks.table.world import World
from trainers.component import Component
from trainers.method import SLOTS, Method

BRANCHES = 4  # of a round
FEWEST = 5  # rows of a branch


def spanning_branches(methods: Sequence[Method], naive: Method) -> list[Branch]:
    """A branch for each group of at least five methods, the largest first, without those that cannot run."""
    groups: dict[tuple[str, ...], list[Method]] = defaultdict(list)
    for method in methods:
        others = tuple(slot for slot in SLOTS if getattr(method, slot).kind != getattr(naive, slot).kind)
        if others:
            groups[others].append(method)
    largest = sorted(groups.items(), key=lambda group: -len(group[1]))
    found = [_branch(others, members) for others, members in largest if len(members) >= FEWEST]
    return sound(found, naive)


def _branch(others: Sequence[str], members: Sequence[Method]) -> Branch:
    return Branch(
        name="-".join(others),
        family="other",
        hypothesis="It spans rows of the table.",
        parent=None,
        slots=tuple(_slot(slot, [getattr(method, slot) for method in members]) for slot in others),
    )


def _slot(slot: str, used: Sequence[Component]) -> Slot:
    by_kind: dict[str, list[Component]] = defaultdict(list)
    for component in used:
        by_kind[component.kind].append(component)
    return Slot(
        slot=slot,
        options=tuple(
            Option(component=kind, params=tuple(_params(components)))
            for kind, components in list(by_kind.items())[:MAX_OPTIONS]
        ),
    )


def _params(components: Sequence[Component]) -> list[Param]:
    found = []
    for spec in param_specs(type(components[0])).values():
        values = list(dict.fromkeys(getattr(component, spec.name) for component in components))
        if spec.type != "other" and values != [spec.default]:
            found.append(_param(spec, values))
    return found


def _param(spec: ParamSpec, values: Sequence[Any]) -> Param:
    if len(values) == 1:
        return Fixed(name=spec.name, value=values[0])
    if not spec.ordered:
        return Choice(name=spec.name, values=tuple(values[:MAX_CHOICES]))
    return Range(name=spec.name, low=float(min(values)), high=float(max(values)), log=spec.log_scale)


class Spanning:
    """Proposes four of these branches a round, in an order of the campaign's own."""

    def __init__(self, world: World, seed: int) -> None:
        rows = world.table.rows
        branches = spanning_branches([rows[row].method for row in world.rows], world.table.settings.naive)
        order = np.random.default_rng(seed).permutation(len(branches))
        self._left = [branches[int(place)] for place in order]

    def propose(self, findings: Findings) -> Proposal:
        """The next branches."""
        chosen, self._left = self._left[:BRANCHES], self._left[BRANCHES:]
        return Proposal(branches=tuple(chosen), rationale="what the table holds")
