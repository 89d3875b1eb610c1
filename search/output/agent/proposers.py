"""Who proposed in which round, what it cost, and which models declined: the agent's part of an outcome."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from agents.findings.bill import LaneId
from agents.findings.round_proposal import LaneReport, entropy_bits, family_shares
from agents.findings.usage import Usage
from search.ledger.record import Record

BY_AN_AGENT = ("claude", "replay")  # sources of branches that the built-in playbook did not write


def agent_row(record: Record) -> dict[str, Any]:
    """The proposers' part of result.json.

    rounds: see `round_rows`. families: each family's share of all branches; entropy_bits: the entropy of
    these shares. draws: trials of the search that the agent named within a round. budget_spent: whether the
    budget ran out, so that the playbook proposed instead.
    """
    shares = family_shares([found.branch for found in record.branches.values()])
    return {
        "rounds": round_rows(record),
        "lanes": lane_rows(record),
        "families": shares,
        "entropy_bits": entropy_bits(list(shares.values())),
        "draws": record.agent_draws,
        "budget_spent": any(lane.budget_spent for lane in record.lanes.values()),
    }


def round_rows(record: Record) -> list[dict[str, Any]]:
    """Who proposed, for each round in which an agent was asked; empty where none ever was.

    by: whose branches the round has: claude, replay or playbook; empty where nobody's came in time. models:
    those that wrote them. refusals: how many answers models declined in the round, by category.
    """
    rounds: dict[int, list[LaneReport]] = defaultdict(list)
    for (number, _), lane in record.lanes.items():
        rounds[number].append(lane)
    return [
        {
            "round": number,
            "by": sorted({lane.source for lane in lanes if lane.branches}),
            "models": sorted({lane.model for lane in lanes if lane.branches and lane.model}),
            "refusals": dict(
                Counter(refusal.category or "no category" for lane in lanes for refusal in lane.refusals)
            ),
            "why": next((lane.why for lane in lanes if lane.why), None),
        }
        for number, lanes in sorted(rounds.items())
    ]


def lane_rows(record: Record) -> list[dict[str, Any]]:
    """A row for each lane of each round that left a report: its branches, tokens and dollars."""
    used = _usage_by_lane(record)
    return [
        {
            "round": number,
            "lane": lane.lane,
            "source": lane.source,
            "model": lane.model,
            "branches": len(lane.branches),
            "refused": len(lane.refused),
            "refusals": [refusal.model_dump() for refusal in lane.refusals],
            "reviews": [review.model_dump() for review in lane.reviews],
            "why": lane.why,
            "usd": used[number, name].usd,
            "input_tokens": used[number, name].all_input_tokens,
            "cache_read_tokens": used[number, name].cache_read_tokens,
            "cache_write_tokens": used[number, name].cache_write_tokens,
            "output_tokens": used[number, name].output_tokens,
        }
        for (number, name), lane in record.lanes.items()
    ]


def not_the_agents(agent: Mapping[str, Any]) -> str:
    """A sentence where an agent was asked and no round is its own; empty otherwise. agent: of result.json."""
    rounds = [row for row in agent.get("rounds", ()) if row["by"]]
    if not rounds or any(source in BY_AN_AGENT for row in rounds for source in row["by"]):
        return ""
    refusals = sum((Counter(row["refusals"]) for row in rounds), Counter[str]())
    declined = ", ".join(f"{category} {count}" for category, count in refusals.most_common())
    why = f"its models declined to answer ({declined})" if declined else rounds[0]["why"]
    reason = f": {why}" if why else ""
    return f"No round of this run was the agent's; the playbook proposed all {len(rounds)}{reason}."


def asked_usage(record: Record) -> Usage:
    """Tokens and dollars of all rounds and lanes so far, requests in flight included."""
    return sum(_usage_by_lane(record).values(), Usage())


def _usage_by_lane(record: Record) -> dict[LaneId, Usage]:
    """From the bill; from lanes' reports where a ledger of an earlier version has no bill."""
    return {key: lane.usage for key, lane in record.lanes.items()} | record.bill.by_lane()
