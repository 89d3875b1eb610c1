"""The command `steer`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from search.cli.options import RunFolder
from search.cli.output import console, stdout_for_json, write_json
from search.config.schema import RunConfig
from search.ledger.record import Record
from search.steering.check import steered
from search.steering.order import Order, put_order, read_order, said, waiting
from search.storage.object_store import at_work, is_url, snapshot
from search.storage.run_directory import RunDirectory

EXAMPLES = (
    ("steer runs/long --trials 200", "more methods, or fewer"),
    ("steer runs/long --stop soft-labels --add mine.yaml", "a branch less and a branch of your own"),
    ("steer runs/long --pause", "no trial starts until --go-on"),
    ("steer runs/long --finish", "confirm what has been found so far"),
    ("steer runs/long", "what was asked and what became of it"),
)


def steer(
    directory: RunFolder,
    trials: Annotated[
        int | None, typer.Option(metavar="N", help="Methods to try in all, as search.trials.")
    ] = None,
    hours: Annotated[
        float | None, typer.Option(metavar="H", help="Hours of training in all, as search.max_hours.")
    ] = None,
    stop: Annotated[
        list[str] | None, typer.Option(metavar="BRANCH", help="Train this branch no further; repeatable.")
    ] = None,
    add: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Add the branch in a YAML or JSON file; repeatable."),
    ] = None,
    pause: Annotated[
        bool | None, typer.Option("--pause/--go-on", help="Hold back new trials, or let them start again.")
    ] = None,
    finish: Annotated[
        bool, typer.Option("--finish", help="End the search now and confirm, without further replicates.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write what was asked and what became of it as JSON.")
    ] = False,
) -> None:
    """Change the course of a run that is at work.

    The order is checked, then left as steer.yaml in the run directory; the run takes it at its next
    decision, within seconds, and writes it into its ledger. A mistake is refused here, and nothing is left.
    """
    wanted: dict[str, Any] = {"trials": trials, "hours": hours, "stop": stop, "pause": pause}
    wanted |= {"finish": finish or None, "add": [_branch(file) for file in add or ()] or None}
    asked = {name: value for name, value in wanted.items() if value not in (None, [])}
    with stdout_for_json(wanted=as_json), snapshot(directory) as path:
        config, record = RunDirectory(path).load()
        if asked:
            order = read_order(json.dumps(asked), "steer")
            _check(order, config, record)
            put_order(directory, order)
        _show(directory, record, as_json=as_json)


def _branch(file: Path) -> Any:
    try:
        branch = yaml.safe_load(file.read_text())
    except FileNotFoundError:
        raise ValueError(f"{file}: there is no such file") from None
    except RecursionError:
        raise ValueError(f"{file}: cannot be read as YAML: it is nested too deeply") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{file}: cannot be read as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(branch, dict):
        raise ValueError(f"{file}: must be a branch: its name and its slots")
    return branch


def _check(order: Order, config: RunConfig, record: Record) -> None:
    if refused := steered(order, config, record).refused:
        raise ValueError("; ".join(refused))


def _show(directory: str, record: Record, *, as_json: bool) -> None:
    left, orders = waiting(directory), record.course.orders
    if as_json:
        taken = [
            {"at": order.at, "by": order.by, "order": order.order, "said": list(order.sentences())}
            for order in orders
        ]
        write_json({"waiting": None if left is None else said(left), "taken": taken})
        return
    people = console()
    for order in orders:
        for sentence in order.sentences():
            people.print(f"{order.by}: {sentence}", highlight=False, soft_wrap=True)
    if left is not None:
        where = "in the storage" if is_url(directory) else "in steer.yaml"
        ended = record.interrupted or at_work(directory) is False
        when = "when it is resumed" if ended else "at its next decision"
        people.print(f"an order waits {where}; the run takes it {when}", highlight=False, soft_wrap=True)
