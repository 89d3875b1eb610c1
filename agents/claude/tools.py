"""What an agent can look up before it speaks: read-only, typed, bounded. Only `note` leaves anything behind.

A tool is a frozen model of its input, whose docstring the agent reads, next to the function that answers;
`TOOLS` at the end lists them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from agents.findings.digest import curve_line, importance_line, space, trial_line
from agents.findings.findings import BranchFinding, Findings, TrialFinding, TrialState
from agents.findings.notebook import Notebook
from agents.findings.predictions import agreement, paired_se
from agents.language.proposal import strict_schema
from trainers.component import Frozen
from trainers.method import SLOTS

MAX_CHARS = 6000
MAX_LINES = 40
COMPARED = 3  # best completed trials of a branch


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What a tool may look at: the findings, the notes, and whose desk it is."""

    findings: Findings
    notebook: Notebook
    lane: str


class ListTrials(Frozen):
    """Lists trials, a line each. A filter that is null is left out; `component` is a name such as logconf."""

    branch: str | None
    state: TrialState | None
    component: str | None
    min_pgr: float | None
    order: Literal["best", "newest"]
    limit: Annotated[int, Field(description=f"at most {MAX_LINES}")]


def list_trials(desk: Desk, asked: ListTrials) -> str:
    """The trials that pass the filter."""
    found = [trial for trial in desk.findings.trials if _passes(trial, asked)]
    if asked.order == "best":
        found.sort(key=desk.findings.lower_bound, reverse=True)
    else:
        found.reverse()
    return _lines(
        [trial_line(desk.findings, trial) for trial in found], min(max(1, asked.limit), MAX_LINES), "no trial"
    )


def _passes(trial: TrialFinding, asked: ListTrials) -> bool:
    kinds = {getattr(trial.method, slot).kind for slot in SLOTS}
    return (
        asked.branch in (None, trial.branch)
        and asked.state in (None, trial.state)
        and (asked.component is None or asked.component in kinds)
        and (asked.min_pgr is None or (trial.pgr is not None and trial.pgr >= asked.min_pgr))
    )


class ShowTrial(Frozen):
    """Shows one trial in full: its method, its curve, how it ended, its process signals."""

    trial: str


def show_trial(desk: Desk, asked: ShowTrial) -> str:
    """One trial, every field but its predictions."""
    found = [trial for trial in desk.findings.trials if trial.trial == asked.trial]
    if not found:
        raise ValueError(f"there is no trial {asked.trial[:40]!r}; list_trials shows which there are")
    return f"{trial_line(desk.findings, found[0])}\n" + found[0].model_dump_json(
        indent=1, exclude={"predictions"}
    )


class CompareBranches(Frozen):
    """Compares the best trials of two branches: difference in PGR with its error, paired by example."""

    first: str
    second: str


def compare_branches(desk: Desk, asked: CompareBranches) -> str:
    """PGR of the first branch's best trials minus the second's."""
    sides = [_best(desk, name) for name in (asked.first, asked.second)]
    means = [fmean(trial.pgr for trial in side if trial.pgr is not None) for side in sides]
    lines = [
        f"{name}: mean PGR {mean:.3f} of its best {len(side)} completed trials"
        for name, mean, side in zip((asked.first, asked.second), means, sides, strict=True)
    ]
    packed = [[trial.predictions for trial in side if trial.predictions] for side in sides]
    gap, n = desk.findings.gap, desk.findings.examples
    if gap and n and all(len(p) == len(s) for p, s in zip(packed, sides, strict=True)):
        difference = means[0] - means[1]
        se = paired_se(packed[0], packed[1], difference * gap, n) / gap
        same = fmean(agreement(a, b, n) for a in packed[0] for b in packed[1])
        lines += [
            f"difference {difference:+.3f} ± {se:.3f} (one standard error, over examples, paired; all trials "
            "have one seed, and the spread between seeds comes on top)",
            f"the two sides predict the same on {same:.2f} of the examples",
        ]
    return "\n".join(lines)


