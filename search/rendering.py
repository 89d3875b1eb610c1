"""A proposal as a table that a person can read."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agents.proposal import Branch, Choice, Fixed, Option, Param, Proposal, Range


def proposal_table(proposal: Proposal) -> RenderableType:
    """Every branch with its family, hypothesis and space; nothing in it is read as markup."""
    table = Table(show_lines=True)
    for column in ("branch", "family", "hypothesis", "space"):
        table.add_column(column, overflow="fold")
    for branch in proposal.branches:
        grown = f"\nfrom {branch.parent}" if branch.parent else ""
        table.add_row(
            Text(branch.name + grown), Text(branch.family), Text(branch.hypothesis), Text(_space(branch))
        )
    return Group(table, Text(proposal.rationale))


def _space(branch: Branch) -> str:
    return "\n".join(f"{slot.slot}: {' | '.join(map(_option, slot.options))}" for slot in branch.slots)


def _option(option: Option) -> str:
    params = ", ".join(f"{param.name} {_room(param)}" for param in option.params)
    return f"{option.component}({params})" if params else option.component


def _room(param: Param) -> str:
    match param:
        case Fixed():
            return f"= {param.value}"
        case Choice():
            return "in {" + ", ".join(map(str, param.values)) + "}"
        case Range():
            return f"{param.low:g} to {param.high:g}" + (" (log)" if param.log else "")
