"""The settings of hidden tasks: data that the search never sees and that its finalists are confirmed on."""

from typing import Annotated

from pydantic import Field

from search.config.learners import LearnerConfig, SupervisorConfig
from trainers.component import Frozen
from trainers.data.settings import DatasetTask, ToyTask


class HiddenTask(Frozen):
    """A task that decides whether what was found holds elsewhere; nothing of it is read before confirmation.

    When the run begins, a process of its own checks the data and digests them; none of their content, labels
    or sizes reaches the search.
    """

    name: Annotated[
        str,
        Field(
            pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,31}$",
            description="What the outcome calls the task. No two have the same name.",
        ),
    ]
    task: Annotated[
        ToyTask | DatasetTask,
        Field(
            discriminator="kind",
            description="The examples and their four splits, as `task` has them. Of `search` only the floor "
            "and the ceiling are predicted.",
        ),
    ]
    weak: Annotated[SupervisorConfig | None, Field(description="Its weak supervisor. null: as `weak`.")] = (
        None
    )
    strong: Annotated[
        LearnerConfig | None,
        Field(
            description="Its strong student, with the naive baseline's optimizer there. null: as `strong`. "
            "Where it differs, the learning rates, epochs and batches of finalists keep their ratio to the "
            "naive baseline's."
        ),
    ] = None
