"""The findings as text for an agent, stable parts first; its length is bounded however long a campaign is.

`history` only grows at its end, or loses its older half at once, so that a prompt cache can hold it.
`standing` holds what changes: results, failures, trials left.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import get_args

from agents.findings.curves import points, shape
from agents.findings.differences import differences
from agents.findings.findings import BranchFinding, Findings, TrialFinding, TrialState, shown_pgr
from agents.findings.round_proposal import entropy_bits, family_shares
from agents.findings.signals import label_signals, trial_signals
from agents.findings.tasks import on_each, task_lines
from agents.language.proposal import Branch, Choice, Fixed, Option, Param, Range
from trainers.method import Abilities
from trainers.printable import printable

HISTORY_CHARS = 24_000
LINE_CHARS = 600
BEST, NEWEST, BRANCHES, CAUSES = 10, 8, 24, 6


def history(findings: Findings) -> str:
    """Every round's branches, notes and refusals, oldest first; a long history is cut to its newer part."""
    return "".join(history_parts(findings))


def history_parts(findings: Findings) -> list[str]:
    """The history in parts that stay the same: how it begins, then a part a round."""
    rounds = [_round(findings, number) for number in range(1, findings.round)]
    start = first_shown([len(text) for text in rounds])
    head = ["What was proposed so far:", *([_left_out(findings, start)] if start else [])]
    return [f"{line}\n" for line in ("\n".join(head), *(rounds[start:] or ["nothing yet"]))]


def first_shown(sizes: Sequence[int]) -> int:
    """Index of the first round to show, given each round's number of characters.

    A text that outgrows its bound is cut to half of it, so that its beginning seldom changes.
    """
    start = 0
    for end in range(1, len(sizes) + 1):
        if sum(sizes[start:end]) > HISTORY_CHARS:
            while start < end - 1 and sum(sizes[start:end]) > HISTORY_CHARS / 2:
                start += 1
    return start


def standing(findings: Findings) -> str:
    """The state of the campaign: counts, the best and newest trials, branches, failures, families."""
    parts = [
        _counts(findings),
        *_section("Best methods (one seed each)", _trials(findings, findings.best_trials(n=BEST))),
        *_section("Newest trials", _trials(findings, _newest(findings))),
        *_section("Branches", _branches(findings)),
        *_section("Failures", _failures(findings)),
        *_section("Families of all branches proposed", families(findings)),
    ]
    return "\n".join(parts) + "\n"


def space(branch: Branch, between: str = "; ") -> str:
    """The branch's slots and their options, a part per slot; on one line by default."""
    slots = (f"{slot.slot}: {' | '.join(map(_option, slot.options))}" for slot in branch.slots)
    return printable(between.join(slots))


def trial_line(findings: Findings, trial: TrialFinding) -> str:
    """A trial with its result, its method and its process signals, on one line."""
    signals = [
        f"{name} {value:.2f}"
        for name, value in (*trial_signals(trial), *label_signals(trial))
        if value is not None
    ]
    facts = [trial.state, *filter(None, [on_each(trial)]), shape(trial.curve), *signals]
    cause = f"; {_cut(trial.cause, 160)}" if trial.cause else ""
    method = differences(trial.method, findings.naive)
    return _cut(f"{trial.trial} {shown_pgr(trial)} {trial.branch}: {method} [{', '.join(facts)}{cause}]")


def curve_line(trial: TrialFinding) -> str:
    """A trial's learning curve on one line."""
    return _cut(f"{trial.trial} {trial.branch} ({trial.state}): {points(trial.curve)} ({shape(trial.curve)})")


def importance_line(found: BranchFinding) -> str:
    """How much each parameter of a branch decided its PGR, on one line."""
    shares = ", ".join(f"{name} {share:.2f}" for name, share in found.importance)
    return _cut(f"{found.branch.name}: {shares or 'too few trials to tell'}")


def _cut(text: str, most: int = LINE_CHARS) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 3] + "..."


