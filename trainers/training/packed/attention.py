"""Causal attention among texts that are laid end to end: a token sees its own text alone.

On a GPU the work is FlashAttention's for texts of different lengths (Dao 2023, "FlashAttention-2"). On a CPU
every text is computed for itself by the textbook's formulas; that is the reference, and slow.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

NAME = "packed"  # in transformers' registry of attention functions

Three = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@torch.library.custom_op("trainers::packed_attention", mutates_args=())
def packed_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bounds: torch.Tensor,
    longest: int,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """What each token attends to, [tokens, heads, size], and the log of each softmax's denominator.

    query: [tokens, heads, size]. key, value: [tokens, key heads, size], of which heads is a multiple. bounds:
    int32 [texts + 1], rising from 0 to all tokens: where texts begin and end. longest: at least the tokens of
    the longest text.
    """
    if query.is_cuda:
        out, denominators, *_ = torch.ops.aten._flash_attention_forward(
            query, key, value, bounds, bounds, longest, longest, 0.0, True, False, scale=scale
        )
        return out, denominators
    out = torch.zeros(query.shape, dtype=query.dtype)
    for start, end in _texts(bounds):
        shares = _shares(query[start:end], key[start:end], scale)
        out[start:end] = torch.einsum("hqk,khd->qhd", shares, _repeated(value[start:end], query)).to(out)
    return out, torch.zeros(0)


@packed_attention.register_fake
def _shapes(query: torch.Tensor, *_: Any) -> tuple[torch.Tensor, torch.Tensor]:
    out = torch.empty_like(query, memory_format=torch.contiguous_format)
    if query.is_cuda:
        return out, query.new_empty((query.shape[1], query.shape[0]), dtype=torch.float32)
    return out, query.new_empty((0,), dtype=torch.float32)


@torch.library.custom_op("trainers::packed_attention_gradients", mutates_args=())
def packed_attention_gradients(
    wanted: torch.Tensor,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    out: torch.Tensor,
    denominators: torch.Tensor,
    bounds: torch.Tensor,
    longest: int,
    scale: float,
) -> Three:
    """The gradients of query, key and value; wanted: that of `out`, the rest as `packed_attention` had it."""
    if query.is_cuda:
        unused = torch.zeros(2, dtype=torch.uint64, device=query.device), query.new_empty(0)
        found: Three = torch.ops.aten._flash_attention_backward(
            wanted, query, key, value, out, denominators, bounds, bounds, longest, longest, 0.0, True,
            *unused, scale=scale,
        )  # fmt: skip
        return found
    gradients = torch.zeros_like(query), torch.zeros_like(key), torch.zeros_like(value)
    for start, end in _texts(bounds):
        of_text = _text_gradients(
            *(whole[start:end].float() for whole in (wanted, query, key, value)), scale=scale
        )
        for gradient, part in zip(gradients, of_text, strict=True):
            gradient[start:end] = part.to(gradient)
    return gradients


@packed_attention_gradients.register_fake
def _gradient_shapes(wanted: torch.Tensor, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor,
                     *_: Any) -> Three:  # fmt: skip
    return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, torch.Tensor]) -> None:
    query, key, value, bounds, ctx.longest, ctx.scale = inputs
    ctx.save_for_backward(query, key, value, *output, bounds)


def _backward(context: Any, wanted: torch.Tensor, _: Any) -> tuple[torch.Tensor | None, ...]:
    gradients = torch.ops.trainers.packed_attention_gradients(
        wanted.contiguous(), *context.saved_tensors, context.longest, context.scale
    )
    return (*gradients, None, None, None)


packed_attention.register_autograd(_backward, setup_context=_keep)


def _texts(bounds: torch.Tensor) -> Iterator[tuple[int, int]]:
    places = bounds.tolist()
    return ((start, end) for start, end in pairwise(places) if end > start)


def _repeated(keys: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
    """Keys or values in float32, once for every head of the queries."""
    return keys.float().repeat_interleave(query.shape[1] // keys.shape[1], dim=1)


def _shares(query: torch.Tensor, key: torch.Tensor, scale: float) -> torch.Tensor:
    """How much of each token every token of a text sees, float32 [heads, tokens, tokens]."""
    scores = torch.einsum("qhd,khd->hqk", query.float(), _repeated(key, query)) * scale
    later = torch.ones(scores.shape[1:], dtype=torch.bool).triu(1)
    return scores.masked_fill(later, -torch.inf).softmax(dim=2)


def _text_gradients(
    wanted: torch.Tensor, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, scale: float
) -> Three:
    shares, keys, values = _shares(query, key, scale), _repeated(key, query), _repeated(value, query)
    of_shares = torch.einsum("qhd,khd->hqk", wanted, values)
    of_scores = shares * (of_shares - (shares * of_shares).sum(dim=2, keepdim=True)) * scale
    of_keys = torch.einsum("hqk,qhd->khd", of_scores, query)
    of_values = torch.einsum("hqk,qhd->khd", shares, wanted)
    grouped = (len(key), key.shape[1], -1, key.shape[2])
    return (
        torch.einsum("hqk,khd->qhd", of_scores, keys),
        of_keys.reshape(grouped).sum(dim=2),
        of_values.reshape(grouped).sum(dim=2),
    )


def of_layer(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float,
    cu_seq_lens_q: torch.Tensor | None = None,
    max_length_q: int = 0,
    **more: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Attention as transformers' layers call it: [1, heads, tokens, size] in, [1, tokens, heads, size] out.

    cu_seq_lens_q, max_length_q: the bounds and the longest of `packed_attention`, under transformers' names;
    without bounds rows are padded ones, as in an evaluation between steps.
    """
    if cu_seq_lens_q is None:
        padded: tuple[torch.Tensor, torch.Tensor | None] = ALL_ATTENTION_FUNCTIONS["sdpa"](
            module, query, key, value, attention_mask, scaling=scaling, **more
        )
        return padded
    rows = (whole[0].transpose(0, 1) for whole in (query, key, value))
    out, _ = torch.ops.trainers.packed_attention(*rows, cu_seq_lens_q, max_length_q, scaling)
    return out.unsqueeze(0), None


AttentionInterface.register(NAME, of_layer)
