"""Whether a student can fit a trial's memory at all: answered before anything is loaded."""

from functools import cache
from typing import Annotated, Literal

import torch
from pydantic import Field
from transformers import AutoModel, PretrainedConfig, PreTrainedModel

from trainers.component import Frozen
from trainers.components.students import Full, Lora, Probe, linear_layers
from trainers.models.head import CLASSES
from trainers.models.hub import HubModel, hub_shape
from trainers.models.toy_model import MAX_TOKENS, ToyModel, toy_shape
from trainers.training.deepspeed_engine import EngineConfig
from trainers.training.memory import ModelShape, on_device, predict_memory

GB = 10**9
REMEDIES = {
    "full": "set student to lora or probe",
    "lora": "lower student.lora.rank or set student to probe",
    "probe": "name a smaller strong model",
}


class Weights(Frozen):
    """Parameters of a model without its head.

    body: what every student holds, a vocabulary that it answers with included. head: what a new head adds, 0
    where it answers with its vocabulary. attention, mlp: inputs plus outputs, summed over the linear layers
    within attention blocks and outside of them, which is what LoRA adds for each rank.
    """

    body: Annotated[int, Field(ge=1)]
    head: Annotated[int, Field(ge=0)]
    attention: Annotated[int, Field(ge=0)]
    mlp: Annotated[int, Field(ge=0)]


class Room(Frozen):
    """The memory that each process of a trial has on its device, and the strong model that is to go there.

    gb: gigabytes of a device. length: tokens of the longest example. half: whether the model's weights are
    in bfloat16. world_size: how many processes share a trial.
    """

    gb: Annotated[float, Field(gt=0)]
    shape: ModelShape
    weights: Weights
    length: Annotated[int, Field(ge=1)]
    half: bool
    engine: EngineConfig
    world_size: Annotated[int, Field(ge=1)] = 1

    def refused(self, student: Full | Lora | Probe, batch_size: int) -> str | None:
        """Why the student does not fit, even one example at a time, on one line; None where it may."""
        one_by_one = self.engine.model_copy(update={"micro_batch": 1})
        needed = on_device(self._peak(student, batch_size, one_by_one)) / GB
        if needed <= self.gb:
            return None
        return (
            f"student.{student.kind} needs about {needed:.3g} GB on a device for a single example of "
            f"{self.length} tokens, but trial.memory_gb is {self.gb:.3g}: {REMEDIES[student.kind]}"
        )

    def needed(self, student: Full | Lora | Probe, batch_size: int) -> int:
        """The bytes of a device, margins included, that training needs with the engine's own micro-batch."""
        return on_device(self._peak(student, batch_size, self.engine))

    def _peak(self, student: Full | Lora | Probe, batch_size: int, engine: EngineConfig) -> int:
        trainable, frozen = trained_and_frozen(student, self.weights)
        if isinstance(student, Probe):  # its features are computed one by one at worst; the rest is nothing
            width = 2 if self.half else 4
            return width * (frozen + 2 * self.length * (self.shape.hidden + self.shape.intermediate))
        return predict_memory(
            self.shape,
            engine,
            trainable=trainable,
            frozen=frozen,
            batch_size=max(batch_size, self.world_size),
            length=self.length,
            world_size=self.world_size,
            half_body=self.half,
        ).device


def trained_and_frozen(student: Full | Lora | Probe, weights: Weights) -> tuple[int, int]:
    """How many parameters a student trains, and how many it only reads."""
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


@cache
def room_for(model: HubModel | ToyModel, engine: EngineConfig, gb: float, world_size: int) -> Room | None:
    """The room for students of this strong model; None where its settings do not tell its size.

    No weights are loaded. Raises ValueError, one line, where a hub model's settings cannot be read.
    """
    config = toy_shape(model.size) if isinstance(model, ToyModel) else hub_shape(model)
    if not hasattr(config, "num_attention_heads"):
        return None
    return Room(
        gb=gb,
        shape=ModelShape.of(config),
        weights=count_weights(config, answers_with_words=model.readout == "label_tokens"),
        length=MAX_TOKENS if isinstance(model, ToyModel) else model.max_length,
        half=isinstance(model, HubModel) and model.dtype == "bfloat16",
        engine=engine,
        world_size=world_size,
    )


def count_weights(config: PretrainedConfig, *, answers_with_words: bool) -> Weights:
    """The parameters of a model of this configuration, counted on one without storage."""
    with torch.device("meta"):
        body: PreTrainedModel = AutoModel.from_config(config)  # type: ignore[no-untyped-call]
    if getattr(body, "pooler", None) is not None:
        body.register_module("pooler", None)
    vocabulary = 0
    if answers_with_words and not getattr(config, "tie_word_embeddings", False):
        vocabulary = int(config.vocab_size) * int(config.hidden_size)
    return Weights(
        body=sum(parameter.numel() for parameter in body.parameters()) + vocabulary,
        head=0 if answers_with_words else CLASSES * (int(config.hidden_size) + 1),
        attention=_ends(body, "attention"),
        mlp=_ends(body, "mlp"),
    )


def _ends(body: PreTrainedModel, target: Literal["attention", "mlp"]) -> int:
    try:
        names = linear_layers(body, target)
    except ValueError:  # some bodies have no layers of one of the two kinds
        return 0
    weights = [body.get_parameter(f"{name}.weight") for name in names]
    return sum(size for weight in weights for size in weight.shape)
