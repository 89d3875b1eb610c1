"""The state of a run: its phases, its best methods, what was pruned; as a picture, a line or plain values."""

from collections.abc import Container, Iterator, Mapping
from statistics import fmean
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from agents.findings.round_proposal import entropy_bits, family_shares
from search.config.schema import RunConfig
from search.engine.compared.naive import naive_pgrs, naive_search_pgr
from search.ledger.record import Record
from search.ledger.trial_record import TrialRecord
from search.output.live_view.forecast import Part
from search.output.live_view.leaders import Leader, leaders, let_go
from search.output.live_view.phases import counts, ended, named, phases, total
from search.output.live_view.remaining import planned
from search.output.openings import openings_part, openings_text

WIDTH = 80  # columns that the picture fits into
BRANCH = 28  # columns of a branch's name; the rest of a longer one is left out
LET_GO, ORDERS, FAMILIES = 5, 3, 3  # branches, orders and families that are shown
TASKS = 4  # of which the best methods' PGRs stand beside each other
NAME, FREE = 18, 32  # columns of a branch's name beside those of tasks, which share the free ones

ClockS = Mapping[Part, float]


def state(record: Record) -> str:
    """finished, interrupted, paused or in progress; a killed run left no event and counts as in progress."""
    if record.finished:
        return "finished"
    if record.interrupted:
        return "interrupted"
    return "paused" if record.course.paused else "in progress"


def status_line(config: RunConfig, record: Record, left_s: float | None) -> str:
    """The state of a run as a line of text."""
    left = "" if left_s is None else f", about {duration(left_s)} left"
    now = "" if state(record) == "in progress" else f"{state(record)}, "
    return (
        f"{now}round {record.rounds}: {ended(record)} of {total(config, record)} trials ended "
        f"({record.ended('pruned')} pruned, {record.ended('failed')} failed), "
        f"best search PGR {_pgr(record.best())}{left}"
    )


def status(
    config: RunConfig,
    record: Record,
    clock_s: ClockS | None = None,
    best: list[Leader] | None = None,
    baselines: tuple[int, int] | None = None,
) -> RenderableType:
    """The state of a run within 80 columns. clock_s: seconds that are left of each phase.

    best: its best methods, where they are known already. baselines: while some train, how many have been
    trained and how many are to be.
    """
    found = leaders(config, record) if best is None else best
    bars = Table.grid(padding=(0, 2))
    if baselines is not None:
        trained, due = baselines
        _bar(bars, "baselines", trained, due, f"{trained} of {due}", (clock_s or {}).get("baselines"))
    for phase in phases(config, record, clock_s):
        _bar(bars, phase.name, phase.ended, phase.planned, phase.count, phase.left_s, again=phase.again)
    parts: list[RenderableType] = [_head(config, record, clock_s), bars]
    if found:
        parts += _leaders(found, naive_pgrs(config, record))
    parts += _let_go(record, {leader.branch for leader in found})
    return Group(*parts, *_families(config, record), *_orders(record), *_openings(config, record))


def _head(config: RunConfig, record: Record, clock_s: ClockS | None) -> Text:
    left = "" if clock_s is None else f"\nabout {duration(sum(clock_s.values()))} left"
    return Text(
        f"{state(record)}, round {record.rounds}: {ended(record)} of {total(config, record)} trials ended "
        f"({record.ended('pruned')} pruned, {record.ended('failed')} failed){left}"
    )


def _bar(
    bars: Table, name: str, ended: int, planned: int, count: str, left_s: float | None, *, again: bool = False
) -> None:
    bar = ProgressBar(total=max(1, planned), completed=ended, width=26)
    time = "" if left_s is None or ended >= planned else f"about {duration(left_s)}"
    if again and not time:
        time = "another is due"
    bars.add_row(Text(name), bar, Text(count), Text(time))


