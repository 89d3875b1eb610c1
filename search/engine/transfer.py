"""A method of the search on another task: what it is there, or why it cannot run. Pure."""

from typing import Any

from search.config.schema import RunConfig
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
