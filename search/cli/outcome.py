"""A campaign from the command line, from its run directory to its outcome."""

import os

from rich.console import Console

from search.cli.output import write_json
from search.policy.faults import DISK_FULL
from search.storage.object_store import is_url
from search.storage.run_directory import RunDirectory


def reach_outcome(run: RunDirectory, console: Console, *, out: str, as_json: bool) -> None:
    """Run, or go on with, the run in a directory. out: what the user calls it, for the command to resume.

    Raises RuntimeError, one line, where the disk is full, and all that `run_campaign` raises.
    """
    # Ray and torch take seconds to import: the user has read which directory it is by then.
    with console.status("loading torch and Ray"):
        from search.campaign import run_campaign

    resume = f"python -m search resume {out}"
    try:
        outcome = run_campaign(run, console, out if is_url(out) else None)
    except KeyboardInterrupt:
        console.print(f"stopped; everything is saved. Go on with: {resume}", highlight=False, soft_wrap=True)
        raise
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise RuntimeError(
            f"{run.path} cannot be written ({os.strerror(error.errno)}); what is there is whole. "
            f"Make room, then go on with: {resume}"
        ) from error
    if as_json:
        write_json(outcome)
