"""A run as a job on a Ray cluster: sent, followed, stopped or left running."""

import argparse
import sys
from pathlib import Path
from typing import Any

from rich.console import Console


def submit(options: argparse.Namespace, console: Console) -> int:
    """The command `submit`; returns the exit code of the job."""
    from cluster import jobs
    from cluster.commit import commit
    from search.config.load import load_config

    if options.follow:
        client, job = jobs.connect(options.address), options.follow
        jobs.check_known(client, job)
    else:
        if options.config is None or options.out is None:
            raise ValueError("submit: name CONFIG and --out, or --follow ID to go on following a job")
        config, here = load_config(options.config, options.set), Path.cwd()
        sent = jobs.checked_working_dir(here, options.config)
        entry = jobs.entry_point(sent, options.set, jobs.checked_out(options.out))
        client = jobs.connect(options.address)
        env = jobs.runtime_env(here, commit())
        job = jobs.submit(client, name=config.name, entrypoint=entry, env=env)
        console.print(f"job {job}", highlight=False)
    again = f"python -m search submit --address {options.address} --follow {job}"
    return _followed(client, job, console, again)


def _followed(client: Any, job: str, console: Console, again: str) -> int:
    """Follow a job to its end; Ctrl-C asks what is to become of it."""
    from cluster import jobs

    def write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    while True:
        try:
            return jobs.follow(client, job, write)
        except jobs.LostError as error:
            raise RuntimeError(f"{error}; the job may go on: {again}") from None
        except KeyboardInterrupt:
            if not _stop_wanted():
                console.print(f"the job goes on. Follow it with: {again}", highlight=False, soft_wrap=True)
                raise
            console.print("stopping; the run saves its state", highlight=False)
            client.stop_job(job)


def _stop_wanted() -> bool:
    """Ask, where there is somebody to ask."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    try:
        return input("\nStop the job, or leave it running? [s/L] ").strip().lower().startswith("s")
    except (EOFError, KeyboardInterrupt):
        return False
