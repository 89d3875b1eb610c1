"""The tables of a campaign as CSV: its branches, its trials, and the learning curves of a branch."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence

from agents.findings.differences import differences
from agents.findings.findings import Findings, TrialFinding
from agents.findings.tasks import on_each

BRANCHES = (
    *("branch", "family", "round", "parent", "has_methods_left"),
    *("trials", "completed", "pruned", "failed"),
    *("best_pgr", "best_se", "best_stop"),
)
TRIALS = (
    *("trial", "branch", "state", "pgr", "se", "stop", "train_s"),
    *("pgr_on_tasks", "balance", "agreement", "steadiness"),
    *("labels_kept", "labels_of_class_1", "labels_predictable", "labels_consistent"),
    *("method", "cause"),
)
CURVES = ("trial", "share", "pgr")


def branches_csv(findings: Findings) -> str:
    """A row for each branch, in the order of their proposal."""
    states: dict[str, Counter[str]] = {}
    for trial in findings.trials:
        states.setdefault(trial.branch, Counter())[trial.state] += 1
    rows = []
    for found in findings.branches:
        branch, count = found.branch, states.get(found.branch.name, Counter())
        best = next(iter(findings.best_trials(branch.name, n=1)), None)
        rows.append(
            (
                branch.name,
                branch.family,
                found.round,
                branch.parent or "",
                "yes" if found.live else "no",
                count.total(),
                *(count[state] for state in ("completed", "pruned", "failed")),
                *((best.pgr, best.se, best.stop) if best else ("", "", "")),
            )
        )
    return _csv(BRANCHES, rows)


def trials_csv(findings: Findings) -> str:
    """A row for each trial, the one with the highest PGR less its standard error first."""
    trials = sorted(findings.trials, key=findings.lower_bound, reverse=True)
    return _csv(TRIALS, (_trial(findings, trial) for trial in trials))


def _trial(findings: Findings, trial: TrialFinding) -> Sequence[object]:
    labels = trial.labels
    shares = (labels.kept, labels.balance, labels.predictable, labels.consistent) if labels else ("",) * 4
    return (
        trial.trial,
        trial.branch,
        trial.state,
        *(trial.pgr, trial.se, trial.stop, trial.train_s),
        on_each(trial),
        *(trial.balance, trial.agreement, trial.steadiness),
        *shares,
        differences(trial.method, findings.naive),
        trial.cause or "",
    )


def curves_csv(findings: Findings, branch: str) -> str:
    """A row for each rung of each trial of a branch."""
    rows = (
        (trial.trial, share, pgr)
        for trial in findings.trials
        if trial.branch == branch
        for share, pgr in trial.curve
    )
    return _csv(CURVES, rows)


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    """Numbers with four digits; a text on one line, so that a row is a line."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return " ".join(value.split()) if isinstance(value, str) else value
