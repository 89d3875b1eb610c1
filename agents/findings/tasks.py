"""Several searched tasks, for a proposer: what they are, and where methods agree on them and where not."""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from agents.findings.findings import Findings, TrialFinding

Reals = NDArray[np.float64]

FEWEST = 8  # trials on all tasks: the rank correlation of fewer says next to nothing


def task_lines(findings: Findings) -> Iterator[str]:
    """What a proposer should know of several tasks, a sentence a line; nothing where there is one."""
    if not findings.tasks:
        return
    floors = (f"{one.name} from {one.weak_acc:.3f} to {one.ceiling_acc:.3f}" for one in findings.tasks)
    yield (
        f"A trial learns {len(findings.tasks)} tasks, with weak floor and ceiling of {', '.join(floors)}; "
        f"its PGR over all of them is {findings.objective}."
    )
    names = [one.name for one in findings.tasks]
    trials = [trial for trial in findings.trials if len(trial.on_tasks) == len(names)]
    if len(trials) >= FEWEST:
        pgrs = np.array([[dict(trial.on_tasks)[name] for name in names] for trial in trials])
        yield f"{_agreement(names, pgrs)}; {_apart(names, trials, pgrs)}."


def on_each(trial: TrialFinding) -> str:
    """A trial's PGR on each task as "a 0.42, b 0.10"; empty where there is one task."""
    return ", ".join(f"{name} {pgr:.2f}" for name, pgr in trial.on_tasks)


def rank_correlation(first: Reals, second: Reals) -> float:
    """Spearman's, with mean ranks for ties; 0 where either does not vary.

    first, second: [n] scores of the same methods.
    """
    a, b = (ranks - ranks.mean() for ranks in (_ranks(first), _ranks(second)))
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale else 0.0


def _ranks(values: Reals) -> Reals:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[places]


def _agreement(names: Sequence[str], pgrs: Reals) -> str:
    """How far the tasks rank methods alike. pgrs: [trials, tasks]."""
    pairs = {(a, b): rank_correlation(pgrs[:, a], pgrs[:, b]) for a, b in combinations(range(len(names)), 2)}
    said = f"Over {len(pgrs)} trials on all tasks, the rank correlation of methods between "
    if len(pairs) == 1:
        return f"{said}{names[0]} and {names[1]} is {pairs[0, 1]:.2f}"
    least, most = min(pairs, key=pairs.__getitem__), max(pairs, key=pairs.__getitem__)
    (a, b), (c, d) = least, most
    return (
        f"{said}two tasks is {np.mean(list(pairs.values())):.2f} on average, highest between {names[c]} and "
        f"{names[d]} ({pairs[most]:.2f}), lowest between {names[a]} and {names[b]} ({pairs[least]:.2f})"
    )


def _apart(names: Sequence[str], trials: Sequence[TrialFinding], pgrs: Reals) -> str:
    """The trial that does most differently on two tasks, beside what all trials do there."""
    beside = pgrs - pgrs.mean(axis=0)
    trial = int(np.argmax(np.ptp(beside, axis=1)))
    high, low = int(np.argmax(beside[trial])), int(np.argmin(beside[trial]))
    return (
        f"most apart is {trials[trial].trial} of {trials[trial].branch}, {beside[trial, high]:+.2f} beside "
        f"the mean trial on {names[high]} and {beside[trial, low]:+.2f} on {names[low]}"
    )
