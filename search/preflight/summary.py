"""A check as a person reads it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

MUCH = 0.8  # of what is there
BUSY = 1.5  # processes that want a core, for each that there is


def summary(found: Mapping[str, Any]) -> RenderableType:
    """What `search.preflight.check.check` found: data, models, phases with their times, what to mind."""
    parts: list[RenderableType] = [Text(line) for line in _lines(found)]
    if found["seconds"]:
        parts += [_phases(found["seconds"]), Text(_uncounted(found))]
    parts += [Text(f"mind: {line}", style="yellow") for line in warnings(found)]
    return Group(*parts)


def duration(seconds: float) -> str:
    """Seconds as people say them: 45 s, 12 min, 3.5 h."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    memory, disk = found["memory"], found["disk"]
    for task in _tasks(found):
        yield from _task_lines(task)
    need = "not known" if memory["trial_gb"] is None else f"about {memory['trial_gb']:.2g} GB"
    yield (
        f"memory: {need} for a trial{_pieces(memory)}, {memory['at_once']} at once on this machine "
        f"({memory['device']}, {memory['there_gb']:.3g} GB)"
    )
    states = "not known" if disk["checkpoints_gb"] is None else f"at most {disk['checkpoints_gb']:.2g} GB"
    yield f"disk: checkpoints {states}, {disk['free_gb']:.3g} GB free"
    hours, price = found["dollars"].get("gpu_hours"), found["dollars"].get("gpu_usd")
    if hours or price is not None:
        used = "" if hours else " (trials use no GPU on this machine)"
        yield f"GPU-hours: {hours:.3g}{used}" + ("" if price is None else f", {price:.2f} dollars")
    if found["dollars"]["paid"]:
        yield f"dollars: at most {found['dollars']['at_most']:.2f} (agent.max_usd)"


def _tasks(found: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """What was found of each task; of the only one, which has no name."""
    return found.get("tasks") or [dict(found) | {"name": ""}]


def _task_lines(task: Mapping[str, Any]) -> Iterator[str]:
    data, steps = task["data"], task["steps"]
    of_it = f" of {task['name']}" if task["name"] else ""
    sizes = ", ".join(f"{split} {size}" for split, size in data["splits"].items())
    balance = "" if data["class_1"] is None else f"; {data['class_1']:.0%} of class 1"
    yield f"data{of_it}: {data['kind']}; {sizes}{balance}"
    for role, model in task["models"].items():
        size = "" if model["parameters"] is None else f", {_count(model['parameters'])} parameters"
        cut = data["truncated"].get(f"{role}.model", 0.0)
        yield (
            f"{role}: {model['model']} ({model['student']}{size}); {model['tokens_mean']:.0f} tokens on "
            f"average, {model['tokens_most']} at most, {cut:.0%} of the examples truncated"
        )
    yield (
        f"steps: {steps['naive']} of a training such as naive's; a trial is first judged after "
        f"{steps['first_rung']}"
    )


def _pieces(memory: Mapping[str, Any]) -> str:
    if memory["micro_batch"] is None:
        return ""
    checkpointing = " with gradient checkpointing" if memory["checkpointing"] else ""
    return f" in micro-batches of {memory['micro_batch']}{checkpointing}"


def _count(parameters: int) -> str:
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if parameters >= unit:
            return f"{parameters / unit:.3g} {name}"
    return str(parameters)


def _phases(seconds: Mapping[str, Any]) -> Table:
    table = Table(title="Predicted times on this machine", title_justify="left")
    for column in ("phase", "trainings", "one at a time", "on the clock"):
        table.add_column(column, justify="left" if column == "phase" else "right")
    table.add_row("a trial such as naive's", "1", duration(seconds["trial_s"]), "")
    table.add_section()
    table.add_row("start of the run", "", "", duration(seconds["start_s"]))
    for row in seconds["phases"]:
        table.add_row(row["name"], str(row["trainings"]), duration(row["train_s"]), duration(row["wall_s"]))
    table.add_row("result and report", "", "", duration(seconds["end_s"]))
    table.add_section()
    table.add_row("all", "", "", duration(seconds["wall_s"]))
    return table


def _uncounted(found: Mapping[str, Any]) -> str:
    """What the predicted times leave out."""
    agent = "the agent's answers, " if found["dollars"]["paid"] else ""
    start = duration(found["seconds"]["worker_s"])
    return (
        f"counted with the phases: {start} to start workers, for the baselines, the search and each hidden "
        f"task; not counted: {agent}downloads, uploads, waiting for room in a cluster, and trials that are "
        "lost and start again"
    )


def warnings(found: Mapping[str, Any]) -> Iterator[str]:
    """What does not stop a run and may spoil it, a sentence each."""
    for task in _tasks(found):
        start = f"{task['name']}: " if task["name"] else ""
        yield from (f"{start}{line}" for line in _of_task(task))
    if found["seconds"] and found["seconds"]["busy"] > BUSY:
        yield (
            f"{found['seconds']['busy']:.1f} processes wait for each core of this machine now; a run on an "
            "idle one is faster"
        )
    memory, disk = found["memory"], found["disk"]
    if memory["trial_gb"] is not None:
        together = memory["trial_gb"] * (1 if memory["device"] == "GPU" else memory["at_once"])
        if together > MUCH * memory["there_gb"]:
            yield (
                f"trials need about {together:.3g} GB of the {memory['there_gb']:.3g} GB there are: lower "
                "trial.concurrent, engine.micro_batch or max_length, or train a lora or a probe"
            )
    if disk["checkpoints_gb"] is not None and disk["checkpoints_gb"] > MUCH * disk["free_gb"]:
        yield (
            f"checkpoints may take {disk['checkpoints_gb']:.3g} GB of {disk['free_gb']:.3g} GB free: lower "
            "search.promotion.waiting, or choose another --out"
        )


def _of_task(task: Mapping[str, Any]) -> Iterator[str]:
    yield from task["data"]["lost"]
    balance = task["data"]["class_1"]
    if balance is not None and not 0.2 <= balance <= 0.8:
        yield f"{balance:.0%} of the examples are of class 1: accuracy says little of so uneven classes"
    if task["steps"]["merged"]:
        yield task["steps"]["merged"]
