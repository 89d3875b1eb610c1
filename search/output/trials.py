"""Every trial of a run, a row each: for a table, CSV, Parquet or JSON."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from agents.findings.differences import differences
from search.config.schema import RunConfig
from search.ledger.record import Record
from search.ledger.trial_record import TrialRecord
from trainers.files import replacing
from trainers.printable import one_line

Row = dict[str, Any]
FIRST_OF_A_FORMULA = "=+-@"  # a spreadsheet would compute a cell of text that begins so


def trial_rows(config: RunConfig, record: Record) -> list[Row]:
    """A row a trial, in the order of their first starts. All values are numbers, texts, or None.

    by: agent for a draw that the agent named within a round. task: the name of a hidden task, empty for the
    search's own. pgr, se, accuracy: at the best rung, on the
    search split; None for trials of the confirmation, whose results are in result.json. pgr_at_SHARE: at
    every rung of any trial. pgr_on_TASK: of several searched tasks, on each at the best rung; before a rung
    on all tasks, on those that it has been on. stop: where training of the best rung ended, as a share
    of the method's own. seconds: setup, training and evaluation. state: running or paused for a trial that
    has not ended. cause: of its end. method: what naive has not. settings: the whole method as JSON.
    """
    shares = sorted({share for trial in record.trials.values() for share in trial.rungs})
    return [_row(config, record, trial, shares) for trial in record.trials.values()]


def _row(config: RunConfig, record: Record, trial: TrialRecord, shares: Sequence[float]) -> Row:
    branch, best = record.branches.get(trial.branch), trial.best
    row: Row = {
        "trial": trial.trial,
        "purpose": trial.purpose,
        "branch": trial.branch,
        "by": trial.by,
        "task": trial.task,
        "family": branch.branch.family if branch else None,
        "round": branch.round if branch else None,
        "seed": trial.seed,
        "supervisor": config.supervisor(trial.seed),
        "state": trial.state_now,
        "cause": trial.cause,
        "pgr": best.pgr if best else None,
        "se": best.se if best else None,
        "accuracy": best.accuracy if best else None,
        "stop": best.share if best else None,
        "share": trial.last.share if trial.last else None,
        "seconds": trial.seconds,
        "started_at": trial.started_at,
        "ended_at": trial.ended_at,
        "micro_batch": trial.micro_batch,
        "digest": trial.method.digest,
    }
    for share in shares:
        row[f"pgr_at_{share:.4g}"] = trial.rungs[share].pgr if share in trial.rungs else None
    for task in config.tasks:
        row[f"pgr_on_{task.name}"] = trial.best_on_tasks.get(task.name)
    row["method"] = differences(trial.method, config.naive)
    row["settings"] = trial.method.model_dump_json()
    return row


def trials_table(rows: Sequence[Row]) -> Table:
    """The rows for a terminal, best PGR first, then those without one."""
    table = Table(title=f"{len(rows)} trial{'s' * (len(rows) != 1)}", title_justify="left")
    for column in ("trial", "purpose", "branch", "end", "stops at", "PGR", "± SE", "seconds", "method"):
        is_number = column in ("stops at", "PGR", "± SE", "seconds")
        table.add_column(column, justify="right" if is_number else "left")
    for row in sorted(rows, key=lambda row: -(float("-inf") if row["pgr"] is None else row["pgr"])):
        end = row["state"] + (f": {row['cause']}" if row["cause"] else "")
        table.add_row(
            Text(str(row["trial"])),
            Text(f"{row['purpose']}: {row['task']}" if row["task"] else row["purpose"]),
            Text(str(row["branch"])),
            Text(one_line(end)),
            *(_number(row[key], form) for key, form in (("stop", ".0%"), ("pgr", ".3f"), ("se", ".3f"))),
            f"{row['seconds']:.1f}",
            Text(row["method"]),
        )
    return table


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def as_csv(rows: Sequence[Row]) -> str:
    """The rows as CSV with a header; empty cells for None, and texts that no spreadsheet computes."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _cell(value) for key, value in row.items()})
    return text.getvalue()


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    plain = one_line(value)
    return f"'{plain}" if plain.startswith(tuple(FIRST_OF_A_FORMULA)) else plain


def write_parquet(rows: Sequence[Row], path: Path) -> None:
    """Write the rows to a Parquet file, whole or not at all; raises ValueError where it cannot be written."""
    import pyarrow as pa  # half a second, which no other form needs
    from pyarrow import parquet

    try:
        with replacing(path) as file:
            parquet.write_table(pa.Table.from_pylist(list(rows)), file)
    except OSError as error:
        raise ValueError(f"--parquet {path}: cannot be written ({error.strerror or error})") from None
