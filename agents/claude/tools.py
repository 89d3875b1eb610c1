"""The tools of an agent: read-only, typed, with bounded output. Only `note` changes anything.

A tool is a frozen model of its input, whose docstring the agent reads, next to the function that runs it;
`TOOLS` at the end lists them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from agents.claude.library.browsing import (
    ListFiles,
    ReadFile,
    SearchFiles,
    list_files,
    read_file,
    search_files,
)
from agents.claude.library.web import SearchWeb, WebSearch
from agents.findings.digest import curve_line, importance_line, space, trial_line
from agents.findings.findings import BranchFinding, Findings, TrialFinding, TrialState
from agents.findings.notebook import Notebook
from agents.findings.predictions import agreement, paired_se
from agents.findings.tree.tree import Tree
from agents.language.proposal import strict_schema
from trainers.component import Frozen
from trainers.method import SLOTS
from trainers.printable import printable

MAX_CHARS = 6000
MAX_LINES = 40
COMPARED = 3  # best trials of a branch
NO_FILES = Tree({})


@dataclass(frozen=True, kw_only=True)
class ToolContext:
    """What a tool works on: findings, also as files, notes, the lane that calls it, the web or None."""

    findings: Findings
    notebook: Notebook
    lane: str
    tree: Tree = NO_FILES
    web: WebSearch | None = None

    @property
    def tools(self) -> "Mapping[str, Tool]":
        """The tools that may be called."""
        return TOOLS | WEB_TOOLS if self.web else TOOLS


class ListTrials(Frozen):
    """Lists trials, a line each. A filter that is null is left out; `component` is a name such as logconf."""

    branch: str | None
    state: TrialState | None
    component: str | None
    min_pgr: float | None
    order: Literal["best", "newest"]
    limit: Annotated[int, Field(description=f"at most {MAX_LINES}")]


def list_trials(context: ToolContext, query: ListTrials) -> str:
    """The trials that pass the filter."""
    found = [trial for trial in context.findings.trials if _passes(trial, query)]
    if query.order == "best":
        found.sort(key=context.findings.lower_bound, reverse=True)
    else:
        found.reverse()
    return _lines(
        [trial_line(context.findings, trial) for trial in found],
        min(max(1, query.limit), MAX_LINES),
        "no trial",
    )


def _passes(trial: TrialFinding, query: ListTrials) -> bool:
    kinds = {getattr(trial.method, slot).kind for slot in SLOTS}
    return (
        query.branch in (None, trial.branch)
        and query.state in (None, trial.state)
        and (query.component is None or query.component in kinds)
        and (query.min_pgr is None or (trial.pgr is not None and trial.pgr >= query.min_pgr))
    )


class ShowTrial(Frozen):
    """Shows one trial in full: its method, its curve, how it ended, its process signals."""

    trial: str


def show_trial(context: ToolContext, query: ShowTrial) -> str:
    """One trial with every field except its predictions."""
    found = [trial for trial in context.findings.trials if trial.trial == query.trial]
    if not found:
        raise ValueError(f"there is no trial {query.trial[:40]!r}; list_trials shows which there are")
    return f"{trial_line(context.findings, found[0])}\n" + found[0].model_dump_json(
        indent=1, exclude={"predictions"}
    )


class CompareBranches(Frozen):
    """Compares the best trials of two branches: difference in PGR, with its error on one task, by example."""

    first: str
    second: str


def compare_branches(context: ToolContext, query: CompareBranches) -> str:
    """The PGR of the first branch's best trials minus that of the second's."""
    sides = [_best(context, name) for name in (query.first, query.second)]
    means = [fmean(trial.pgr for trial in side if trial.pgr is not None) for side in sides]
    lines = [
        f"{name}: mean PGR {mean:.3f} of its best {len(side)} trials"
        for name, mean, side in zip((query.first, query.second), means, sides, strict=True)
    ]
    packed = [[trial.predictions for trial in side if trial.predictions] for side in sides]
    gap, n = context.findings.gap, context.findings.examples
    difference = means[0] - means[1]
    if context.findings.tasks:  # an example counts by its task there, which is not known here
        lines.append(f"difference {difference:+.3f}; over several tasks no error of it is told")
    elif gap and n and all(len(p) == len(s) for p, s in zip(packed, sides, strict=True)):
        se = paired_se(packed[0], packed[1], difference * gap, n) / gap
        same = fmean(agreement(a, b, n) for a in packed[0] for b in packed[1])
        lines += [
            f"difference {difference:+.3f} ± {se:.3f} (one standard error, over examples, paired; all trials "
            "have one seed, and the spread between seeds comes on top)",
            f"the two sides predict the same on {same:.2f} of the examples",
        ]
    return "\n".join(lines)


def _best(context: ToolContext, branch: str) -> Sequence[TrialFinding]:
    _branch(context, branch)
    best = context.findings.best_trials(branch, n=COMPARED)
    if not best:
        raise ValueError(f"the branch {branch} has no trial with a score to compare")
    return best


class ShowCurves(Frozen):
    """Shows the learning curves of a branch's trials, the best first: PGR at each rung and its shape."""

    branch: str


