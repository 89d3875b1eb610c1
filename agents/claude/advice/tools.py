"""The tools of a request for draws: what the surrogate believes, and `suggest`, which names a draw."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from agents.advice.beliefs import Belief, Beliefs
from agents.advice.suggestions import Tray
from agents.claude.tools import TOOLS, Tool, ToolContext
from agents.language.naming import method_values
from agents.language.proposal import Branch
from agents.language.suggestion import NamedValue, open_names
from trainers.component import Frozen

MAX_SHOWN = 20
READING = ("list_trials", "show_trial", "show_curves", "show_branch", "compare_branches")


@dataclass(frozen=True, kw_only=True)
class DrawContext(ToolContext):
    """What the tools of a request for draws work on."""

    beliefs: Beliefs
    tray: Tray

    @property
    def tools(self) -> "Mapping[str, Tool]":
        """The tools that may be called."""
        return DRAW_TOOLS


class Outlook(Frozen):
    """Shows what the surrogate expects of random untried methods of a live branch, a line each.

    `best`: those with the highest expected PGR first; `unsure`: those it knows least about.
    """

    branch: str
    order: Literal["best", "unsure"]
    limit: Annotated[int, Field(description=f"at most {MAX_SHOWN}")]


def outlook(context: DrawContext, query: Outlook) -> str:
    """The beliefs about a branch's methods."""
    branch = context.tray.branch(query.branch)
    found = sorted(
        context.beliefs.sampled(branch),
        key=lambda belief: belief.pgr if query.order == "best" else belief.width,
        reverse=True,
    )
    lines = [belief_line(branch, belief) for belief in found[: min(max(1, query.limit), MAX_SHOWN)]]
    return "\n".join(lines) or "every method that was drawn from it has been tried"


class Predict(Frozen):
    """Shows what the surrogate expects of one method: a live branch, a value for all it leaves open."""

    branch: str
    values: tuple[NamedValue, ...]


def predict(context: DrawContext, query: Predict) -> str:
    """The belief about one method."""
    method = context.tray.method(query.branch, query.values)
    [belief] = context.beliefs.of([method])
    return belief_line(context.tray.branch(query.branch), belief)


class Suggest(Frozen):
    """Names a method as a next draw: a live branch, a value for all that it leaves open, and why."""

    branch: str
    values: tuple[NamedValue, ...]
    reason: str


def suggest(context: DrawContext, query: Suggest) -> str:
    """Take the draw."""
    draw = context.tray.add(query.branch, query.values, query.reason)
    [belief] = context.beliefs.of([draw.method])
    line = belief_line(context.tray.branch(query.branch), belief)
    return f"taken, {context.tray.left} more may be named: {line}"


def belief_line(branch: Branch, belief: Belief) -> str:
    """A method by what its branch leaves open, and what is expected of it."""
    values = method_values(belief.method)
    named = ", ".join(f"{name}={_shown(values[name])}" for name in open_names(branch) if name in values)
    return (
        f"PGR {belief.pgr:.3f} ({belief.low:.3f} to {belief.high:.3f}) at {belief.stop:.2f} of its training: "
        f"{named or 'its only method'}"
    )


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def open_space(branches: Sequence[Branch]) -> str:
    """What live branches leave open, a line each."""
    return "\n".join(f"{branch.name}: {', '.join(open_names(branch)) or 'nothing'}" for branch in branches)


_NEW: Mapping[str, tuple[type[Frozen], Callable[[DrawContext, Any], str]]] = {
    "outlook": (Outlook, outlook),
    "predict": (Predict, predict),
    "suggest": (Suggest, suggest),
}
DRAW_TOOLS: Mapping[str, Tool] = {**{name: TOOLS[name] for name in READING}, **_NEW}
