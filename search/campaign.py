"""A whole run: baselines, rounds, confirmation, outcome."""

import json
import time
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from agents.playbook import Playbook
from agents.proposer import Proposer
from cluster.resources import trials_at_once
from cluster.runtime import ray_runtime
from search.config import RunConfig, TrialResources
from search.confirm import confirm, sealed_predictions
from search.director import Director, SearchFailedError
from search.grading import RemoteGrader
from search.interrupt import Interruption, interruptible
from search.ledger import BaselinesReady, Finished, Interrupted, Ledger, TestOpened
from search.outcome import outcome_table, result, write_result
from search.preparation import Prepared, prepare
from search.record import Record
from search.run_dir import RunDirectory
from search.sharing import SharedArrays
from search.study import run_trials
from search.view import View
from search.worker import Work


def run_campaign(run: RunDirectory, console: Console) -> dict[str, Any]:
    """Run, or go on with, the run in a directory until its outcome is written; returns result.json's content.

    Raises ValueError for a mistake in the input, KeyboardInterrupt when told to stop (everything is saved),
    SearchFailedError when no outcome can be reached.
    """
    with run.locked():
        config, record = run.load()
        if record.started is not None and record.started.config_sha256 != config.sha256:
            raise ValueError(f"{run.config}: was edited after the run began; put it back, or start a new run")
        if record.finished:
            console.print(f"{run.path} is finished; its outcome is in {run.result}", highlight=False)
            finished: dict[str, Any] = json.loads(run.result.read_text())
            return finished
        started_at = time.time()
        with interruptible() as stop, ray_runtime():
            concurrent = _concurrent(config.trial)
            prepared = prepare_with_progress(config, console, stop)
            grader = RemoteGrader(prepared.search, prepared.test)
            baselines = grader.baselines()
            with run.open_ledger(record, config, started_at) as ledger:
                if record.baselines is None:
                    ledger.append(
                        BaselinesReady(
                            weak_acc=baselines.weak.value,
                            weak_se=baselines.weak.se,
                            ceiling_acc=baselines.ceiling.value,
                            ceiling_se=baselines.ceiling.se,
                            seeds=config.baselines.seeds,
                            train_s=prepared.train_s,
                        )
                    )
                try:
                    director = Director(
                        config=config,
                        run_dir=run.path,
                        ledger=ledger,
                        record=record,
                        proposer=new_proposer(config),
                        grader=grader,
                        gap=baselines.gap,
                        search_size=len(prepared.search[0]),
                    )
                    _run_trials(run, config, record, prepared, director, concurrent, console, stop)
                    return _conclude(run, config, record, ledger, grader, console)
                except KeyboardInterrupt:
                    ledger.append(Interrupted())
                    raise


def _concurrent(needs: TrialResources) -> int:
    """Trials at once; a gang's processes may lie on several nodes."""
    at_most = None if needs.concurrent is None else needs.concurrent * needs.processes
    processes = trials_at_once(needs.cpus, needs.gpus, at_most)
    if processes < needs.processes:
        raise ValueError(
            f"trial.processes {needs.processes} fit not together on this cluster, only {processes} of them; "
            "lower trial.processes or its needs, or add a node"
        )
    return processes // needs.processes


def new_proposer(config: RunConfig) -> Proposer:
    """Who proposes, by the config's `agent`."""
    return Playbook(branches=config.agent.branches, seed=config.seed)


def baseline_table(config: RunConfig, console: Console) -> Table:
    """Weak floor and ceiling on the search split, trained first where the cache has none."""
    with interruptible() as stop, ray_runtime():
        prepared = prepare_with_progress(config, console, stop)
        scores = RemoteGrader(prepared.search, prepared.test).baselines()
    table = Table(title=f"Search split, {config.baselines.seeds} seeds", title_justify="left")
    for column in ("baseline", "accuracy", "± SE"):
        table.add_column(column, justify="left" if column == "baseline" else "right")
    for name, score in (("weak floor", scores.weak), ("ceiling", scores.ceiling)):
        table.add_row(name, f"{score.value:.4f}", f"{score.se:.4f}")
    return table


def prepare_with_progress(config: RunConfig, console: Console, stop: Interruption) -> Prepared:
    """Baselines behind a progress bar."""
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("weak floor and ceiling", total=None)

        def advance(done: int, total: int) -> None:
            stop.check()
            progress.update(bar, completed=done, total=total)

        return prepare(config, advance)


def _run_trials(
    run: RunDirectory,
    config: RunConfig,
    record: Record,
    prepared: Prepared,
    director: Director,
    concurrent: int,
    console: Console,
    stop: Interruption,
) -> None:
    work = Work(
        config=config,
        materials=prepared.materials,
        shared=SharedArrays(),
        checkpoints=run.checkpoints.absolute(),
    )
    with View(console, config, record) as view:

        def every_step() -> None:
            stop.check()
            view.refresh()

        try:
            run_trials(director, work, concurrent, every_step)
        finally:
            director.close()


def _conclude(
    run: RunDirectory,
    config: RunConfig,
    record: Record,
    ledger: Ledger,
    grader: RemoteGrader,
    console: Console,
) -> dict[str, Any]:
    """Open the test split, once; write and show the outcome."""
    predictions = sealed_predictions(config, record)
    if len(predictions) < 2:
        raise SearchFailedError(
            "no finalist completed on every confirmation seed; see the ledger for the causes"
        )
    if record.test_openings:
        console.print("the test split of this run has been opened before", style="yellow")
    ledger.append(TestOpened(queries=sum(len(seeds) for seeds in predictions.values())))
    answers = grader.open_test(predictions)
    confirmation = confirm(config, record, answers)
    outcome = result(record, confirmation, answers.baseline_scores)
    write_result(run.result, outcome)
    ledger.append(Finished())
    console.print(outcome_table(outcome, confirmation))
    return outcome
