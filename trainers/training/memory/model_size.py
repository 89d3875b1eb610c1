"""The size of a strong model, counted without loading its weights."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal

import torch
import transformers

from trainers.components.students import linear_layers
from trainers.models.head import CLASSES
from trainers.models.hub import hub_shape
from trainers.models.settings import HubModel, ToyModel
from trainers.models.toy_model import MAX_TOKENS, toy_shape
from trainers.training.memory.activations import ModelShape
from trainers.training.memory.room import Room, Weights
from trainers.training.settings import EngineConfig

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel


@cache
def room_for(
    model: HubModel | ToyModel, engine: EngineConfig, gb: float, world_size: int, *, on_gpu: bool = False
) -> Room | None:
    """The memory and size of this strong model; None if its configuration does not give its size.

    Loads no weights. Raises ValueError, on one line, if a hub model's configuration cannot be read.
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
        on_gpu=on_gpu,
    )


def count_weights(config: PretrainedConfig, *, answers_with_words: bool) -> Weights:
    """The parameters of a model with this configuration, counted on a model without storage."""
    with torch.device("meta"):
        body: PreTrainedModel = transformers.AutoModel.from_config(config)
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
    except ValueError:  # some bodies have only attention or only MLP layers
        return 0
    weights = [body.get_parameter(f"{name}.weight") for name in names]
    return sum(size for weight in weights for size in weight.shape)
