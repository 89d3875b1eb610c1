"""How the models of a config would be trained on a GPU: pieces, memory, and the speed that follows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PretrainedConfig, Qwen2Config

from benchmarks.gpu.figures import Figure, pace
from benchmarks.training.models import QWEN3, qwen3
from search.config.learners import TrainedConfig
from search.preflight.forecast import steps_of
from search.preflight.speed import Speed, is_frozen
from trainers.components.students import BagOfWords, Full
from trainers.data.tokens import bucket, length_batches
from trainers.models.hub import hub_shape
from trainers.models.settings import HubModel
from trainers.training.compilation import LEAST_PARAMETERS, long_enough, padded_lengths
from trainers.training.memory.activations import ModelShape
from trainers.training.memory.choice import fitted
from trainers.training.memory.model_size import count_weights
from trainers.training.memory.prediction import on_device, predict_memory, training_room
from trainers.training.memory.room import trained_and_frozen
from trainers.training.settings import EngineConfig

# The published shapes, so that a plan needs no hub.
SHAPES: dict[str, PretrainedConfig] = {
    "Qwen/Qwen3-4B-Base": qwen3(**QWEN3["Qwen3-4B"]),
    "Qwen/Qwen3-0.6B-Base": qwen3(**QWEN3["Qwen3-0.6B"]),
    "Qwen/Qwen1.5-0.5B-Chat": Qwen2Config(
        hidden_size=1024,
        intermediate_size=2816,
        num_hidden_layers=24,
        num_attention_heads=16,
        num_key_value_heads=16,
        tie_word_embeddings=True,
    ),
}
LOAD_S, START_S, HEAD_STEP_S = 30.0, 0.5, 0.001  # assumed
COMPILE_S = {True: 12.0, False: 6.0}  # a padded length, by whether the model has a billion weights and more

Lengths = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Pass:
    """How a model is trained: what a training would choose, and the speed that follows. bytes: predicted."""

    model: str
    micro_batch: int | None
    checkpointing: bool
    compiled: bool
    bytes: int
    speed: Speed


def planned(
    learner: TrainedConfig,
    config: PretrainedConfig,
    engine: EngineConfig,
    lengths: Lengths,
    figures: Sequence[Figure],
    gpu_bytes: int,
) -> Pass:
    """The passes of a model's training on examples of these lengths."""
    if isinstance(learner.student, BagOfWords):
        speed = Speed(load_s=0.0, start_s=START_S, step_s=HEAD_STEP_S, row_s=0.0)
        return Pass(
            model="words", micro_batch=None, checkpointing=False, compiled=False, bytes=0, speed=speed
        )
    shape, words = ModelShape.of(config), learner.model.readout == "label_tokens"
    weights = count_weights(config, answers_with_words=words)
    trainable, frozen = trained_and_frozen(learner.student, weights)
    untied = words and not getattr(config, "tie_word_embeddings", False)
    linear = weights.body - int(config.vocab_size) * shape.hidden * (2 if untied else 1)
    steps, batch = steps_of(learner, len(lengths)), learner.optim.batch_size
    compiled = _compiles(engine, linear) and (
        engine.compile == "on" or long_enough(padded_lengths(lengths, batch), steps)
    )
    sizes: dict[str, Any] = {
        "trainable": trainable,
        "frozen": frozen,
        "batch_size": batch,
        "length": int(lengths.max()),
        "half_body": isinstance(learner.model, HubModel) and learner.model.dtype == "bfloat16",
        "on_gpu": True,
        "compiled": compiled,
    }
    chosen = fitted(shape, engine, training_room(gpu_bytes), **sizes)
    full = isinstance(learner.student, Full)
    own = pace(figures, weights=linear, layers=shape.layers, full=full, compiled=compiled)
    passes, positions, padded = step_passes(lengths, batch, chosen.micro_batch or batch, compiled=compiled)
    step_s = own.passes(passes, positions, checkpointing=bool(chosen.gradient_checkpointing))
    frozen_body = is_frozen(learner.student)
    reading = pace(figures, weights=linear, layers=shape.layers, full=False, compiled=False)
    return Pass(
        model=getattr(learner.model, "path", "toy"),
        micro_batch=chosen.micro_batch,
        checkpointing=bool(chosen.gradient_checkpointing),
        compiled=compiled and not frozen_body,
        bytes=on_device(predict_memory(shape, chosen, **sizes).device),
        speed=Speed(
            load_s=LOAD_S + (COMPILE_S[linear >= 1e9] * padded if compiled and not frozen_body else 0.0),
            start_s=START_S,
            step_s=HEAD_STEP_S if frozen_body else step_s,
            row_s=reading.read(float(lengths.mean())),
        ),
    )


def _compiles(engine: EngineConfig, weights: int) -> bool:
    return (
        engine.compile != "off"
        and engine.zero_stage < 3
        and (engine.compile == "on" or weights >= LEAST_PARAMETERS)
    )


def step_passes(
    lengths: Lengths, batch_size: int, micro_batch: int, *, compiled: bool
) -> tuple[float, float, int]:
    """Passes and token positions of a mean step, padding included, and how many padded lengths there are."""
    passes, positions, padded = 0, 0, set[int]()
    batches = length_batches(lengths, batch_size, seed=0)
    most = int(lengths.max())
    for batch in batches:
        pieces = np.array_split(batch, math.ceil(len(batch) / micro_batch))
        passes += len(pieces)
        for piece in pieces:
            longest = int(lengths[piece].max())
            width = min(bucket(longest), most) if compiled else longest
            padded.add(width)
            positions += width * len(piece)
    return passes / len(batches), positions / len(batches), len(padded)


def shape_of(learner: TrainedConfig) -> PretrainedConfig:
    """The configuration of a model, without a hub where its shape is published."""
    if not isinstance(learner.model, HubModel):
        raise ValueError("a plan is for models of a hub or a folder: for others use `search check`")
    return SHAPES.get(learner.model.path) or hub_shape(learner.model)
