"""The live view of a run, in its own process or from elsewhere: it reads events, and nothing else."""

import time
from collections.abc import Callable, Sequence
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from search.config.load import changed
from search.config.schema import RunConfig
from search.ledger.event import now
from search.ledger.events import AnyEvent
from search.ledger.log import LedgerFollower
from search.ledger.record import Record
from search.output.live_view.baselines import Baselines
from search.output.live_view.forecast import Forecast
from search.output.live_view.leaders import Leader, leaders
from search.output.live_view.progress import ClockS, duration, state, status, status_line
from search.storage.baseline_times import BaselineTimes, Line
from search.storage.run_directory import RunDirectory

REDRAW_S = 0.5
BRING_S = 10.0  # between two copies of a run that is elsewhere
RARELY = 20  # a drawing of many trials takes long: at most a twentieth of the time goes into it
LINE_S = 30.0  # between two lines if the output is no terminal


class View:
    """Redraws in place on a terminal; elsewhere prints a line every 30 s, so that a log stays readable."""

    def __init__(
        self,
        console: Console,
        config: RunConfig,
        record: Record,
        past: Sequence[AnyEvent] = (),
        baselines: Sequence[Line] = (),
    ) -> None:
        """record: must apply each event before `apply` does. past: the events that it has applied.

        baselines: what the run has written of those that it trains.
        """
        self._console = console
        self.record = record
        self._began_with = config
        self._forecast = Forecast(config, record)
        self.begin(baselines)
        for event in past:
            self._forecast.apply(event)
        self._live = (
            Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        )
        self._drawn = self._took_s = 0.0
        self._best: tuple[int, list[Leader]] = (-1, [])

    def __enter__(self) -> "View":
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def begin(self, lines: Sequence[Line]) -> None:
        """Take in what the run has written of its baselines, before its first event."""
        self.baselines = Baselines(self._began_with, lines)
        self._forecast.begin(self.baselines)

    def look(self, lines: Sequence[Line]) -> None:
        """Take in what the run has written of the baselines of hidden tasks since."""
        self.baselines = Baselines(self._began_with, lines)
        self._forecast.look(self.baselines)

    def apply(self, event: AnyEvent) -> None:
        """Take in an event that the record has applied."""
        self._forecast.apply(event)

    def restart(self, record: Record) -> None:
        """Show another record, from its first event on."""
        self.record, self._forecast = record, Forecast(self._began_with, record)
        self._forecast.begin(self.baselines)

    @property
    def config(self) -> RunConfig:
        """The config with what persons have changed since."""
        return changed(self._began_with, self.record.course.settings)

    def clock_s(self) -> ClockS | None:
        """Seconds by the clock that are left of each phase; None where nothing is known, or nothing runs."""
        return self._forecast.clock_s(now()) if state(self.record) == "in progress" else None

    def refresh(self) -> None:
        """Redraw if the last drawing is old enough."""
        at = time.monotonic()
        if at - self._drawn < (max(REDRAW_S, RARELY * self._took_s) if self._live else LINE_S):
            return
        self._drawn = at
        self._draw()
        self._took_s = time.monotonic() - at

    def _draw(self) -> None:
        clock_s = self.clock_s()
        if self._live:
            self._live.update(self.picture(clock_s, self._leaders()), refresh=True)
        else:
            left_s = None if clock_s is None else sum(clock_s.values())
            line = status_line(self.config, self.record, left_s)
            self._console.print(line, highlight=False, soft_wrap=True)

    def picture(self, clock_s: ClockS | None, best: list[Leader] | None = None) -> RenderableType:
        """The state of the run, with the baselines that train. clock_s, best: see `status`."""
        text = baselines_text(self.record, self.baselines)
        if text is None:
            return status(self.config, self.record, clock_s, best)
        trained, due = self.baselines.counts
        counts = None if due is None else (trained, due)
        return Group(text, status(self.config, self.record, clock_s, best, counts))

    def _leaders(self) -> list[Leader]:
        """The best methods; found anew only when there is another score."""
        scores = self.record.grader_queries["search"]
        if scores != self._best[0]:
            self._best = scores, leaders(self.config, self.record)
        return self._best[1]


def look(run: RunDirectory) -> View:
    """A run as it is now; raises ValueError if the directory holds none."""
    config, events = run.read()
    return View(Console(quiet=True), config, Record.of(events), events, BaselineTimes(run.path).lines())


def baselines_text(record: Record, baselines: Baselines) -> Text | None:
    """What a run does before its first event, and before it has read a hidden task; None otherwise.

    The name of a hidden task is there once the run has begun its baselines, and so has named it itself.
    """
    about, hidden = "weak floor and ceiling come first", baselines.hidden_task
    if record.started is not None:
        if not hidden or hidden in record.hidden_read or record.interrupted:
            return None
        about = f"weak floor and ceiling of {hidden}"
    trained, due = baselines.counts
    of = f"trained so far: {trained}" if due is None else f"{trained} of {due} trained"
    features_s = baselines.features_s(now())
    reading = "" if features_s is None else f", frozen features in about {duration(features_s)}"
    return Text(f"{about}; {of}{reading}")


def watch(
    run: RunDirectory,
    console: Console,
    bring: Callable[[], None] = lambda: None,
    at_work: Callable[[], bool | None] = lambda: None,
) -> Record:
    """Show a run of another process until it has finished or was interrupted, or that process is gone.

    Reads only, so it never stands in the way of that process. bring: brings what there is of a run that is
    elsewhere; called now and then. at_work: whether a process works on the run, None where nothing tells.
    Returns the record of what was seen. Raises ValueError where there is no run.
    """
    brought = time.monotonic()
    config, follower = run.read_config(), LedgerFollower(run.ledger)
    past = follower.read().events
    record = Record.of(past)
    times = BaselineTimes(run.path)
    view = View(console, config, record, past, times.lines())
    with view:
        works: bool | None = True
        while not (record.finished or record.interrupted or works is False):
            if record.started is None:
                view.begin(times.lines())
            elif record.confirming:
                view.look(times.lines())
            view.refresh()
            time.sleep(REDRAW_S)
            if time.monotonic() - brought > BRING_S:
                bring()
                brought = time.monotonic()
            works = at_work()  # before the last events are read: a process may end well meanwhile
            new = follower.read()
            if new.restarted:
                record = Record()
                view.restart(record)
            for event in new.events:
                record.apply(event)
                view.apply(event)
    console.print(status(view.config, record))
    return record
