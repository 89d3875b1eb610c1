"""What became of every branch that a script proposed, and what a refused one could have reached."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from benchmarks.agent.colleagues.asked import Asked
from benchmarks.agent.colleagues.means import mean_and_se
from benchmarks.agent.colleagues.scripts import Kind
from benchmarks.table.world import World
from search.ledger.record import Record

End = Literal["accepted", "checks", "critic"]


@dataclass(frozen=True, kw_only=True)
class Fate:
    """A proposed branch: its kind, and whether it was accepted or refused, and by whom.

    rows, best: its untried rows when it was proposed and the highest of their test PGRs, None without rows.
    whole: the highest in the space that it words, untried or not, without its fault. found: the highest
    among the rows that its trials trained; None without trials.
    """

    kind: Kind
    end: End
    rows: int
    best: float | None
    whole: float
    found: float | None


def fates(asked: Asked, world: World, record: Record) -> tuple[Fate, ...]:
    """Of all branches of a campaign."""
    found: dict[str, float] = {}
    for trial in record.of_purpose("search"):
        row = world.table.rows[world.points[trial.method.digest].row].method
        found[trial.branch] = max(asked.knowledge.of(row), found.get(trial.branch, -np.inf))
    return tuple(
        Fate(
            kind=said.kind,
            end=_end(name, asked),
            rows=said.reach.rows,
            best=said.reach.best,
            whole=said.idea.best,
            found=found.get(name),
        )
        for name, said in asked.script.said.items()
    )


def _end(name: str, asked: Asked) -> End:
    if name in asked.refused:
        return "critic"
    return "accepted" if name in asked.accepted else "checks"


def by_fate(campaigns: Sequence[Sequence[Fate]]) -> dict[str, Any]:
    """A line for each kind and end: branches of a campaign, their rows, the best PGR in reach and found."""
    groups: dict[str, list[Fate]] = defaultdict(list)
    for fate in (fate for campaign in campaigns for fate in campaign):
        groups[f"{fate.kind}, {fate.end}"].append(fate)
    return {
        name: {
            "branches": round(len(members) / len(campaigns), 2),
            "rows": round(float(np.mean([one.rows for one in members])), 2),
            "best": _mean([one.best for one in members]),
            "whole": _mean([one.whole for one in members]),
            "found": _mean([one.found for one in members]),
        }
        for name, members in sorted(groups.items())
    }


def ahead(campaigns: Sequence[Sequence[Fate]], end: End) -> dict[str, Any] | None:
    """By how much the best PGR in reach of accepted branches is above that of refused ones, by campaign.

    None if no campaign has both. Branches without untried rows are left out.
    """
    gaps = list(_gaps(campaigns, end))
    if not gaps:
        return None
    mean, se = mean_and_se(gaps)
    return {"mean": mean, "se": se, "campaigns": len(gaps)}


def _gaps(campaigns: Sequence[Sequence[Fate]], end: End) -> Iterator[float]:
    for campaign in campaigns:
        accepted, refused = (
            [fate.best for fate in campaign if fate.end == which and fate.best is not None]
            for which in ("accepted", end)
        )
        if accepted and refused:
            yield float(np.mean(accepted) - np.mean(refused))


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return round(float(np.mean(there)), 4) if there else None
