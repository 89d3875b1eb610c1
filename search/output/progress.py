"""The live view of a run: rounds, branches, trials, the best PGR with its error, the time left."""

import time
from types import TracebackType
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search.config.schema import RunConfig
from search.ledger.log import LedgerFollower
from search.ledger.record import BranchRecord, Record, TrialRecord
from search.output.remaining import planned, trained_s, training_left_s
from search.storage.run_directory import RunDirectory

REDRAW_S = 0.5
LINE_S = 30.0  # between two lines if the output is no terminal


class View:
    """Redraws in place on a terminal; elsewhere prints a line every 30 s, so that a log stays readable."""

    def __init__(self, console: Console, config: RunConfig, record: Record) -> None:
        self._console = console
        self._config = config
        self._record = record
        self._live = (
            Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        )
        self._drawn = 0.0
        self._started = time.monotonic()
        self._trained_before_s = trained_s(record)

    def __enter__(self) -> "View":
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, record: Record) -> None:
        """Show a newer record of the same run."""
        self._record = record
        self.refresh()

    def refresh(self) -> None:
        """Redraw if the last drawing is old enough."""
        now = time.monotonic()
        if now - self._drawn < (REDRAW_S if self._live else LINE_S):
            return
        self._drawn = now
        if self._live:
            self._live.update(status(self._config, self._record, self.left_s()), refresh=True)
        else:
            self._console.print(
                status_line(self._config, self._record, self.left_s()), highlight=False, soft_wrap=True
            )

    def left_s(self) -> float | None:
        """Seconds left at the pace of this process, or None until one of its trainings has reached a rung."""
        trained = trained_s(self._record) - self._trained_before_s
        left = training_left_s(self._config, self._record)
        if trained <= 0 or left is None:
            return None
        return left * (time.monotonic() - self._started) / trained


def watch(run: RunDirectory, console: Console) -> None:
    """Show a run of another process until it has finished or was interrupted.

    Reads only, so it never stands in the way of that process. Raises ValueError where there is no run.
    """
    config, follower = run.read_config(), LedgerFollower(run.ledger)
    record = Record.of(follower.read().events)
    with View(console, config, record) as view:
        while not (record.finished or record.interrupted):
            view.show(record)
            time.sleep(REDRAW_S)
            new = follower.read()
            if new.restarted:
                record = Record()
            for event in new.events:
                record.apply(event)
    console.print(status(config, record, None))


def state(record: Record) -> str:
    """finished, interrupted or in progress; a killed run left no event and counts as in progress."""
    if record.finished:
        return "finished"
    return "interrupted" if record.interrupted else "in progress"


def ended(record: Record) -> int:
    """The number of ended trials, confirmation included."""
    return len(record.trials) - len(record.unfinished())


def status_line(config: RunConfig, record: Record, left_s: float | None) -> str:
    """The state of a run as a line of text."""
    left = "" if left_s is None else f", about {duration(left_s)} left"
    now = "" if state(record) == "in progress" else f"{state(record)}, "
    return (
        f"{now}round {record.rounds}: {ended(record)} of {planned(config, record).total()} trials ended "
        f"({record.ended('pruned')} pruned, {record.ended('failed')} failed), "
        f"best search PGR {_pgr(record.best())}{left}"
    )


def status(config: RunConfig, record: Record, left_s: float | None) -> RenderableType:
    """The state of a run as a table of its branches under a progress bar."""
    table = Table(box=None, pad_edge=False)
    for column in ("branch", "round", "trials", "running", "pruned", "failed", "best PGR"):
        table.add_column(column, justify="left" if column == "branch" else "right")
    for branch in record.branches.values():
        table.add_row(*_branch_cells(branch, record))
    bar = Table.grid(padding=(0, 1))
    bar.add_row(
        ProgressBar(total=planned(config, record).total(), completed=ended(record), width=30),
        Text(status_line(config, record, left_s)),
    )
    return Group(bar, table)


def status_json(config: RunConfig, record: Record) -> dict[str, Any]:
    """The state of a run as plain values; `best` is None until a trial has reached a rung."""
    best = record.best()
    return {
        "run": record.started.run if record.started else None,
        "state": state(record),
        "finished": record.finished,
        "rounds": record.rounds,
        "branches": len(record.branches),
        "trials": {state: record.ended(state) for state in ("completed", "pruned", "failed")},
        "ended": ended(record),
        "planned": planned(config, record).total(),
        "best": None if best is None else {"trial": best.trial, "pgr": best.best_pgr},
    }


def _branch_cells(branch: BranchRecord, record: Record) -> tuple[str | Text, ...]:
    name = branch.branch.name
    tally = record.tally("search", name)
    return (
        Text(name),
        str(branch.round),
        str(tally.started),
        *map(str, (tally.running, tally.ended["pruned"], tally.ended["failed"])),
        _pgr(tally.best),
    )


def _pgr(trial: TrialRecord | None) -> str:
    if trial is None or trial.best is None:
        return "none yet"
    return f"{trial.best.pgr:.3f} ± {trial.best.se:.3f}"


def duration(seconds: float) -> str:
    """Seconds as "1 h 2 min", "1 min 2 s" or "2 s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
