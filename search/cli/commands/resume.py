"""The command `resume`."""

from typing import Annotated

from search.cli.options import OutcomeAsJson, RunFolder, set_option
from search.cli.outcome import reach_outcome
from search.cli.output import console, stdout_for_json
from search.storage.object_store import run_path
from search.storage.run_directory import RunDirectory

EXAMPLES = (
    ("resume runs/long", "whether it was interrupted, killed or lost its machine"),
    ("resume runs/long --set search.trials=200", "extend it, also after it has finished"),
    ("resume runs/long --set confirm.seeds=16", "more seeds for its finalists"),
)


def resume(
    directory: RunFolder,
    overrides: Annotated[
        list[str],
        set_option(
            "Extend the run: search.trials, search.max_hours, confirm.seeds, confirm.finalists, "
            "replication.effort and a few more"
        ),
    ],
    as_json: OutcomeAsJson = False,
) -> None:
    """Go on where a run stopped, or extend it.

    Nothing that had ended is run twice. A finished run is left as it is, unless --set gives it more to do:
    then its test split is opened once more, which the outcome says.
    """
    with stdout_for_json(wanted=as_json), run_path(directory) as path:
        run, people = RunDirectory(path), console(as_json=as_json)
        run.read_config()  # what is no run is refused before Ray and torch are imported
        if overrides:
            from search.steering.extension import extend  # takes half a second to import

            for sentence in extend(run, overrides):
                people.print(sentence, highlight=False, soft_wrap=True)
        reach_outcome(run, people, out=directory, as_json=as_json)
