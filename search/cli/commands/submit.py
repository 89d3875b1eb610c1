"""The command `submit`: a run as a job on a Ray cluster, sent, followed, stopped or left running."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from search.cli.options import BranchFiles, Overrides, complete_config
from search.cli.output import console, write
from search.config.load import load_config

if TYPE_CHECKING:
    from cluster.jobs import JobClient

EXAMPLES = (
    (
        "submit configs/dev.yaml --address http://HEAD:8265 \\\n      --out /shared/runs/long",
        "the run in a folder that all nodes see",
    ),
    (
        "submit configs/dev.yaml --address http://HEAD:8265 \\\n      --out s3://bucket/runs/long",
        "the run in object storage",
    ),
    ("submit --address http://HEAD:8265 --follow JOB", "after the connection was lost"),
)


def submit(
    overrides: Overrides,
    branches: BranchFiles,
    address: Annotated[
        str, typer.Option(metavar="URL", help="The cluster's job server, as http://HEAD:8265.")
    ],
    config: Annotated[
        Path | None,
        typer.Argument(
            metavar="CONFIG",
            help="A YAML file, such as configs/dev.yaml.",
            autocompletion=complete_config,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Where the cluster keeps the run: a path that all nodes see, or a URL (s3://, gs://, az://).",
        ),
    ] = None,
    follow: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Submit nothing; follow a job submitted before."),
    ] = None,
) -> int:
    """Send a run as a job to a Ray cluster; follow its log.

    Ctrl-C asks whether to stop the job. The same command again goes on where a stopped job was.
    """
    people = console()
    if follow:
        client = _known(address, follow)
        return _followed(client, follow, people, address)
    if config is None or out is None:
        raise ValueError("submit: name CONFIG and --out, or --follow ID to go on following a job")
    client, job = _sent(config, overrides, branches, out, address)
    people.print(f"job {job}", highlight=False)
    return _followed(client, job, people, address)


def _known(address: str, job: str) -> "JobClient":
    from cluster import jobs  # Ray, which takes a second to import, as below

    client = jobs.connect(address)
    jobs.check_known(client, job)
    return client


def _sent(
    config: Path, overrides: list[str], branches: list[Path], out: str, address: str
) -> tuple["JobClient", str]:
    """Submit the run; the client, and the job's id."""
    loaded, here = load_config(config, overrides, branches), Path.cwd()
    from cluster import jobs
    from cluster.commit import commit

    sent = jobs.checked_working_dir(here, config)
    own = [jobs.checked_working_dir(here, branch) for branch in branches]
    entry = jobs.entry_point(sent, overrides, jobs.checked_out(out), own)
    client = jobs.connect(address)
    env = jobs.runtime_env(here, commit())
    return client, jobs.submit(client, name=loaded.name, entrypoint=entry, env=env)


def _followed(client: "JobClient", job: str, people: Console, address: str) -> int:
    """Follow a job to its end, for its exit code; Ctrl-C asks what is to become of it."""
    from cluster import jobs

    again = f"python -m search submit --address {address} --follow {job}"
    while True:
        try:
            return jobs.follow(client, job, write)
        except jobs.LostError as error:
            raise RuntimeError(f"{error}; the job may go on: {again}") from None
        except KeyboardInterrupt:
            if not _stop_wanted():
                people.print(f"the job goes on. Follow it with: {again}", highlight=False, soft_wrap=True)
                raise
            people.print("stopping; the run saves its state", highlight=False)
            client.stop_job(job)


def _stop_wanted() -> bool:
    """Ask, where there is somebody to ask."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    try:
        return input("\nStop the job, or leave it running? [s/L] ").strip().lower().startswith("s")
    except (EOFError, KeyboardInterrupt):
        return False
