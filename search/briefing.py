"""The record of a run, told to a proposer."""

from agents.findings import BranchFinding, Findings, TrialFinding
from search.config import RunConfig
from search.record import Record, TrialRecord


def brief(config: RunConfig, record: Record) -> Findings:
    """Everything a proposer may know when the next round is due."""
    assert record.baselines is not None
    trials = list(record.of_purpose("search"))
    return Findings(
        round=record.rounds + 1,
        weak_acc=record.baselines.weak_acc,
        weak_se=record.baselines.weak_se,
        ceiling_acc=record.baselines.ceiling_acc,
        ceiling_se=record.baselines.ceiling_se,
        naive=config.naive,
        branches=tuple(
            BranchFinding(branch=one.branch, round=one.round, live=True) for one in record.branches.values()
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
