"""A whole run: baselines, rounds, confirmation, outcome."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import numpy as np
from rich.console import Console

from agents.findings.predictions import pack
from cluster.runtime import ray_runtime
from search.conclusion import Conclusion, SealedTest
from search.config.schema import RunConfig
from search.engine.account import LedgerAccount
from search.engine.confirmation import sealed_predictions
from search.engine.context import RunContext
from search.engine.director import Director
from search.engine.proposers import new_proposer
from search.interrupt import interruptible
from search.ledger.earlier import EarlierScored
from search.ledger.events import BaselinesReady, Interrupted, Sources, TaskBaselines, now
from search.ledger.log import Ledger
from search.ledger.record import Record
from search.output.live_view.view import View
from search.phases import Phases, Searched, prepare_with_progress, trials_together
from search.policy.rungs import merged_rungs
from search.preflight.earlier_scores import scores_of_runs
from search.scoring.across_tasks import scores_over_tasks
from search.scoring.grader import BaselineScores
from search.scoring.several_tasks import SeveralTasks
from search.storage.openings import Registry
from search.storage.run_directory import RunDirectory
from search.studies.storage import require_database
from search.tracking.launcher import Tracking
from search.workers.loading import Loaded, load
from search.workers.preparation import with_gpus
from search.workers.remote_grader import new_grader
from search.workers.sources import (
    Commits,
    checked_sources,
    load_searched,
    on_searched,
    on_task,
    with_commits,
)

log = logging.getLogger(__name__)


def run_campaign(run: RunDirectory, console: Console, url: str | None = None) -> dict[str, Any]:
    """Run or resume the run in a directory until its outcome is written; returns the content of result.json.

    url: where the directory is mirrored in object storage, None if it is not. Raises ValueError for a mistake
    in the input, KeyboardInterrupt on an interrupt (everything is saved), RuntimeError if no outcome can be
    reached.
    """
    with run.locked():
        config, past = run.read()
        record = Record.of(past)
        config = run.settled(config, record)
        if record.finished:
            if outcome := run.read_result():
                console.print(f"{run.path} is finished; its outcome is in {run.result}", highlight=False)
                return outcome
            log.warning("%s is missing or damaged: it is written anew from the ledger", run.result)
        started_at = now()
        as_written = config
        config, found = with_commits(config, record.started)
        # First, so that a refused key ends the run before any training.
        account = LedgerAccount(record)
        proposer = new_proposer(config, run.path, account)
        require_database(config.optuna.storage)
        earlier = None if record.baselines or record.earlier else scores_of_runs(config)
        loaded, sources = _read(config, found, record, console)
        runtime = _shown(ray_runtime(config.trial.environment), console)
        with Tracking(run, config) as tracking, interruptible() as stop, runtime:
            phases = Phases(run=run, record=record, console=console, stop=stop, config=config)
            unplaced, config = config, with_gpus(config, stop.check)
            trials_together(config)  # raises before any training where a trial has no room
            on_tasks = on_searched(config, found)
            searched = [phases.searched(name, on_it, loaded[name]) for name, on_it in on_tasks.items()]
            with run.open_ledger(record, as_written, started_at, sources) as ledger:
                tracking.start(record.started)
                if earlier:
                    ledger.append(earlier)
                    console.print(_begins_with(earlier), highlight=False, soft_wrap=True)
                if record.baselines is None:
                    ledger.append(_ready(config, searched))
                try:
                    context = _context(config, run, ledger, record, searched)
                    view = phases.view(ledger)
                    with account.writing(ledger, run.path):
                        director = Director(context, proposer, past)
                        _say_merged_rungs(config, console)
                        if not record.hidden_read:
                            phases.train(phases.work(config, searched), director, view)
                    own = [one.test for one in searched]
                    hidden = _hidden_tests(phases, unplaced, found, ledger, director, view)
                    registry = Registry(config.cache_dir, url)
                    return Conclusion(run, config, record, ledger, registry, console).reach(own, hidden)
                except KeyboardInterrupt:
                    ledger.append(Interrupted())
                    raise


def _read(
    config: RunConfig, found: Commits, record: Record, console: Console
) -> tuple[dict[str, Loaded], Sources | None]:
    """Data and models, and what they are known by; raises ValueError where they are not those of the run."""
    with console.status("reading data and models"):
        loaded = load_searched(config, found)
        first = next(iter(loaded.values()))
        return loaded, checked_sources(config, first, found, record.started, loaded)


@contextmanager
def _shown(runtime: AbstractContextManager[None], console: Console) -> Iterator[None]:
    """The runtime, whose start takes seconds that a person sees pass."""
    with ExitStack() as stack:
        with console.status("starting Ray"):
            stack.enter_context(runtime)
        yield


def _hidden_tests(
    phases: Phases, config: RunConfig, found: Commits, ledger: Ledger, director: Director, view: View
) -> list[SealedTest]:
    """The hidden tasks, once all trials on them have ended. found: the commits of hub ids."""
    if config.hidden:
        sealed_predictions(config, phases.record)  # raises where nothing was confirmed: nothing is read then
    return [
        phases.confirm_on(on_task(config, one, found), one, ledger, director, view) for one in config.hidden
    ]


def _context(
    config: RunConfig, run: RunDirectory, ledger: Ledger, record: Record, searched: Sequence[Searched]
) -> RunContext:
    several = SeveralTasks({one.name: one.scale for one in searched}, config.search.objective)
    first = searched[0]
    return RunContext(
        config=config,
        directory=run.path,
        ledger=ledger,
        record=record,
        grader=several if config.tasks else first.grader,
        gap=1.0 if config.tasks else first.baselines.gap,
        search_size=sum(one.examples for one in searched),
        several=several if config.tasks else None,
    )


def _ready(config: RunConfig, searched: Sequence[Searched]) -> BaselinesReady:
    scores = scores_over_tasks([one.baselines for one in searched])
    weak = zip(*(one.prepared.search[1].weak for one in searched), strict=True)
    return BaselinesReady(
        **scores.accuracies,
        **scores.of_seeds,
        seeds=config.baselines.seeds,
        train_s=sum(one.train_s for one in searched),
        examples=sum(one.examples for one in searched),
        weak_predictions=tuple(pack(np.concatenate(rows)) for rows in weak),
        data=None if config.tasks else searched[0].prepared.counts,
        tasks=tuple(_task_baselines(one) for one in searched) if config.tasks else (),
    )


def _task_baselines(one: Searched) -> TaskBaselines:
    return TaskBaselines(
        name=one.name,
        **one.baselines.accuracies,
        examples=one.examples,
        data=one.prepared.counts,
    )


def baseline_scores(config: RunConfig, console: Console) -> BaselineScores:
    """Weak floor and ceiling on the search split; trains the baselines that are not cached.

    Of several searched tasks those of the first.
    """
    config, _ = with_commits(config, None)
    loaded = load(config)
    with interruptible() as stop, ray_runtime(config.trial.environment):
        prepared = prepare_with_progress(with_gpus(config, stop.check), loaded, console, stop)
        return new_grader(config, prepared).baselines()


def _begins_with(earlier: EarlierScored) -> str:
    scores = sum(len(task.scores) for task in earlier.tasks)
    runs = ", ".join(dict.fromkeys(task.run for task in earlier.tasks))
    return f"the search begins with methods of {runs}, and with scores of theirs: {scores}"


def _say_merged_rungs(config: RunConfig, console: Console) -> None:
    pruning, examples = config.search.pruning, config.task.splits.transfer
    merged = merged_rungs(config.naive, pruning.rungs, examples=examples, min_steps=pruning.min_steps)
    if merged:
        console.print(merged, highlight=False, soft_wrap=True)