def _best(desk: Desk, branch: str) -> Sequence[TrialFinding]:
    _branch(desk, branch)
    best = desk.findings.best_trials(branch, n=COMPARED)
    if not best:
        raise ValueError(f"the branch {branch} has no completed trial to compare")
    return best


class ShowCurves(Frozen):
    """Shows the learning curves of a branch's trials, the best first: PGR at each rung and its shape."""

    branch: str


def show_curves(desk: Desk, asked: ShowCurves) -> str:
    """The curves of one branch."""
    _branch(desk, asked.branch)
    mine = [trial for trial in desk.findings.trials if trial.branch == asked.branch and trial.curve]
    mine.sort(key=desk.findings.lower_bound, reverse=True)
    return _lines([curve_line(trial) for trial in mine], MAX_LINES, "no trial of it has reached a rung")


class ShowBranch(Frozen):
    """Shows a branch: its hypothesis, its space, how much each of its parameters decided PGR."""

    branch: str


def show_branch(desk: Desk, asked: ShowBranch) -> str:
    """One branch with its parameters' importance."""
    found = _branch(desk, asked.branch)
    branch = found.branch
    live = "has methods left" if found.live else "used up"
    return (
        f"{branch.name}, {branch.family}, round {found.round}, {live}, from {branch.parent or 'nothing'}\n"
        f"{branch.hypothesis}\n{space(branch)}\nimportance: {importance_line(found)}"
    )


class ReadNotes(Frozen):
    """Reads the notes that lanes have left, newest first; `round` null for those of all rounds."""

    round: int | None


def read_notes(desk: Desk, asked: ReadNotes) -> str:
    """The notes, a line each."""
    notes = [note for note in desk.notebook.all if asked.round in (None, note.round)]
    return _lines(
        [f"round {note.round}, lane {note.lane}: {note.text}" for note in reversed(notes)],
        MAX_LINES,
        "no note",
    )


class LeaveNote(Frozen):
    """Leaves a finding for later rounds and for the other lanes: a sentence or two, what and how sure."""

    text: str


def leave_note(desk: Desk, asked: LeaveNote) -> str:
    """Keep the note."""
    desk.notebook.add(desk.lane, asked.text)
    return "noted"


def _branch(desk: Desk, name: str) -> BranchFinding:
    for found in desk.findings.branches:
        if found.branch.name == name:
            return found
    raise ValueError(f"there is no branch {name[:60]!r}")


def _lines(lines: Sequence[str], most: int, none: str) -> str:
    shown = list(lines[:most])
    if len(lines) > len(shown):
        shown.append(f"... and {len(lines) - len(shown)} more; narrow the filter to see them")
    return "\n".join(shown) or none


def answer(desk: Desk, name: str, given: Any) -> tuple[str, bool]:
    """A tool's answer, at most 6,000 characters, and whether it is a complaint about what was asked."""
    if name not in TOOLS:
        return f"there is no tool {name[:60]!r}; there are {', '.join(TOOLS)}", True
    model, function = TOOLS[name]
    try:
        text = function(desk, model.model_validate(given))
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, detail['loc']))[:80] or name}: {detail['msg']}"[:400], True
    except ValueError as error:
        return str(error)[:400], True
    return (text if len(text) <= MAX_CHARS else text[:MAX_CHARS] + "\n... cut; ask for less"), False


def declarations() -> list[dict[str, Any]]:
    """The tools as the API takes them, with strict schemas."""
    return [
        {
            "name": name,
            "description": " ".join((model.__doc__ or "").split()),
            "strict": True,
            "input_schema": _schema(model),
        }
        for name, (model, _) in TOOLS.items()
    ]


def _schema(model: type[Frozen]) -> dict[str, Any]:
    return {key: value for key, value in strict_schema(model).items() if key != "description"}


TOOLS: Mapping[str, tuple[type[Frozen], Callable[[Desk, Any], str]]] = {
    "list_trials": (ListTrials, list_trials),
    "show_trial": (ShowTrial, show_trial),
    "compare_branches": (CompareBranches, compare_branches),
    "show_curves": (ShowCurves, show_curves),
    "show_branch": (ShowBranch, show_branch),
    "read_notes": (ReadNotes, read_notes),
    "note": (LeaveNote, leave_note),
}
