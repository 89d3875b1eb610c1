"""The command `propose`."""

from typing import Annotated

import typer

from search.cli.options import ConfigFile, Overrides, complete_run
from search.cli.output import console
from search.config.load import load_config
from search.config.schema import RunConfig
from search.ledger.record import Record
from search.storage.endpoints import check_endpoints
from search.storage.object_store import is_url, local_copy, snapshot
from search.storage.run_directory import RunDirectory

EXAMPLES = (
    ("propose configs/dev.yaml", "the first round"),
    ("propose configs/dev.yaml --out runs/long", "the next round of a run"),
)


def propose(
    config: ConfigFile,
    overrides: Overrides,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Propose the next round of this run, or of that at a URL.",
            autocompletion=complete_run,
        ),
    ] = None,
) -> None:
    """Print one proposal, checked; train nothing."""
    loaded, record = load_config(config, overrides), Record()
    if out:
        with snapshot(out) as path:
            run = RunDirectory(path)
            if is_url(out):
                check_endpoints(out, run.config, local_copy(out) / run.config.name, loaded)
            loaded, record = run.load()
    _print_proposal(loaded, record)


def _print_proposal(config: RunConfig, record: Record) -> None:
    # Proposers and the checks of what they say take a second to import; a mistake is answered before.
    from search.engine.findings import brief
    from search.engine.proposers import new_proposer
    from search.engine.rounds import ask, checked
    from search.output.agent.proposal_table import cost_table, proposal_table

    people = console()
    answer = ask(config, new_proposer(config, None), brief(config, record))
    proposal, problems = checked(config, record, answer.proposal)
    for reason in [*(reason for lane in answer.lanes for reason in lane.refused), *map(str, problems)]:
        people.print(f"refused: {reason}", highlight=False, markup=False)
    people.print(proposal_table(proposal))
    if answer.lanes:
        people.print(cost_table(answer.lanes))
