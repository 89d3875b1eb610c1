"""A proposal as a table for the terminal."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agents.findings.digest import space
from agents.findings.round_proposal import LaneReport
from agents.findings.usage import Usage
from agents.language.proposal import Proposal


def proposal_table(proposal: Proposal) -> RenderableType:
    """Every branch with its family, hypothesis and space; the texts are not parsed as markup."""
    table = Table(show_lines=True)
    for column in ("branch", "family", "hypothesis", "space"):
        table.add_column(column, overflow="fold")
    for branch in proposal.branches:
        grown = f"\nfrom {branch.parent}" if branch.parent else ""
        table.add_row(
            Text(branch.name + grown),
            Text(branch.family),
            Text(branch.hypothesis),
            Text(space(branch, between="\n")),
        )
    return Group(table, Text(proposal.rationale))


def cost_table(lanes: Sequence[LaneReport]) -> RenderableType:
    """Each lane's proposer, tokens and dollars, and why a lane has no proposal."""
    table = Table()
    for column in ("lane", "by", "branches", "input tokens", "of them cached", "output tokens", "dollars"):
        table.add_column(column, justify="left" if column in ("lane", "by") else "right")
    for lane in lanes:
        by = f"{lane.source} ({lane.model})" if lane.model else lane.source
        table.add_row(Text(lane.lane), Text(by), str(len(lane.branches)), *_usage_cells(lane.usage))
    if len(lanes) > 1:
        total = sum((lane.usage for lane in lanes), Usage())
        table.add_row("all", "", str(sum(len(lane.branches) for lane in lanes)), *_usage_cells(total))
    reasons = [Text(f"lane {lane.lane}: {lane.why}", style="yellow") for lane in lanes if lane.why]
    declined = [
        Text(f"lane {lane.lane}: {refusal}", style="yellow") for lane in lanes for refusal in lane.refusals
    ]
    return Group(table, *declined, *reasons)


def _usage_cells(usage: Usage) -> tuple[str, str, str, str]:
    return (
        f"{usage.all_input_tokens:,}",
        f"{usage.cache_read_tokens:,}",
        f"{usage.output_tokens:,}",
        f"{usage.usd:.4f}",
    )
