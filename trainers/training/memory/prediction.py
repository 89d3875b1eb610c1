"""Predicts how much memory a training needs.

Weights, gradients and optimizer state follow Rajbhandari et al. 2020, "ZeRO: Memory Optimizations Toward
Training Trillion Parameter Models", section 3 and figure 1: with P trainable parameters in bfloat16 under
AdamW, 2P bytes of weights, 4P of gradients (they add up in float32) and 12P of optimizer state (a float32
copy and two moments), of which stage 1 divides the last among the N members, stage 2 the gradients too and
stage 3 the weights too. Frozen parameters need their weights alone.

Activations are those of `trainers.training.memory.activations`.
"""

from dataclasses import dataclass

from trainers.training.memory.activations import ModelShape, Passes, layer_bytes, passing_bytes
from trainers.training.settings import BUCKET, LIVE_PARAMETERS, EngineConfig


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
    on_gpu: bool = False,
    compiled: bool = False,
) -> Memory:
    """The peak of a training step.

    trainable, frozen: parameters; a mostly frozen model counts as adapted (LoRA).
    batch_size: examples in the global batch. length: tokens of the longest example. half_body: whether the
    frozen part is in bfloat16, whatever the engine's precision. on_gpu, compiled: see `Passes`.
    A GPU's context and fragmentation come on top: see `on_device`.
    """
    half = engine.precision == "bf16"
    width = 2 if half else 4
    passes = Passes(width=width, adapted=frozen > trainable, compiled=compiled, on_gpu=on_gpu)
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
        working=_working(shape, engine, passes, trainable, batch_size, length, world_size),
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
    passes: Passes,
    trainable: int,
    batch_size: int,
    length: int,
    world_size: int,
) -> int:
    """The largest of three moments: all activations; all gradients and a layer; the step's own copies."""
    width = passes.width
    share = -(-batch_size // world_size)
    micro = min(engine.micro_batch or share, share)
    tokens = micro * length
    layer = tokens * layer_bytes(shape, passes, length)
    # Embeddings, final norm, gradient of the last hidden states, and what passes.
    outside = tokens * (5 * width * shape.hidden + passing_bytes(shape, passes, length))
    kept = shape.layers * layer
    if engine.gradient_checkpointing:  # every layer's input, and the layer that is computed again
        kept = tokens * shape.layers * width * shape.hidden + layer

    if engine.precision == "bf16":
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
