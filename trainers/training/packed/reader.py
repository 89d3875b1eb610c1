"""A classifier as it reads packed texts, and which classifiers can."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from trainers.gang import world_size
from trainers.models.pool import Classifier
from trainers.training.packed.batch import parts
from trainers.training.settings import EngineConfig

# Decoders whose layers call an attention function of transformers' registry with nothing else than these
# arguments, and take a token's place from its position alone.
FAMILIES = ("llama", "qwen2", "qwen3")
LARGEST_HEAD = 256  # of FlashAttention


def can_pack(model: nn.Module) -> bool:
    """Whether a model reads packed texts as it reads padded ones."""
    if not isinstance(model, Classifier) or model.pool != "last":
        return False
    config: Any = model.body.config
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return (
        config.model_type in FAMILIES
        and config._attn_implementation == "sdpa"
        and not config.attention_dropout
        and all(kind == "full_attention" for kind in getattr(config, "layer_types", None) or ())
        and size % 8 == 0
        and size <= LARGEST_HEAD
    )


def wants_packed(config: EngineConfig, model: nn.Module) -> bool:
    """Whether the batches of a training pass without padding."""
    if config.packing == "off" or world_size() > 1 or config.runs_on(1) != "torch":
        return False
    # On a GPU FlashAttention computes in half precision alone.
    fits = config.precision == "bf16" or not next(model.parameters()).is_cuda
    return fits and can_pack(model)


class Reader(nn.Module):
    """A classifier's logits of packed texts, within `reading_packed`; it has the classifier's parameters.

    texts: how many a batch has, those without tokens counted. longest: tokens of the longest that can come.
    """

    def __init__(self, classifier: Classifier, *, texts: int, longest: int) -> None:
        super().__init__()
        self.classifier, self._texts, self._longest = classifier, texts, longest

    def forward(self, flat: torch.Tensor) -> torch.Tensor:
        """Logits, float32 [texts, 2], of a `Packed.flat`; those of texts without tokens mean nothing."""
        ids, places, bounds, last = parts(flat, self._texts)
        output = self.classifier.body(
            input_ids=ids.unsqueeze(0),
            position_ids=places.unsqueeze(0),
            cu_seq_lens_q=bounds.int(),
            max_length_q=self._longest,
        )
        logits: torch.Tensor = self.classifier.head(
            output.last_hidden_state[0, last].float(), self.classifier.words
        )
        return logits


@contextmanager
def reading_packed(model: nn.Module) -> Iterator[None]:
    """Let a classifier's layers read packed texts, and padded ones as before, while the block lasts."""
    assert isinstance(model, Classifier)
    from trainers.training.packed import attention  # it loads transformers' models: seconds

    config: Any = model.body.config
    before = config._attn_implementation
    config._attn_implementation = attention.NAME
    try:
        yield
    finally:
        config._attn_implementation = before
