"""The findings that a proposer receives, from the record of a run."""

from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from pathlib import Path

from agents.findings.findings import BranchFinding, Findings, Refusal, TaskFinding, TrialFinding
from agents.findings.predictions import agreement, balance
from agents.findings.tree.campaign import EarlierRun
from search.config.rules import rules
from search.config.schema import RunConfig
from search.engine.compared.naive import naive_search_pgr
from search.ledger.events import BaselinesReady
from search.ledger.record import BranchRecord, Record
from search.ledger.trial_record import TrialRecord
from search.scoring.objective import SAYS
from search.storage.object_store import snapshot
from search.storage.run_directory import RunDirectory
from search.studies.importance import importance
from trainers.data.settings import DatasetTask, ToyTask
from trainers.method import Method
from trainers.models.settings import HubModel, ModelConfig

Results = Sequence[tuple[Method, float]]


def brief(config: RunConfig, record: Record, used_up: Container[str] = ()) -> Findings:
    """Everything a proposer may know for the next round. used_up: branches without new methods."""
    floors = record.baselines
    trials = list(record.of_purpose("search"))
    results = _results(trials)
    return Findings(
        round=record.rounds + 1,
        weak_acc=floors.weak_acc if floors else None,
        weak_se=floors.weak_se if floors else None,
        ceiling_acc=floors.ceiling_acc if floors else None,
        ceiling_se=floors.ceiling_se if floors else None,
        naive=config.naive,
        naive_pgr=naive_search_pgr(config, record),
        abilities=config.abilities,
        branches=tuple(
            _branch(config, branch, results[name], live=name not in used_up)
            for name, branch in record.branches.items()
        ),
        trials=tuple(_trial(config, trial, floors) for trial in trials),
        trials_left=max(0, config.search.trials - len(trials)),
        examples=floors.examples if floors else 0,
        notes=tuple(record.notes),
        refused=tuple(Refusal(round=number, text=text) for number, text in record.refused),
        tasks=tuple(
            TaskFinding(name=task.name, weak_acc=task.weak_acc, ceiling_acc=task.ceiling_acc)
            for task in (floors.tasks if floors else ())
        ),
        objective=SAYS[config.search.objective],
        rules=rules(config),
    )


def _results(trials: Sequence[TrialRecord]) -> defaultdict[str, list[tuple[Method, float]]]:
    """The methods of each branch, with the PGR at their best rung."""
    results = defaultdict[str, list[tuple[Method, float]]](list)
    for trial in trials:
        if trial.best_pgr is not None:
            results[trial.branch].append((trial.method, trial.best_pgr))
    return results


def _branch(config: RunConfig, known: BranchRecord, results: Results, *, live: bool) -> BranchFinding:
    shares = importance(known.branch, config.naive, results)
    return BranchFinding(branch=known.branch, round=known.round, live=live, importance=shares)


def _trial(config: RunConfig, trial: TrialRecord, floors: BaselinesReady | None) -> TrialFinding:
    best, on_tasks = trial.best, trial.best_on_tasks
    return TrialFinding(
        trial=trial.trial,
        branch=trial.branch,
        method=trial.method,
        seed=trial.seed,
        state=trial.state or "running",
        pgr=best.pgr if best else None,
        se=best.se if best else None,
        stop=best.share if best else None,
        curve=tuple((share, rung.pgr) for share, rung in sorted(trial.rungs.items()) if rung.pgr is not None),
        cause=trial.cause,
        train_s=trial.train_s,
        labels=trial.labels,
        predictions=best.predictions if best else None,
        on_tasks=tuple((task, on_tasks[task]) for task in config.searched if task in on_tasks),
        **_signals(trial, floors, config.supervisor(trial.seed)),
    )


def _signals(trial: TrialRecord, floors: BaselinesReady | None, supervisor: int) -> dict[str, float | None]:
    """Statistics of a trial's predictions that need no ground truth. supervisor: who taught it."""
    if floors is None or not floors.examples or trial.best is None:
        return {}
    n, weak = floors.examples, floors.weak_predictions
    *before, last = [
        rung.predictions for share, rung in sorted(trial.rungs.items()) if share <= trial.best.share
    ]
    return {
        "balance": balance(last, n),
        "agreement": agreement(last, weak[supervisor], n) if weak else None,
        "steadiness": agreement(last, before[-1], n) if before else None,
    }


def earlier_runs(places: Iterable[str], now: RunConfig) -> tuple[EarlierRun, ...]:
    """What the proposer of a run may know of earlier ones: their branches and their trials of the search.

    places: directories or URLs. now: the config of the run. Raises ValueError, on one line, for a place
    without a run, and for a run whose scores tell of examples that this search must not see.
    """
    runs = []
    for place in places:
        try:
            with snapshot(place) as path:
                config, record = RunDirectory(path).load()
        except (OSError, ValueError) as error:
            raise ValueError(f"agent.earlier {place}: {error}") from None
        if why := tells_too_much(config, now):
            raise ValueError(f"agent.earlier {place}: {why}, or leave it out")
        texts = "pairs" if config.task.has_pairs else "single texts"
        texts += f" of {len(config.tasks)} tasks" if config.tasks else ""
        about = f"{config.name}, {texts}, {_model(config.weak.model)} to {_model(config.strong.model)}"
        name = place.rstrip("/").rpartition("/")[2]
        runs.append(EarlierRun(name=name, about=about, findings=brief(config, record)))
    return tuple(runs)


def tells_too_much(earlier: RunConfig, now: RunConfig) -> str | None:
    """Why the scores of an earlier run's search may tell of examples that a run keeps from its own.

    None if they tell of none.
    """
    return next(filter(None, (_tells_of_tests(task, now) for task in _tasks(earlier))), None)


def _tells_of_tests(task: DatasetTask | ToyTask, now: RunConfig) -> str | None:
    """Why scores on a task's search split may tell of examples that a run keeps from its search."""
    if _source(task) in [_source(hidden.task) for hidden in now.hidden]:
        return "that run searched on a task that is hidden here; take it out of hidden"
    for mine in _tasks(now):
        if not isinstance(mine, DatasetTask) or task == mine or _source(task) != _source(mine):
            continue
        if mine.test_path is None and mine.test_split is None:
            return (
                "that run cut the same examples otherwise, and its search split may hold some of the test "
                "split of this one; write task as there"
            )
    return None


def _tasks(config: RunConfig) -> list[DatasetTask | ToyTask]:
    """The tasks that a run searches on."""
    return [one.task for one in config.searched.values()]


def _model(model: ModelConfig) -> str:
    return model.path.rstrip("/").rpartition("/")[2] if isinstance(model, HubModel) else f"toy {model.size}"


def _source(task: DatasetTask | ToyTask) -> object:
    """What two tasks share that are made of the same examples, whatever is drawn of them."""
    if isinstance(task, DatasetTask):
        local = Path(task.path).expanduser()
        return str(local.resolve()) if local.exists() else task.path, task.name
    return task.model_dump(exclude={"seed", "splits"})