def _section(title: str, lines: Iterator[str]) -> list[str]:
    listed = [f"  {line}" for line in lines]
    return ["", f"{title}:", *listed] if listed else []


def _round(findings: Findings, number: int) -> str:
    lines = [f"Round {number}"]
    lines += [_proposed(found.branch) for found in findings.branches if found.round == number]
    lines += [f"  note of lane {n.lane}: {_cut(n.text)}" for n in findings.notes if n.round == number]
    refused = [refusal for refusal in findings.refused if refusal.round == number]
    lines += [f"  refused: {_cut(refusal.text, 240)}" for refusal in refused[:16]]
    return "\n".join(lines)


def _proposed(branch: Branch) -> str:
    grown = f", from {branch.parent}" if branch.parent else ""
    return "  " + _cut(f"{branch.name} ({branch.family}{grown}): {branch.hypothesis} {space(branch)}", 700)


def _left_out(findings: Findings, start: int) -> str:
    old = [found.branch for found in findings.branches if found.round <= start]
    counts = ", ".join(
        f"{family} {n}" for family, n in Counter(branch.family for branch in old).most_common()
    )
    return f"Rounds 1 to {start}: {len(old)} branches ({counts}); the tools still know them."


def _counts(findings: Findings) -> str:
    states = Counter(trial.state for trial in findings.trials)
    counted = ", ".join(f"{states[state]} {state}" for state in get_args(TrialState))
    return (
        f"Round {findings.round} is to be proposed. Trials: {counted}; {findings.trials_left} left.\n"
        f"{about_task(findings)}"
    )


def about_task(findings: Findings) -> str:
    """Weak floor and ceiling on the search split, which evidence the task has, and what several tasks say."""
    return "\n".join([_floors(findings), signals(findings.abilities), *map(printable, task_lines(findings))])


def _floors(findings: Findings) -> str:
    return (
        f"Weak floor {_accuracy(findings.weak_acc, findings.weak_se)}, "
        f"ceiling {_accuracy(findings.ceiling_acc, findings.ceiling_se)}{_of_naive(findings)}. "
        "PGR is given ± one standard error; another seed alone moves it by 0.06 to 0.10."
    )


def signals(abilities: Abilities) -> str:
    """Which evidence this task has for labels and weights, and which it lacks, in a sentence or two."""
    here = {
        "zero-shot answers": abilities.prior,
        "both orders of pairs": abilities.pairs,
        "a consistent probe": abilities.pairs or abilities.prior,
        "the spread of several weak models": abilities.panel,
    }
    lacking = [name for name, has in here.items() if not has]
    present = ["weak probabilities", "the strong model's features", *(name for name in here if here[name])]
    return f"Evidence here: {', '.join(present)}." + (f" Not here: {', '.join(lacking)}." if lacking else "")


def _of_naive(findings: Findings) -> str:
    return "" if findings.naive_pgr is None else f"; the naive baseline's PGR is {findings.naive_pgr:.2f}"


def _accuracy(value: float | None, se: float | None) -> str:
    return "not trained yet" if value is None or se is None else f"{value:.4f} ± {se:.4f}"


def _trials(findings: Findings, trials: Sequence[TrialFinding]) -> Iterator[str]:
    return (trial_line(findings, trial) for trial in trials)


def _newest(findings: Findings) -> list[TrialFinding]:
    ended = [trial for trial in findings.trials if trial.state != "running"]
    return ended[-NEWEST:]


