"""The command `resume`."""

from search.cli.options import OutcomeAsJson, RunFolder
from search.cli.outcome import reach_outcome
from search.cli.output import console, stdout_for_json
from search.storage.object_store import run_path
from search.storage.run_directory import RunDirectory

EXAMPLES = (("resume runs/long", "whether it was interrupted, killed or lost its machine"),)


def resume(directory: RunFolder, as_json: OutcomeAsJson = False) -> None:
    """Go on where a run stopped.

    Nothing that had ended is run twice. A finished run is left as it is.
    """
    with stdout_for_json(wanted=as_json), run_path(directory) as path:
        reach_outcome(RunDirectory(path), console(as_json=as_json), out=directory, as_json=as_json)
