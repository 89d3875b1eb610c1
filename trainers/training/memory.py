"""Predicts how much memory a training needs.

Weights, gradients and optimizer state follow Rajbhandari et al. 2020, "ZeRO: Memory Optimizations Toward
Training Trillion Parameter Models", section 3 and figure 1: with P trainable parameters in bfloat16 under
AdamW, 2P bytes of weights, 4P of gradients (they add up in float32) and 12P of optimizer state (a float32
copy and two moments), of which stage 1 divides the last among the N members, stage 2 the gradients too and
stage 3 the weights too. Frozen parameters need their weights alone.

Activations follow Korthikanti et al. 2022, "Reducing Activation Recomputation in Large Transformer Models",
section 4, counted anew for the layers of today's decoders (RMS norm, gated MLP, grouped keys and values, no
dropout): see `_layer`. Attention is taken to be fused, so that no score is kept.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainers.training.settings import BUCKET, LIVE_PARAMETERS, EngineConfig

if TYPE_CHECKING:
    from transformers import PretrainedConfig


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """The sizes that determine a model's activations.

    attention: width of the queries, heads × head size. keys: width of the keys, and of the values. gated:
    whether the MLP multiplies two projections, as SwiGLU does. normed: whether queries and keys are
    normalised.
    """

    layers: int
    hidden: int
    intermediate: int
    attention: int
    keys: int
    gated: bool
    normed: bool

    @classmethod
    def of(cls, config: "PretrainedConfig") -> "ModelShape":
        """The shape that a transformers configuration describes."""
        heads = config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // heads
        activation = str(getattr(config, "hidden_act", ""))
        return cls(
            layers=config.num_hidden_layers,
            hidden=config.hidden_size,
            intermediate=getattr(config, "intermediate_size", None) or 4 * config.hidden_size,
            attention=heads * size,
            keys=(getattr(config, "num_key_value_heads", None) or heads) * size,
            gated=activation == "silu",
            normed=config.model_type.startswith(("qwen3", "gemma3")),
        )


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes on each member's device at the peak of a step, and bytes offloaded to its host.

    working: activations and gradients at the peak; the rest is allocated all the time.
    """

    weights: int
    optimizer: int
    working: int
    host: int

    @property
    def device(self) -> int:
        """The bytes on the device."""
        return self.weights + self.optimizer + self.working


def predict_memory(
    shape: ModelShape,
    engine: EngineConfig,
    *,
    trainable: int,
    frozen: int,
    batch_size: int,
    length: int,
    world_size: int = 1,
    half_body: bool = False,
) -> Memory:
    """The peak of a training step.

    trainable, frozen: parameters; a mostly frozen model counts as adapted (LoRA).
    batch_size: examples in the global batch. length: tokens of the longest example. half_body: whether the
    frozen part is in bfloat16, whatever the engine's precision.
    A GPU's context and fragmentation come on top: see `on_device`.
    """
    half = engine.precision == "bf16"
    width = 2 if half else 4
    stage = max(engine.zero_stage, 2) if half else engine.zero_stage
    parts = world_size if stage >= 1 else 1
    weights, host = width * trainable + (2 if half_body else width) * frozen, 0
    if stage == 3:
        whole = width * min(LIVE_PARAMETERS, trainable + frozen)
        part = weights // world_size
        weights, host = (whole, part) if engine.offload else (part + whole, 0)
    # ZeRO steps on a flat float32 copy of the weights; without it they are float32 themselves.
    optimizer = (12 if stage >= 1 else 8) * trainable // parts
    if engine.offload:
        optimizer, host = 0, host + optimizer
    return Memory(
        weights=weights,
        optimizer=optimizer,
        working=_working(shape, engine, trainable, frozen, batch_size, length, world_size),
        host=host,
    )


def on_device(predicted: int) -> int:
    """The device memory for a predicted number of bytes: plus 1 GiB of context and 10% of fragmentation."""
    return predicted * 11 // 10 + 2**30


def training_room(device_bytes: int) -> int:
    """The largest training, in bytes, that fits a device: the inverse of `on_device`."""
    return max(0, (device_bytes - 2**30) * 10 // 11)


def _working(
    shape: ModelShape,
    engine: EngineConfig,
    trainable: int,
    frozen: int,
    batch_size: int,
    length: int,
    world_size: int,
) -> int:
    """The largest of three moments: all activations; all gradients and a layer; the step's own copies."""
    half = engine.precision == "bf16"
    width = 2 if half else 4
    share = -(-batch_size // world_size)
    micro = min(engine.micro_batch or share, share)
    tokens = micro * length
    layer = tokens * _layer(shape, width, frozen > trainable)
    outside = tokens * 5 * width * shape.hidden  # embeddings, final norm, gradient of the last hidden states
    kept = shape.layers * layer
    if engine.gradient_checkpointing:  # every layer's input, and the layer that is computed again
        kept = tokens * shape.layers * width * shape.hidden + layer

    if half:
        # Gradients are summed in float32, and arrive in bfloat16 through a bucket.
        summed, bucket = 4 * trainable // world_size, 2 * width * min(BUCKET, trainable)
        return max((summed if micro < share else 0) + kept + outside, summed + bucket + layer + outside)
    gradients, step = width * trainable, 0
    if engine.zero_stage >= 2:
        gradients = gradients // world_size + width * min(BUCKET, trainable)
    if engine.zero_stage >= 1:
        step = 4 * trainable // world_size  # of a member's part of the gradient
    between = gradients if micro < share else 0  # from earlier pieces of the batch
    return max(between + kept + outside, gradients + layer + outside, gradients + step)


def _layer(shape: ModelShape, width: int, adapted: bool) -> int:
    """Bytes per token that a layer keeps for its backward pass.

    Each of two norms keeps its input in float32, its result and, for its weight's gradient, the normalised
    input. Attention keeps queries, keys, values and its result; norms of queries and keys are like the
    others. A gated MLP keeps both projections, the activation of one and their product; a plain one its
    projection and the activation.
    """
    normalised = 0 if adapted else width
    norms = 2 * (4 + width + normalised) * shape.hidden
    attention = 2 * width * (shape.attention + shape.keys)
    if shape.normed:
        attention += (4 + normalised) * (shape.attention + shape.keys)
    return norms + attention + (4 if shape.gated else 2) * width * shape.intermediate


def largest_micro_batch(
    shape: ModelShape, engine: EngineConfig, room: int, *, batch_size: int, **sizes: Any
) -> int | None:
    """The largest micro-batch (halvings of a member's share) that fits `room` bytes; None if not even 1.

    sizes: the remaining arguments of `predict_memory`.
    """
    micro: int = -(-batch_size // sizes.get("world_size", 1))
    while micro >= 1:
        tried = engine.model_copy(update={"micro_batch": micro})
        if predict_memory(shape, tried, batch_size=batch_size, **sizes).device <= room:
            return micro
        micro //= 2
    return None