def show_curves(context: ToolContext, query: ShowCurves) -> str:
    """The curves of one branch."""
    _branch(context, query.branch)
    mine = [trial for trial in context.findings.trials if trial.branch == query.branch and trial.curve]
    mine.sort(key=context.findings.lower_bound, reverse=True)
    return _lines([curve_line(trial) for trial in mine], MAX_LINES, "no trial of it has reached a rung")


class ShowBranch(Frozen):
    """Shows a branch: its hypothesis, its space, how much each of its parameters decided PGR."""

    branch: str


def show_branch(context: ToolContext, query: ShowBranch) -> str:
    """One branch with its parameters' importance."""
    found = _branch(context, query.branch)
    branch = found.branch
    live = "has methods left" if found.live else "used up"
    return (
        f"{branch.name}, {branch.family}, round {found.round}, {live}, from {branch.parent or 'nothing'}\n"
        f"{branch.hypothesis}\n{space(branch)}\nimportance: {importance_line(found)}"
    )


class ReadNotes(Frozen):
    """Reads the notes that lanes have left, newest first; `round` null for those of all rounds."""

    round: int | None


def read_notes(context: ToolContext, query: ReadNotes) -> str:
    """The notes, a line each."""
    notes = [note for note in context.notebook.all if query.round in (None, note.round)]
    return _lines(
        [f"round {note.round}, lane {note.lane}: {note.text}" for note in reversed(notes)],
        MAX_LINES,
        "no note",
    )


class LeaveNote(Frozen):
    """Leaves a finding for later rounds and for the other lanes: a sentence or two, what and how sure."""

    text: str


def leave_note(context: ToolContext, query: LeaveNote) -> str:
    """Keep the note."""
    context.notebook.add(context.lane, query.text)
    return "noted"


def _branch(context: ToolContext, name: str) -> BranchFinding:
    for found in context.findings.branches:
        if found.branch.name == name:
            return found
    raise ValueError(f"there is no branch {name[:60]!r}")


def _lines(lines: Sequence[str], most: int, none: str) -> str:
    shown = list(lines[:most])
    if len(lines) > len(shown):
        shown.append(f"... and {len(lines) - len(shown)} more; narrow the filter to see them")
    return "\n".join(shown) or none


def run_tool(context: ToolContext, name: str, arguments: Any) -> tuple[str, bool]:
    """Run a tool: returns its text, at most 6,000 characters, and whether the call was invalid."""
    if name not in context.tools:
        return f"there is no tool {name[:60]!r}; there are {', '.join(context.tools)}", True
    model, function = context.tools[name]
    try:
        text = printable(function(context, model.model_validate(arguments)))
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, detail['loc']))[:80] or name}: {detail['msg']}"[:400], True
    except ValueError as error:
        return str(error)[:400], True
    return (text if len(text) <= MAX_CHARS else text[:MAX_CHARS] + "\n... cut; ask for less"), False


def declarations(tools: "Mapping[str, Tool] | None" = None) -> list[dict[str, Any]]:
    """The tools, by default those that are always there, in the API's format, with strict schemas."""
    return [
        {
            "name": name,
            "description": " ".join((model.__doc__ or "").split()),
            "strict": True,
            "input_schema": _schema(model),
        }
        for name, (model, _) in (TOOLS if tools is None else tools).items()
    ]


def _schema(model: type[Frozen]) -> dict[str, Any]:
    return {key: value for key, value in strict_schema(model).items() if key != "description"}


def search_web(context: ToolContext, query: SearchWeb) -> str:
    """What the web says."""
    assert context.web is not None
    return context.web.ask(query)


Tool = tuple[type[Frozen], Callable[[Any, Any], str]]
WEB_TOOLS: dict[str, Tool] = {"search_web": (SearchWeb, search_web)}
TOOLS: dict[str, Tool] = {
    "list_trials": (ListTrials, list_trials),
    "show_trial": (ShowTrial, show_trial),
    "compare_branches": (CompareBranches, compare_branches),
    "show_curves": (ShowCurves, show_curves),
    "show_branch": (ShowBranch, show_branch),
    "read_notes": (ReadNotes, read_notes),
    "note": (LeaveNote, leave_note),
    "list_files": (ListFiles, lambda context, query: list_files(context.tree, query)),
    "read_file": (ReadFile, lambda context, query: read_file(context.tree, query)),
    "search_files": (SearchFiles, lambda context, query: search_files(context.tree, query)),
}
