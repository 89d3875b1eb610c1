"""The command `report`."""

from search.cli.options import RunFolder
from search.cli.output import write
from search.storage.object_store import is_url, local_copy, snapshot
from search.storage.run_directory import RunDirectory

EXAMPLES = (
    ("report runs/long", "runs/long/report.html, of a run in progress as well"),
    ("report s3://bucket/runs/long", "a copy on this machine; the run at the URL is left as it is"),
)


def report(directory: RunFolder) -> None:
    """Write report.html of a run and print its path.

    One self-contained file: figures, branches, failures and how to reproduce. No network needed.
    """
    from search.output.report.report import write_report  # draws figures: no other command needs that

    with snapshot(directory) as path:  # which is gone afterwards; the copy of a URL's run is not
        kept = local_copy(directory) if is_url(directory) else path
        write(f"{write_report(RunDirectory(path), kept / 'report.html')}\n")
