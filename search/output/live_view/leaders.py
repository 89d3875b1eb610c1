"""The best methods of a search so far, and the branches that it has let go."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import fmean

from search.config.schema import RunConfig
from search.engine.replication import Bounds, Standing, at_most_per_kind, standings
from search.ledger.record import Record


@dataclass(frozen=True, kw_only=True)
class Leader:
    """A method. stop: the share that it trains.

    pgr, lower: the mean over its seeds, without what a seed does to all methods, and its lower bound.
    on_tasks: of several searched tasks, its mean PGR on each over the same seeds, as it was measured.
    """

    trial: str
    branch: str
    pgr: float
    lower: float
    seeds: int
    stop: float
    on_tasks: dict[str, float] = field(default_factory=dict)


def leaders(config: RunConfig, record: Record, count: int = 3) -> list[Leader]:
    """The methods with the highest lower bounds on PGR, no two of a kind, as finalists are chosen."""
    methods = standings(config, record)
    bounds = Bounds(config, methods, record.baselines)
    found = {
        id(method): both
        for method, both in zip(methods, zip(bounds.means, bounds.lower, strict=True), strict=True)
    }
    return [
        Leader(
            trial=method.trial.trial,
            branch=method.trial.branch,
            pgr=found[id(method)][0],
            lower=found[id(method)][1],
            seeds=len(method.pgrs),
            stop=method.method.optim.stop,
            on_tasks=_on_tasks(config, record, method),
        )
        for method in at_most_per_kind(bounds.ranked(), count, 1)
    ]


def _on_tasks(config: RunConfig, record: Record, method: Standing) -> dict[str, float]:
    """A method's mean PGR on each searched task, over the seeds that its standing counts."""
    if not config.tasks:
        return {}
    seeds = (method.trial.seed, *config.replication_seeds())[: len(method.pgrs)]
    digest, by_seed = method.method.digest, dict[int, dict[str, float]]()
    for trial in record.trials.values():
        graded = trial.best is not None and trial.best_on_tasks
        if graded and trial.seed in seeds and trial.best_method.digest == digest:
            by_seed.setdefault(trial.seed, trial.best_on_tasks)
    found = [by_seed[seed] for seed in seeds if seed in by_seed]
    return {task: fmean(pgrs[task] for pgrs in found) for task in config.searched} if found else {}


@dataclass(frozen=True, kw_only=True)
class LetGo:
    """A branch none of whose trials goes on. why: stopped by a person, pruned or failed.

    best: the best PGR that it showed, None without a score. at: the share of the training where it did.
    """

    branch: str
    trials: int
    why: str
    best: float | None
    at: float | None


def let_go(record: Record) -> Iterator[LetGo]:
    """The branches that a person stopped, or of which no trial was trained to its end; the latest first."""
    for name, branch in reversed(record.branches.items()):
        tally = record.tally("search", name)
        done = tally.started and not tally.running and not tally.ended["completed"]
        if branch.stopped or done:
            rung = tally.best.best if tally.best else None
            yield LetGo(
                branch=name,
                trials=tally.started,
                why="stopped" if branch.stopped else "pruned" if tally.ended["pruned"] else "failed",
                best=rung.pgr if rung else None,
                at=rung.share if rung else None,
            )
