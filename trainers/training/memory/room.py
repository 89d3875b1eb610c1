"""Checks whether a student fits a trial's memory, without loading any weights."""

from typing import Annotated, Any

from pydantic import Field

from trainers.component import Frozen
from trainers.components.students import Full, Lora, Probe, StudentConfig
from trainers.training.memory.activations import ModelShape
from trainers.training.memory.choice import fitted
from trainers.training.memory.prediction import on_device, predict_memory, training_room
from trainers.training.settings import EngineConfig

GB = 10**9
REMEDIES = {
    "full": "set student to lora or probe",
    "lora": "lower student.lora.rank or set student to probe",
    "probe": "name a smaller strong model",
}


class Weights(Frozen):
    """The numbers of parameters of a strong model.

    attention and mlp are inputs plus outputs, summed over linear layers: what LoRA adds for each rank.
    """

    body: Annotated[
        int, Field(ge=1, description="parameters that every student holds, with a vocabulary that answers")
    ]
    head: Annotated[int, Field(ge=0, description="parameters of a new head, 0 where the vocabulary answers")]
    attention: Annotated[
        int, Field(ge=0, description="inputs plus outputs of the linear layers in attention blocks")
    ]
    mlp: Annotated[int, Field(ge=0, description="inputs plus outputs of all other linear layers")]


class Room(Frozen):
    """The device memory of each process of a trial, and the strong model that has to fit."""

    gb: Annotated[float, Field(gt=0, description="memory of a device, in gigabytes (10^9 bytes)")]
    shape: Annotated[ModelShape, Field(description="layers and widths of the strong model")]
    weights: Annotated[Weights, Field(description="parameters of the strong model")]
    length: Annotated[int, Field(ge=1, description="tokens of the longest example")]
    half: Annotated[bool, Field(description="whether the pretrained weights are in bfloat16")]
    engine: Annotated[EngineConfig, Field(description="how trainings run")]
    world_size: Annotated[int, Field(ge=1, description="processes that share a trial")] = 1
    on_gpu: Annotated[bool, Field(description="whether the device is a GPU")] = False

    def refused(self, student: StudentConfig, batch_size: int, *, evolves: bool = False) -> str | None:
        """The reason, on one line, why the student does not fit even a single example; None if it may fit.

        evolves: whether an evolution strategy follows its training.
        """
        checkpointed = self.engine.gradient_checkpointing is not False
        single = self.engine.model_copy(update={"micro_batch": 1, "gradient_checkpointing": checkpointed})
        peak = self._peak(student, batch_size, single)
        needed = on_device(max(peak, self._evolution(student)) if evolves else peak) / GB
        if needed <= self.gb:
            return None
        return (
            f"student.{student.kind} needs about {needed:.3g} GB on a device for a single example of "
            f"{self.length} tokens, but trial.memory_gb is {self.gb:.3g}: {REMEDIES[student.kind]}"
        )

    def needed(self, student: StudentConfig, batch_size: int) -> int:
        """The device memory in bytes, margins included, that training needs with the engine's settings.

        A micro-batch that is open counts as all of the batch, open checkpointing as none.
        """
        return on_device(self._peak(student, batch_size, self.engine))

    def chosen(self, student: StudentConfig, batch_size: int) -> "Room":
        """The same, its engine with the micro-batch and the checkpointing that a training would choose here.

        A probe keeps no activations: its engine stays as it is.
        """
        if isinstance(student, Probe):
            return self
        engine = fitted(
            self.shape, self.engine, training_room(int(self.gb * GB)), **self._sizes(student, batch_size)
        )
        return self.model_copy(update={"engine": engine})

    def _peak(self, student: StudentConfig, batch_size: int, engine: EngineConfig) -> int:
        if isinstance(student, Probe):  # computing features a single example at a time is the peak
            width = 2 if self.half else 4
            _, frozen = trained_and_frozen(student, self.weights)
            return width * (frozen + 2 * self.length * (self.shape.hidden + self.shape.intermediate))
        return predict_memory(self.shape, engine, **self._sizes(student, batch_size)).device

    def _sizes(self, student: StudentConfig, batch_size: int) -> dict[str, Any]:
        trainable, frozen = trained_and_frozen(student, self.weights)
        return {
            "trainable": trainable,
            "frozen": frozen,
            "batch_size": max(batch_size, self.world_size),
            "length": self.length,
            "world_size": self.world_size,
            "half_body": self.half,
            "on_gpu": self.on_gpu,
        }

    def _evolution(self, student: StudentConfig) -> int:
        """Bytes of an evolution strategy: all weights, in float32 those that move, their copies and a draw.

        It has no gradients, and no member of a gang leaves weights to others.
        """
        trainable, frozen = trained_and_frozen(student, self.weights)
        width = 2 if self.half or self.engine.precision == "bf16" else 4
        one_example = 2 * width * self.length * (self.shape.hidden + self.shape.intermediate)
        return width * frozen + 4 * 4 * trainable + one_example


def trained_and_frozen(student: StudentConfig, weights: Weights) -> tuple[int, int]:
    """How many parameters a student trains, and how many stay frozen."""
    match student:
        case Full():
            return weights.body + weights.head, 0
        case Lora():
            sizes = {
                "all": weights.attention + weights.mlp,
                "attention": weights.attention,
                "mlp": weights.mlp,
            }
            return student.rank * sizes[student.target] + weights.head, weights.body
        case Probe():
            return weights.head, weights.body