def _leaders(best: list[Leader], of_naive: Mapping[int, float]) -> Iterator[RenderableType]:
    """The best methods, and naive on the search split once it was trained there."""
    tasks = list(best[0].on_tasks)
    shown = tasks if len(tasks) <= TASKS else []
    table = _table("the best so far, of branch", "PGR", "at least", "seeds", "stops at")
    if shown:
        table = _table("the best so far", "PGR", width=NAME)
        for task in shown:
            wide = min(FREE // len(shown) - 2, max(6, len(task)))
            table.add_column(Text(task), justify="right", width=wide, no_wrap=True, overflow="ellipsis")
        for column in ("at least", "seeds", "stop"):
            table.add_column(column, justify="right")
    for leader in best:
        on_tasks = [_pgr_on(leader.on_tasks.get(task)) for task in shown]
        row = f"{leader.lower:.3f}", str(leader.seeds), f"{leader.stop:.0%}"
        table.add_row(Text(leader.branch), f"{leader.pgr:.3f}", *on_tasks, *row)
    if of_naive:
        mean, blank = f"{fmean(of_naive.values()):.3f}", ["" for _ in shown]
        table.add_row(Text("naive, to compare"), mean, *blank, "", str(len(of_naive)), "")
    yield table
    if len(tasks) > TASKS:
        yield Text(f"PGR is over {len(tasks)} tasks; status --json has it on each")


def _pgr_on(pgr: float | None) -> str:
    return "–" if pgr is None else f"{pgr:.3f}"


def _let_go(record: Record, best: Container[str]) -> Iterator[RenderableType]:
    """Branches that train no further. best: those that stand above already."""
    found = [branch for branch in let_go(record) if branch.branch not in best]
    if not found:
        return
    table = _table("let go", "trials", "why", "best PGR", "at")
    for branch in found[:LET_GO]:
        shown = ("–", "–") if branch.best is None else (f"{branch.best:.3f}", f"{branch.at:.0%}")
        table.add_row(Text(branch.branch), str(branch.trials), branch.why, *shown)
    yield table
    if (more := len(found) - LET_GO) > 0:
        yield Text(f"and {more} more")


def _families(config: RunConfig, record: Record) -> Iterator[Text]:
    """The largest families among all branches and how evenly they share them; nothing without a search."""
    if config.methods or not record.branches:
        return
    shares = _shares(record)
    largest = ", ".join(f"{name} {share:.0%}" for name, share in list(shares.items())[:FAMILIES])
    more = f" and {len(shares) - FAMILIES} more" if len(shares) > FAMILIES else ""
    entropy = f"entropy {entropy_bits(list(shares.values())):.2f} bits"
    yield Text(f"families: {largest}{more}\n{len(record.branches)} branches, {entropy}")


def _shares(record: Record) -> dict[str, float]:
    return family_shares([found.branch for found in record.branches.values()])


def _orders(record: Record) -> Iterator[Text]:
    for order in record.course.orders[-ORDERS:]:
        for sentence in order.sentences():
            yield Text(f"{order.by}: {sentence}")


def _openings(config: RunConfig, record: Record) -> Iterator[Text]:
    if said := openings_text(openings_part(record, config.from_runs)):
        yield Text(said)


def _table(first: str, *others: str, width: int = BRANCH) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(first, width=width, no_wrap=True, overflow="ellipsis")
    for column in others:
        table.add_column(column, justify="right")
    return table


def status_json(config: RunConfig, record: Record, clock_s: ClockS | None = None) -> dict[str, Any]:
    """The state of a run as plain values; `best` is None until a trial has reached a rung.

    test_split, from_runs: as in result.json; test_split is None before it was opened.
    """
    best, shares = record.best(), _shares(record)
    opened = openings_part(record, config.from_runs)
    return {
        "run": record.started.run if record.started else None,
        "id": record.started.id if record.started else None,
        "state": state(record),
        "finished": record.finished,
        "rounds": record.rounds,
        "branches": len(record.branches),
        "families": shares,
        "entropy_bits": entropy_bits(list(shares.values())),
        "trials": {end: record.ended(end) for end in ("completed", "pruned", "failed")},
        "phases": counts(record),
        "ended": ended(record),
        "planned": planned(config, record).total(),
        "left_s": None if clock_s is None else sum(clock_s.values()),
        "left_by_phase": None if clock_s is None else named(clock_s),
        "best": None if best is None else {"trial": best.trial, "pgr": best.best_pgr},
        "naive": {"pgr": naive_search_pgr(config, record), "seeds": len(naive_pgrs(config, record))},
        "leaders": [vars(leader) for leader in leaders(config, record)],
        "steered": [
            {"at": order.at, "by": order.by, "said": list(order.sentences())}
            for order in record.course.orders
        ],
        "test_openings": record.test_openings,
        "test_split": opened["test_split"],
        "from_runs": opened["from_runs"],
    }


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
