"""A method of the search on other tasks: what it is there, and what its trainings take. Pure."""

from functools import partial
from typing import Any

from search.config.schema import RunConfig
from search.policy.ladder import Ladders, Places
from search.policy.seconds_by_task import SecondsByTask
from search.policy.training_seconds import Prices, TrainingSeconds
from trainers.components.optim import Adamw
from trainers.method import Method

SCALED = (
    "lr",
    "epochs",
    "batch_size",
)  # what suits one task's data and model, relative to what suits another's


def transferred(method: Method, here: RunConfig, there: RunConfig) -> Method:
    """The method on another task, where the naive baseline has another student or optimizer.

    The learning rate, the epochs and the batch keep their ratio to the naive baseline's, within their
    bounds: the search found them for this task's model and amount of data. A student that is the naive
    baseline's own becomes that of the other task. Everything else stays. here, there: the configs of the two
    tasks.
    """
    known, other = here.naive, there.naive
    return method.model_copy(
        update={
            "student": other.student if method.student == known.student else method.student,
            "optim": _scaled(method.optim, known.optim, other.optim),
        }
    )


def _scaled(optim: Adamw, known: Adamw, other: Adamw) -> Adamw:
    changed: dict[str, Any] = {}
    for name in SCALED:
        value, before, after = (getattr(one, name) for one in (optim, known, other))
        if before != after:
            changed[name] = after if value == before else _within_bounds(name, value * after / before)
    return optim.model_copy(update=changed)


def _within_bounds(name: str, value: float) -> float:
    field = Adamw.model_fields[name]
    low, high = (next(getattr(m, end) for m in field.metadata if hasattr(m, end)) for end in ("ge", "le"))
    bounded = min(max(value, low), high)
    return round(bounded) if field.annotation is int else float(bounded)


def prices_of(config: RunConfig) -> tuple[Prices, Ladders]:
    """The seconds of steps, which learn from what steps take, and the ladders of methods priced by them."""
    on_tasks = list(config.searched.values())
    pruning, there = config.search.pruning, [partial(transferred, here=config, there=one) for one in on_tasks]
    sizes = [one.task.splits for one in on_tasks]
    seconds = [TrainingSeconds(transfer=size.transfer, evaluated=size.search) for size in sizes]
    prices: Prices = SecondsByTask(seconds, there) if config.tasks else seconds[0]
    ladders = Ladders(
        prices,
        Places(pruning.rungs, tuple(config.searched)),
        examples=[size.transfer for size in sizes],
        min_steps=pruning.min_steps,
        there=there if config.tasks else (),
    )
    return prices, ladders