def _branches(findings: Findings) -> Iterator[str]:
    """A line for each of the best and newest branches, a single line for the others."""
    best = [branch.name for branch in findings.ranked_branches()[: BRANCHES // 2]]
    newest = [found.branch.name for found in findings.branches[-(BRANCHES - len(best)) :]]
    shown = set(best) | set(newest)
    by_branch: dict[str, list[TrialFinding]] = {}
    for trial in findings.trials:
        by_branch.setdefault(trial.branch, []).append(trial)
    for found in findings.branches:
        if found.branch.name in shown:
            yield _branch_line(findings, found, by_branch.get(found.branch.name, []))
    if others := [found for found in findings.branches if found.branch.name not in shown]:
        spent = sum(len(by_branch.get(found.branch.name, [])) for found in others)
        yield f"{len(others)} other branches with {spent} trials did worse than the best of these"


def _branch_line(findings: Findings, found: BranchFinding, mine: Sequence[TrialFinding]) -> str:
    best = findings.best_trials(found.branch.name, n=1)
    states = Counter(trial.state for trial in mine)
    counts = ", ".join(f"{states[state]} {state}" for state in get_args(TrialState) if states[state])
    agreed = [trial.agreement for trial in mine if trial.agreement is not None]
    parts = [
        f"{found.branch.name}{'' if found.live else ' (used up)'}",
        counts or "no trial yet",
        f"best {shown_pgr(best[0])}" if best else "none has a score",
        _pruned(mine),
        f"mean agreement with the supervisor {fmean(agreed):.2f}" if agreed else "",
        *_label_ranges(mine),
        ("what mattered: " + importance_line(found).split(": ", 1)[1]) if found.importance else "",
    ]
    return _cut("; ".join(part for part in parts if part))


def _label_ranges(mine: Sequence[TrialFinding]) -> Iterator[str]:
    """From where to where the shares of the trials' labels go, a part for each sequence of label steps."""
    by_steps: dict[str, list[TrialFinding]] = {}
    for trial in mine:
        if any(label_signals(trial)):
            steps = [step.kind for step in trial.method.label_steps if step.kind != "none"]
            by_steps.setdefault(" > ".join(steps), []).append(trial)
    for named, trials in by_steps.items():
        shares: dict[str, list[float]] = {}
        for trial in trials:
            for name, value in label_signals(trial):
                shares.setdefault(name, []).extend([] if value is None else [value])
        told = [f"{name} {_range(values)}" for name, values in shares.items() if values]
        yield f"by {named}: {', '.join(told)}"


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low} to {high}"


def _pruned(mine: Sequence[TrialFinding]) -> str:
    """At which shares trials were not trained further and why, and the best PGR among them."""
    pruned = [trial for trial in mine if trial.state == "pruned" and trial.curve]
    if not pruned:
        return ""
    shares = Counter(f"{trial.curve[-1][0]:.2f}" for trial in pruned)
    where = ", ".join(f"{n} at {share}" for share, n in sorted(shares.items()))
    whys = Counter((trial.cause or "").partition(": ")[2].partition(" (")[0] for trial in pruned)
    why = ", ".join(f"{n} x {reason}" for reason, n in whys.most_common(CAUSES) if reason)
    best = max(pgr for trial in pruned for _, pgr in trial.curve)
    return f"not trained further: {where}, the best of them at {best:.2f}" + (f" ({why})" if why else "")


def _failures(findings: Findings) -> Iterator[str]:
    failed = [trial for trial in findings.trials if trial.state == "failed"]
    causes = Counter(_cut(trial.cause or "unknown", 200) for trial in failed)
    for cause, times in causes.most_common(CAUSES):
        where = sorted({t.branch for t in failed if _cut(t.cause or "unknown", 200) == cause})
        yield _cut(f"{times} x {cause} (in {', '.join(where[:4])})")


def families(findings: Findings) -> Iterator[str]:
    """The shares of families among all branches and their entropy, in a line; nothing without branches."""
    if findings.branches:
        shares = family_shares([found.branch for found in findings.branches])
        listed = ", ".join(f"{family} {share:.0%}" for family, share in shares.items())
        yield f"{listed}; entropy {entropy_bits(list(shares.values())):.2f} bits"


def _option(option: Option) -> str:
    params = ", ".join(map(_space_of, option.params))
    return f"{option.component}({params})" if params else option.component


def _space_of(param: Param) -> str:
    match param:
        case Fixed():
            return f"{param.name} = {param.value}"
        case Choice():
            return f"{param.name} in {{{', '.join(map(str, param.values))}}}"
        case Range():
            return f"{param.name} {param.low:g} to {param.high:g}" + (" (log)" if param.log else "")
