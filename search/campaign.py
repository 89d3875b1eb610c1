"""A whole run: baselines, rounds, confirmation, outcome."""

import logging
from typing import Any

from rich.console import Console
from rich.progress import Progress

from agents.findings.predictions import pack
from cluster.inventory import trials_at_once
from cluster.runtime import ray_runtime
from search.config.schema import RunConfig
from search.engine.account import LedgerAccount
from search.engine.confirmation import confirm, sealed_predictions
from search.engine.context import RunContext
from search.engine.director import Director
from search.engine.proposers import new_proposer
from search.engine.rounds import late_lanes
from search.interrupt import Interruption, interruptible
from search.ledger.events import BaselinesReady, Finished, Interrupted, TestOpened, now
from search.ledger.log import Ledger
from search.ledger.record import Record
from search.output.outcome_table import outcome_table
from search.output.progress import View
from search.output.report.report import write_report
from search.output.result import result, write_result
from search.policy.rungs import merged_rungs
from search.scoring.grader import BaselineScores
from search.storage.baseline_times import BaselineTimes
from search.storage.openings import Opening, Registry
from search.storage.run_directory import RunDirectory
from search.tracking.launcher import Tracking
from search.workers.member import Work
from search.workers.preparation import Prepared, prepare, with_gpus
from search.workers.remote_grader import RemoteGrader
from search.workers.sources import Loaded, checked_sources, load, with_commits
from search.workers.tune import run_trials
from trainers.data.digests import example_keys, inputs_digest
from trainers.data.examples import Examples
from trainers.trial.baselines import BaselineJob

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
        if record.started is not None and not config.has_sha256(record.started.config_sha256):
            raise ValueError(f"{run.config}: was edited after the run began; put it back, or start a new run")
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
        loaded = load(config)
        sources = checked_sources(config, loaded, found, record.started)
        runtime = ray_runtime(config.trial.environment)
        with Tracking(run, config) as tracking, interruptible() as stop, runtime:
            config = with_gpus(config, stop.check)
            concurrent = _concurrent(config)
            times = BaselineTimes(run.path)
            prepared = prepare_with_progress(config, loaded, console, stop, times)
            grader = RemoteGrader(
                prepared.search, prepared.test, config.search.coarsen, config.faults.grader_limit_s
            )
            baselines = grader.baselines()
            if record.baselines is None and not config.baselines.allow_unclear_gap:
                baselines.require_clear_gap()
            with run.open_ledger(record, as_written, started_at, sources) as ledger:
                tracking.start(record.started)
                if record.baselines is None:
                    ledger.append(_ready(config, prepared, baselines, times.total_s))
                try:
                    context = RunContext(
                        config=config,
                        directory=run.path,
                        ledger=ledger,
                        record=record,
                        grader=grader,
                        gap=baselines.gap,
                        search_size=len(prepared.search[0]),
                    )
                    with account.writing(ledger, run.path):
                        director = Director(context, proposer, past)
                        _run_trials(run, config, record, prepared, director, concurrent, console, stop)
                    registry = Registry(config.cache_dir, url)
                    test = loaded.task.inputs["test"]
                    return _conclude(run, config, record, ledger, grader, registry, test, console)
                except KeyboardInterrupt:
                    ledger.append(Interrupted())
                    raise


def _ready(
    config: RunConfig, prepared: Prepared, baselines: BaselineScores, train_s: float
) -> BaselinesReady:
    return BaselinesReady(
        weak_acc=baselines.weak.value,
        weak_se=baselines.weak.se,
        ceiling_acc=baselines.ceiling.value,
        ceiling_se=baselines.ceiling.se,
        seeds=config.baselines.seeds,
        train_s=train_s,
        examples=len(prepared.search[0]),
        weak_predictions=tuple(pack(row) for row in prepared.search[1].weak),
        seed_variance=baselines.seed_variance.value,
        seed_free=baselines.seed_variance.free,
        data=prepared.counts,
    )


def _concurrent(config: RunConfig) -> int:
    """How many trials run at once; the processes of a gang may run on several nodes."""
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


def baseline_scores(config: RunConfig, console: Console) -> BaselineScores:
    """Weak floor and ceiling on the search split; trains the baselines that are not cached."""
    config, _ = with_commits(config, None)
    loaded = load(config)
    with interruptible() as stop, ray_runtime(config.trial.environment):
        prepared = prepare_with_progress(with_gpus(config, stop.check), loaded, console, stop)
        grader = RemoteGrader(prepared.search, prepared.test, answer_s=config.faults.grader_limit_s)
        return grader.baselines()


def prepare_with_progress(
    config: RunConfig,
    loaded: Loaded,
    console: Console,
    stop: Interruption,
    times: BaselineTimes | None = None,
) -> Prepared:
    """Prepare the baselines, with a progress bar. times: receives the seconds of those that were trained."""
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("weak floor and ceiling", total=None)

        def advance(done: int, total: int) -> None:
            stop.check()
            progress.update(bar, completed=done, total=total)

        def trained(job: BaselineJob, seconds: float) -> None:
            if times is not None:
                times.add(job.role, job.seed, seconds)

        return prepare(config, loaded, advance, trained)


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
        shared=prepared.arrays,
        checkpoints=run.checkpoints.absolute(),
    )
    pruning, examples = config.search.pruning, config.task.splits.transfer
    merged = merged_rungs(config.naive, pruning.rungs, examples=examples, min_steps=pruning.min_steps)
    if merged:
        console.print(merged, highlight=False, soft_wrap=True)
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
    registry: Registry,
    test: Examples,
    console: Console,
) -> dict[str, Any]:
    """Open the test split, write the outcome and print it."""
    predictions = sealed_predictions(config, record)
    for event in list(late_lanes(record)):
        ledger.append(event)
    if not record.finished:  # else result.json is written anew, from the same grades of the same predictions
        queries = sum(len(seeds) for seeds in predictions.values())
        _register(registry, record, ledger, test, console, queries=queries)
    grades = grader.open_test(predictions)
    confirmation = confirm(config, record, grades)
    outcome = result(record, confirmation, grades.baseline_scores)
    write_result(run.result, outcome)
    if not record.finished:
        ledger.append(Finished())
    console.print(outcome_table(outcome))
    _report(run, console)
    return outcome


def _register(
    registry: Registry, record: Record, ledger: Ledger, test: Examples, console: Console, *, queries: int
) -> None:
    """Record that this run opens the test split, before its labels are read."""
    assert record.started is not None
    keys, at = example_keys(test), now()
    earlier = registry.add(Opening(run=record.started.run, id=record.started.id, at=at, examples=keys))
    digest = inputs_digest(test)
    ledger.append(TestOpened(at=at, queries=queries, digest=digest, examples=len(keys), earlier=earlier))
    if record.test_openings > 1:
        console.print("the test split of this run has been opened before", style="yellow")
    elif earlier:
        runs = ", ".join(sorted({opening.run for opening in earlier}))
        say = f"examples of this test split have been opened before, by {runs}"
        console.print(say, style="yellow", markup=False, highlight=False)


def _report(run: RunDirectory, console: Console) -> None:
    try:
        path = write_report(run)
    except Exception as error:  # the outcome is saved and complete without the report
        log.warning("report.html could not be written (%s); try python -m search report %s", error, run.path)
    else:
        console.print(f"report: {path}", highlight=False, soft_wrap=True)
