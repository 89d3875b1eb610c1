"""The settings of several tasks: those that the search learns on, and hidden ones that it never sees."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from search.config.learners import LearnerConfig, SupervisorConfig
from trainers.component import Frozen
from trainers.data.settings import DatasetTask, ToyTask

OF_A_TASK = ("task", "weak", "strong")


class NamedTask(Frozen):
    """A task beside others: its data, and its models where they differ."""

    name: Annotated[
        str,
        Field(
            pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,31}$",
            description="What the outcome calls the task. No two have the same name.",
        ),
    ]
    task: Annotated[
        ToyTask | DatasetTask,
        Field(discriminator="kind", description="The examples and their four splits, as `task` has them."),
    ]
    weak: Annotated[SupervisorConfig | None, Field(description="Its weak supervisor. null: as `weak`.")] = (
        None
    )
    strong: Annotated[
        LearnerConfig | None,
        Field(
            description="Its strong student, with the naive baseline's optimizer there. null: as `strong`. "
            "Where it differs, the learning rates, epochs and batches of methods keep their ratio to the "
            "naive baseline's."
        ),
    ] = None


class SearchedTask(NamedTask):
    """One of several tasks that the search learns on. A method's score is over all of them."""


class HiddenTask(NamedTask):
    """A task that decides whether what was found holds elsewhere; nothing of it is read before confirmation.

    When the run begins, a process of its own checks the data and digests them; none of their content, labels
    or sizes reaches the search. Of its `search` split only the floor and the ceiling are predicted.
    """


def with_first_task(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with the first of `tasks` as `task`, and its models as those of tasks that name none.

    Raises ValueError, on one line, where both say something else.
    """
    first = settings["tasks"][0]
    if not isinstance(first, Mapping):
        return dict(settings)
    settings = dict(settings)
    for part in OF_A_TASK:
        of_first = first.get(part)
        if of_first is None:
            continue
        if settings.get(part) not in (None, of_first):
            place = "`task` and `tasks`" if part == "task" else f"`{part}` and `tasks.0.{part}`"
            raise ValueError(
                f"{place} say two things of the first task: leave one of them out (the models of the first "
                "task are also those of tasks that name none)"
            )
        settings[part] = of_first
    return settings
