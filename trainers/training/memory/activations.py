"""What a layer keeps for its backward pass.

Counted as in Korthikanti et al. 2022, "Reducing Activation Recomputation in Large Transformer Models",
section 4, but for the layers of today's decoders: RMS norm, gated MLP, grouped keys and values, no dropout.
Whatever autograd saves is counted, and nothing else.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PretrainedConfig


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """The sizes that determine a model's activations.

    attention: width of the queries, heads × head size. keys: width of the keys, and of the values. gated:
    whether the MLP multiplies two projections, as SwiGLU does. normed: whether queries and keys are
    normalised. eager: whether attention is computed step by step instead of by a fused kernel.
    """

    layers: int
    hidden: int
    intermediate: int
    attention: int
    keys: int
    heads: int
    gated: bool
    normed: bool
    eager: bool = False

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
            heads=heads,
            gated=activation == "silu",
            normed=config.model_type.startswith(("qwen3", "gemma3")),
            eager=getattr(config, "_attn_implementation", None) == "eager",
        )


@dataclass(frozen=True, kw_only=True)
class Passes:
    """How a model is computed, as far as its activations depend on it.

    width: bytes of a number, 2 in half precision. adapted: whether the body is frozen but for adapters.
    compiled: whether layers are compiled. on_gpu: whether the kernels are those of a GPU.
    """

    width: int
    adapted: bool
    compiled: bool = False
    on_gpu: bool = False

    def keeps_scores(self, shape: ModelShape) -> bool:
        """Whether attention computes its scores, one for each pair of tokens and each head.

        In float32 a GPU has no fused kernel for keys that several queries share; torch then computes the
        scores as eager attention does.
        """
        return shape.eager or (self.on_gpu and self.width == 4 and shape.keys < shape.attention)


def layer_bytes(shape: ModelShape, passes: Passes, length: int) -> int:
    """Bytes that a layer keeps for its backward pass, of each token of sequences of this length."""
    kept = _compiled(shape, passes) if passes.compiled else _uncompiled(shape, passes)
    if passes.keeps_scores(shape):
        # Keys and values are repeated for every query. Of the scores the float32 softmax is kept, and in
        # half precision a second time as it is multiplied with the values.
        scores = 4 if passes.width == 4 else 4 + passes.width
        kept += 2 * passes.width * (shape.attention - shape.keys) + scores * shape.heads * length
    return kept


def passing_bytes(shape: ModelShape, passes: Passes, length: int) -> int:
    """Bytes a token that a layer needs only while it is computed: scores and their gradient, in float32."""
    return 2 * 4 * shape.heads * length if passes.keeps_scores(shape) else 0


def _uncompiled(shape: ModelShape, passes: Passes) -> int:
    """Bytes a token of a layer that autograd computes operation by operation.

    Each of two norms keeps its input in float32, its result and, for its weight's gradient, the normalised
    input. Attention keeps queries, keys, values and its result; norms of queries and keys are like the
    others. A gated MLP keeps both projections, the activation of one and their product; a plain one its
    projection and the activation.
    """
    normalised = 0 if passes.adapted else passes.width
    norms = 2 * (4 + passes.width + normalised) * shape.hidden
    attention = 2 * passes.width * (shape.attention + shape.keys)
    if shape.normed:
        attention += (4 + normalised) * (shape.attention + shape.keys)
    return norms + attention + (4 if shape.gated else 2) * passes.width * shape.intermediate


def _compiled(shape: ModelShape, passes: Passes) -> int:
    """Bytes a token of a compiled layer.

    torch's partitioner keeps what matrix products and attention read, and computes the rest again: the inputs
    and the results of two norms; queries, keys, values and the result of attention, queries and keys once
    more from before their norms; the MLP's projections and what its last product reads.
    """
    attention = (3 if shape.normed else 2) * (shape.attention + shape.keys)
    return passes.width * (4 * shape.hidden + attention + (3 if shape.gated else 2) * shape.intermediate)
