"""The settings of the weak supervisor and the strong student: a model, and how it is trained."""

from typing import Annotated

from pydantic import Field

from search.config.seeds import PanelConfig
from trainers.component import Frozen
from trainers.components.optim import Adamw
from trainers.components.students import Full, StudentConfig, SupervisorStudent
from trainers.models.settings import ModelConfig


class TrainedConfig(Frozen):
    """A model, and how it is trained on ground truth."""

    model: Annotated[ModelConfig, Field(description="The model, of kind `hub` or `toy`.")]
    student: Annotated[
        SupervisorStudent,
        Field(
            discriminator="kind",
            description="Which of its weights are trained: `full`, `lora` or `probe`; or `bag_of_words`, a "
            "weak supervisor that costs next to nothing.",
        ),
    ] = Full()
    optim: Annotated[Adamw, Field(description="The optimizer and its schedule.")]


class SupervisorConfig(TrainedConfig):
    """The weak supervisor: a model, or a panel of several, and how each is trained on ground truth."""

    panel: Annotated[PanelConfig, Field(description="Weak models that label together.")] = PanelConfig()


class LearnerConfig(TrainedConfig):
    """A model, and how it is trained: on ground truth, and as the naive baseline on weak labels."""

    student: Annotated[
        StudentConfig,
        Field(
            discriminator="kind", description="Which of its weights are trained: `full`, `lora` or `probe`."
        ),
    ] = Full()
