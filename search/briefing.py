"""The record of a run, told to a proposer."""

from collections.abc import Container

from agents.findings import BranchFinding, Findings, TrialFinding
from search.config import RunConfig
from search.record import Record, TrialRecord


def brief(config: RunConfig, record: Record, used_up: Container[str] = ()) -> Findings:
    """Everything a proposer may know when the next round is due; used_up: branches without new methods."""
    floors = record.baselines
    trials = list(record.of_purpose("search"))
    return Findings(
        round=record.rounds + 1,
        weak_acc=floors.weak_acc if floors else None,
        weak_se=floors.weak_se if floors else None,
        ceiling_acc=floors.ceiling_acc if floors else None,
        ceiling_se=floors.ceiling_se if floors else None,
        naive=config.naive,
        abilities=config.abilities,
        branches=tuple(
            BranchFinding(branch=one.branch, round=one.round, live=name not in used_up)
            for name, one in record.branches.items()
        ),
        trials=tuple(_trial(trial) for trial in trials),
        trials_left=max(0, config.search.trials - len(trials)),
    )


def _trial(trial: TrialRecord) -> TrialFinding:
    last = trial.last
    return TrialFinding(
        trial=trial.trial,
        branch=trial.branch,
        method=trial.method,
        seed=trial.seed,
        state=trial.state or "running",
        pgr=last.pgr if last else None,
        se=last.se if last else None,
        curve=tuple((share, rung.pgr) for share, rung in sorted(trial.rungs.items()) if rung.pgr is not None),
        cause=trial.cause,
        train_s=trial.train_s,
    )
