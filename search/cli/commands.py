"""What each command of the command line does.

Ray, torch and transformers take seconds to import: a command imports what it needs when it runs.
"""

import argparse
import json
import os
import sys
import time
from contextlib import suppress
from typing import Any

from rich.console import Console


def run(options: argparse.Namespace, console: Console) -> None:
    """Search from a config, in a new run directory or one that was interrupted."""
    from search.config.load import load_config
    from search.storage.object_store import run_path
    from search.storage.run_directory import new_run

    config = load_config(options.config, options.set)
    out = options.out or f"runs/{config.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    with run_path(out) as path:
        directory = new_run(path, config)
        console.print(f"run directory: {out}", highlight=False, soft_wrap=True)
        _campaign(directory, console, out, options.json)


def resume(options: argparse.Namespace, console: Console) -> None:
    """Go on with a run."""
    from search.storage.object_store import run_path
    from search.storage.run_directory import RunDirectory

    with run_path(options.directory) as path:
        _campaign(RunDirectory(path), console, options.directory, options.json)


def _campaign(run: Any, console: Console, out: str, as_json: bool) -> None:
    from search.campaign import run_campaign

    resume = f"python -m search resume {out}"
    try:
        outcome = run_campaign(run, console)
    except KeyboardInterrupt:
        console.print(f"stopped; everything is saved. Go on with: {resume}", highlight=False, soft_wrap=True)
        raise
    except OSError as error:
        from search.policy.faults import DISK_FULL

        if error.errno not in DISK_FULL:
            raise
        raise RuntimeError(
            f"{run.path} cannot be written ({os.strerror(error.errno)}); what is there is whole. "
            f"Make room, then go on with: {resume}"
        ) from error
    if as_json:
        _print_json(outcome)


def baselines(options: argparse.Namespace, console: Console) -> None:
    """Train or show the weak floor and the ceiling."""
    from search.campaign import baseline_scores
    from search.config.load import load_config
    from search.output.result import baseline_table

    config = load_config(options.config, options.set)
    scores = baseline_scores(config, console)
    if options.json:
        _print_json(
            {
                "weak_acc": scores.weak.value,
                "weak_se": scores.weak.se,
                "ceiling_acc": scores.ceiling.value,
                "ceiling_se": scores.ceiling.se,
                "seeds": config.baselines.seeds,
                "split": "search",
            }
        )
    else:
        console.print(baseline_table(config, scores))


def propose(options: argparse.Namespace, console: Console) -> None:
    """Print one checked proposal."""
    from search.config.load import load_config
    from search.engine.findings import brief
    from search.engine.proposers import new_proposer
    from search.engine.rounds import ask, checked
    from search.ledger.record import Record
    from search.output.proposal_table import cost_table, proposal_table
    from search.storage.object_store import snapshot
    from search.storage.run_directory import RunDirectory

    config, record = load_config(options.config, options.set), Record()
    if options.out:
        with snapshot(options.out) as path:
            config, record = RunDirectory(path).load()
    answer = ask(config, new_proposer(config, None), brief(config, record))
    proposal, problems = checked(config, record, answer.proposal)
    for reason in [*(reason for lane in answer.lanes for reason in lane.refused), *map(str, problems)]:
        console.print(f"refused: {reason}", highlight=False, markup=False)
    console.print(proposal_table(proposal))
    if answer.lanes:
        console.print(cost_table(answer.lanes))


def status(options: argparse.Namespace, console: Console) -> None:
    """Show where a run stands."""
    from search.output.progress import status, status_json, watch
    from search.storage.object_store import snapshot
    from search.storage.run_directory import RunDirectory

    if options.watch:
        with snapshot(options.directory) as path, suppress(KeyboardInterrupt):
            watch(RunDirectory(path), console)  # Ctrl-C ends the looking, not the run
        return
    with snapshot(options.directory) as path:
        config, record = RunDirectory(path).load()
    if options.json:
        _print_json(status_json(config, record))
    else:
        console.print(status(config, record, None))


def report(options: argparse.Namespace, console: Console) -> None:
    """Write report.html."""
    from search.output.report.report import write_report
    from search.storage.object_store import is_url, local_copy, snapshot
    from search.storage.run_directory import RunDirectory

    with snapshot(options.directory) as path:  # which is gone afterwards; the copy of a URL's run is not
        kept = local_copy(options.directory) if is_url(options.directory) else path
        sys.stdout.write(f"{write_report(RunDirectory(path), kept / 'report.html')}\n")


def _print_json(values: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
