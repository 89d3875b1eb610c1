"""What the finalists are worth on each of several searched tasks, as a table for the terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from search.output.fitting_table import FittingTable
from search.output.hidden_table import further_task, signed
from search.scoring.objective import SAYS, Objective


def searched_tables(outcome: Mapping[str, Any]) -> Iterator[RenderableType]:
    """A table of the search's tasks and what they say in sentences; nothing where there is one task."""
    tasks = _several(outcome)
    if not tasks:
        return
    names = [task["name"] for task in tasks]
    rows = [("naive", (*(signed(task["naive"]) for task in tasks), signed(outcome["naive"])))]
    for place, row in enumerate(outcome["finalists"]):
        cells = [signed(task["finalists"][place]) for task in tasks]
        rows.append((row["branch"], (*cells, signed(row))))
    yield FittingTable(
        title="PGR on each of the search's tasks",
        columns=(*names, "mean"),
        first=(*names, "mean"),
        rows=rows,
    )
    yield Text("\n".join(searched_sentences(outcome)))


def searched_sentences(outcome: Mapping[str, Any]) -> Iterator[str]:
    """The best's gain on each of several searched tasks, what a further one may show, and what it won by.

    Nothing where there is one task.
    """
    gains = [(task["name"], task["finalists"][0]["over_naive"]) for task in _several(outcome)]
    if not gains:
        return
    on_each = ", ".join(f"{signed(gain, sign='+')} on {name}" for name, gain in gains)
    yield f"the best over naive: {on_each}"
    with_gap = sum(gain["pgr"] is not None for _, gain in gains)
    yield from further_task(outcome["best"]["over_naive"], with_gap)
    objective: Objective = outcome.get("objective") or "mean"
    if objective != "mean":
        yield f"search PGR, by which methods were chosen, is not a mean over the tasks but {SAYS[objective]}"


def _several(outcome: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    tasks = outcome.get("tasks") or ()
    return tasks if len(tasks) > 1 else ()
