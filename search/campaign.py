"""A whole run: baselines, rounds, confirmation, outcome."""

import json
import logging
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from agents.playbook import Playbook
from agents.proposer import Proposer
from agents.replay import Replay
from agents.samples import samples_of
from agents.settings import ClaudeConfig, PlaybookConfig, ReplayConfig
from cluster.resources import trials_at_once
from cluster.runtime import ray_runtime
from search.bits import pack
from search.config import RunConfig
from search.confirm import confirm, sealed_predictions
from search.director import Director
from search.grading import BaselineScores, RemoteGrader
from search.interrupt import Interruption, interruptible
from search.ledger import BaselinesReady, Finished, Interrupted, Ledger, TestOpened
from search.outcome import outcome_table, result, write_result
from search.preparation import Prepared, prepare, with_gpus
from search.record import Record
from search.report import write_report
from search.rounds import untold
from search.run_dir import RunDirectory
from search.sharing import SharedArrays
from search.study import run_trials
from search.tracking import Tracking
from search.view import View
from search.worker import Work
from trainers.data import DatasetTask, load_task
from trainers.toy import ToyTask

log = logging.getLogger(__name__)


def run_campaign(run: RunDirectory, console: Console) -> dict[str, Any]:
    """Run, or go on with, the run in a directory until its outcome is written; returns result.json's content.

    Raises ValueError for a mistake in the input, KeyboardInterrupt when told to stop (everything is saved),
    RuntimeError when no outcome can be reached.
    """
    with run.locked():
        config, record = run.load()
        if record.started is not None and record.started.config_sha256 != config.sha256:
            raise ValueError(f"{run.config}: was edited after the run began; put it back, or start a new run")
        if record.finished and run.result.is_file():
            console.print(f"{run.path} is finished; its outcome is in {run.result}", highlight=False)
            finished: dict[str, Any] = json.loads(run.result.read_text())
            return finished
        started_at = time.time()
        # A key that is refused ends the run before it costs anything.
        proposer = new_proposer(config, run.path)
        with Tracking(run, config) as tracking, interruptible() as stop, ray_runtime():
            as_written, config = config, with_gpus(config)
            concurrent = _concurrent(config)
            prepared = prepare_with_progress(config, console, stop)
            grader = RemoteGrader(prepared.search, prepared.test, config.search.coarsen)
            baselines = grader.baselines()
            with run.open_ledger(record, as_written, started_at) as ledger:
                tracking.start(record.started)
                if record.baselines is None:
                    ledger.append(
                        BaselinesReady(
                            weak_acc=baselines.weak.value,
                            weak_se=baselines.weak.se,
                            ceiling_acc=baselines.ceiling.value,
                            ceiling_se=baselines.ceiling.se,
                            seeds=config.baselines.seeds,
                            train_s=prepared.train_s,
                            examples=len(prepared.search[0]),
                            weak_predictions=tuple(pack(row) for row in prepared.search[1].weak),
                            seed_variance=baselines.spread.variance,
                            seed_free=baselines.spread.free,
                        )
                    )
                try:
                    director = Director(
                        config=config,
                        run_dir=run.path,
                        ledger=ledger,
                        record=record,
                        proposer=proposer,
                        grader=grader,
                        gap=baselines.gap,
                        search_size=len(prepared.search[0]),
                    )
                    _run_trials(run, config, record, prepared, director, concurrent, console, stop)
                    return _conclude(run, config, record, ledger, grader, console)
                except KeyboardInterrupt:
                    ledger.append(Interrupted())
                    raise


def _concurrent(config: RunConfig) -> int:
    """Trials at once; a gang's processes may lie on several nodes."""
    trial, size = config.trial, config.trial.processes
    processes = trials_at_once(
        trial.needs,
        at_most=None if trial.concurrent is None else trial.concurrent * size,
        a_round=config.search.round_trials * size,
        elastic=trial.elastic,
    )
    if processes < size:
        raise ValueError(
            f"trial.processes {size} do not fit on this cluster together, only {processes} of them do; "
            "lower trial.processes or its needs, or add a node"
        )
    return processes // size


def new_proposer(config: RunConfig, run_dir: Path | None) -> Proposer:
    """Who proposes, by the config's `agent`; run_dir: where transcripts go, None for nowhere.

    Raises ValueError for a key, a model or a transcript that will not do.
    """
    match config.agent:
        case PlaybookConfig():
            return Playbook(branches=config.agent.branches, seed=config.seed)
        case ReplayConfig():
            return Replay(
                Path(config.agent.path).expanduser(), branches=config.agent.branches, seed=config.seed
            )
        case ClaudeConfig():
            from agents.claude import ClaudeProposer  # the SDK takes seconds to import

            return ClaudeProposer(
                config.agent,
                seed=config.seed,
                run_dir=run_dir,
                samples=_samples(config.task, config.agent.samples),
            )


def _samples(task: DatasetTask | ToyTask, count: int) -> tuple[str, ...]:
    """What the proposer may see of the data: inputs of the transfer split alone, as students do."""
    return samples_of(load_task(task).inputs["transfer"], count) if count else ()


def baseline_scores(config: RunConfig, console: Console) -> BaselineScores:
    """Weak floor and ceiling on the search split, trained first where the cache has none."""
    with interruptible() as stop, ray_runtime():
        prepared = prepare_with_progress(with_gpus(config), console, stop)
        return RemoteGrader(prepared.search, prepared.test).baselines()


def baseline_table(config: RunConfig, scores: BaselineScores) -> Table:
    """Weak floor and ceiling, for a person."""
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
    if record.test_openings:
        console.print("the test split of this run has been opened before", style="yellow")
    for event in list(untold(run.path, record)):
        ledger.append(event)
    ledger.append(TestOpened(queries=sum(len(seeds) for seeds in predictions.values())))
    answers = grader.open_test(predictions)
    confirmation = confirm(config, record, answers)
    outcome = result(record, confirmation, answers.baseline_scores)
    write_result(run.result, outcome)
    ledger.append(Finished())
    console.print(outcome_table(outcome))
    _report(run, console)
    return outcome


def _report(run: RunDirectory, console: Console) -> None:
    try:
        path = write_report(run)
    except Exception as error:  # the outcome is safe, and stands without its picture
        log.warning("report.html could not be written (%s); try python -m search report %s", error, run.path)
    else:
        console.print(f"report: {path}", highlight=False, soft_wrap=True)
