"""What the finalists are worth on hidden tasks, as a table for the terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from search.output.fitting_table import FittingTable
from search.scoring.pgr import SIGNIFICANT_P

SEVERAL = 4  # tasks: fewer hardly say how much tasks differ, and an interval from them says nothing
COLUMNS = ("mean", "over naive", "95% interval", "p")


def hidden_tables(outcome: Mapping[str, Any]) -> Iterator[RenderableType]:
    """A table of the hidden tasks and what they decide in a sentence. outcome: with hidden tasks."""
    hidden = outcome["hidden"]
    tasks = [task["name"] for task in hidden["tasks"]]
    rows = [("naive", (*_naive_cells(hidden), signed(hidden["naive"]), "", "", "", ""))]
    searched = "the search's tasks" if outcome.get("tasks") else "the search's task"
    for place, row in enumerate(hidden["finalists"]):
        rows.append((row["branch"], tuple(_finalist_cells(outcome, place))))
    table = FittingTable(
        title="PGR on hidden tasks, which the search has never seen",
        columns=(*tasks, *COLUMNS, searched),
        first=(*tasks, "mean"),
        rows=rows,
    )
    yield table
    yield Text("\n".join(sentences(outcome)))


def _naive_cells(hidden: Mapping[str, Any]) -> Iterator[str]:
    for task in hidden["tasks"]:
        yield signed(task["naive"])


def _finalist_cells(outcome: Mapping[str, Any], place: int) -> Iterator[str]:
    hidden, row = outcome["hidden"], outcome["hidden"]["finalists"][place]
    method = outcome["finalists"][place]
    for task in hidden["tasks"]:
        found = [one for one in task["finalists"] if one["trial"] == method["trial"]]
        yield signed(found[0]) if found else "not run"
    over = row["over_naive"]
    interval = "" if over["ci95"] is None else "{:+.3f} to {:+.3f}".format(*over["ci95"])
    p = "" if row["beats_naive_p"] is None else f"{row['beats_naive_p']:.2g}"
    yield from (
        signed(row, none="–"),
        signed(over, sign="+", none="–"),
        interval,
        p,
        signed(method["over_naive"], sign="+"),
    )


def signed(row: Mapping[str, Any], *, sign: str = "", none: str = "no gap") -> str:
    """The PGR of a row of result.json. none: what stands for a missing one."""
    return none if row["pgr"] is None else f"{row['pgr']:{sign}.3f}"


def sentences(outcome: Mapping[str, Any]) -> Iterator[str]:
    """What the hidden tasks say of the best method, and which finalists they could not be asked about."""
    hidden = outcome["hidden"]
    best, tasks = hidden["best"], len(hidden["tasks"])
    if best["beats_naive_p"] is None:
        yield "no hidden task has both a gap and the best method: nothing is known of other tasks"
    else:
        gain, p, on = best["over_naive"], best["beats_naive_p"], len(best["on"])
        holds = "beats" if p < SIGNIFICANT_P else "is not shown to beat"
        yield (
            f"on {'the hidden task' if tasks == 1 else f'{on} of {tasks} hidden tasks'} the best {holds} the "
            f"naive baseline: {gain['pgr']:+.3f} (p = {p:.2g}){_shrinkage(outcome)}"
        )
        yield from further_task(gain, on)
    for task in hidden["tasks"]:
        for missing in task["missing"]:
            yield f"{missing['branch']} was not confirmed on {task['name']}: {missing['why']}"


def further_task(gain: Mapping[str, Any], tasks: int) -> Iterator[str]:
    """Where a method's gain would come out on a further task. tasks: that it was measured on."""
    if gain.get("new_task95") is not None and tasks >= SEVERAL:
        low, high = gain["new_task95"]
        yield f"on a further task of the kind it would gain {low:+.2f} to {high:+.2f} (95%)"


def _shrinkage(outcome: Mapping[str, Any]) -> str:
    lost = outcome["hidden"]["best"]["shrinkage"]
    if lost is None:
        return ""
    searched = "tasks that were searched" if outcome.get("tasks") else "task that was searched"
    return f"; {abs(lost):.3f} {'less' if lost > 0 else 'more'} than on the {searched}"
