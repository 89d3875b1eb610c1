"""Binary classifiers from pretrained models, and the pool that holds the pretrained weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from trainers.data.loading import loading
from trainers.models.head import Head, Words, as_head, new_head
from trainers.models.hub import Pretrained, check_hub_model, hub_model, hub_tokenizer, is_decoder, pretrained
from trainers.models.settings import HubModel, Pool, ToyModel
from trainers.models.toy_model import build_toy_model, pretrained_folder, toy_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class Classifier(nn.Module):
    """A pretrained body and a head on its last hidden states, after the final norm if it has one.

    words: if the head is a language model's vocabulary, the tokens that stand for class 0 and class 1.
    """

    def __init__(self, body: PreTrainedModel, pool: Pool, head: Head, words: Words | None = None) -> None:
        super().__init__()
        self.body = body
        self.pool: Pool = pool
        self.head = head
        self.words = words
        body.config.use_cache = False  # a decoder's cache of keys and values is not needed here
        self._is_causal = is_decoder(body.config)

    @property
    def depth(self) -> int:
        """The number of layers of the body."""
        return int(self.body.config.num_hidden_layers)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Logits float32 [b, 2] of right-padded rows: input ids and attention mask, int64 [b, length]."""
        # Called as a module, so that an engine's hooks on the head run.
        logits: torch.Tensor = self.head(self.features(input_ids, attention_mask), self.words)
        return logits

    def features(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, layer: int = -1
    ) -> torch.Tensor:
        """Pooled hidden states of a layer, float32 [b, hidden]; arguments as for `forward`.

        layer: as in transformers, 0 is the embeddings, 1 the first layer, -1 the last.
        """
        is_last = layer in (-1, self.depth)
        output = self._read(input_ids, attention_mask, all_layers=not is_last)
        hidden = output.last_hidden_state if is_last else output.hidden_states[layer]
        return _pooled(hidden, attention_mask, self.pool)

    def features_of_all_layers(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Pooled hidden states from the first layer to the last side by side, float32 [b, depth · hidden]."""
        return self.features_of(input_ids, attention_mask, layers=range(1, self.depth + 1))

    def features_of(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, layers: Sequence[int]
    ) -> torch.Tensor:
        """Pooled hidden states of some layers, counted from 1, side by side: float32 [b, layers · hidden]."""
        output = self._read(input_ids, attention_mask, all_layers=True)
        hidden = (*output.hidden_states[: self.depth], output.last_hidden_state)
        return torch.cat([_pooled(hidden[layer], attention_mask, self.pool) for layer in layers], dim=1)

    def _read(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, *, all_layers: bool) -> Any:
        # Causal attention ignores what comes after a token, so padding on the right has no effect; without a
        # mask, attention runs in the fused causal kernel, which needs no repeated keys and values.
        mask = None if self._is_causal else attention_mask
        return self.body(input_ids=input_ids, attention_mask=mask, output_hidden_states=all_layers)


def _pooled(hidden: torch.Tensor, mask: torch.Tensor, pool: Pool) -> torch.Tensor:
    if pool == "cls":
        return hidden[:, 0].float()
    if pool == "last":
        rows = torch.arange(len(hidden), device=hidden.device)
        return hidden[rows, mask.sum(dim=1) - 1].float()
    weights = mask.unsqueeze(-1).float()
    return (hidden.float() * weights).sum(dim=1) / weights.sum(dim=1)


def _toy_model(config: ToyModel, cache: Path) -> Pretrained:
    with _loading_toy(cache):
        return pretrained(build_toy_model(config, cache=cache), "last")


def _loading_toy(cache: Path) -> AbstractContextManager[None]:
    return loading("the toy model cannot be loaded", f"remove {cache}")


def _hub_model(config: HubModel, cache: Path) -> Pretrained:
    return hub_model(config)


def _toy_tokenizer(config: ToyModel) -> PreTrainedTokenizerBase:
    return toy_tokenizer(config.size)


MODELS: dict[type[Any], Callable[[Any, Path], Pretrained]] = {HubModel: _hub_model, ToyModel: _toy_model}
TOKENIZERS: dict[type[Any], Callable[[Any], PreTrainedTokenizerBase]] = {
    HubModel: hub_tokenizer,
    ToyModel: _toy_tokenizer,
}


def load_tokenizer(config: HubModel | ToyModel) -> PreTrainedTokenizerBase:
    """The model's tokenizer, with a pad token and the model's max_length as model_max_length.

    Raises ValueError, on one line, if it cannot be loaded.
    """
    return TOKENIZERS[type(config)](config)


def check_model(config: HubModel | ToyModel, *, cache: Path) -> None:
    """Make sure that the model exists before workers load it; builds a toy model if necessary.

    Raises ValueError, on one line, if a hub model's configuration cannot be read or does not fit, or if a
    folder lacks tensors of the model.
    """
    if isinstance(config, HubModel):
        check_hub_model(config)
    elif config.size == "strong":
        with _loading_toy(cache):
            pretrained_folder(config, cache=cache)


class ModelPool:
    """A model's pretrained weights and tokenizer, loaded once per process, on first use.

    cache: where the toy model is kept; a hub model is in the cache of its library. Methods that read weights
    raise ValueError, on one line, if these cannot be loaded or do not fit.
    """

    def __init__(self, config: HubModel | ToyModel, *, cache: Path) -> None:
        self.config = config
        self.cache = cache

    def another(self, config: HubModel | ToyModel) -> ModelPool:
        """The pool of another model, with the same cache."""
        return ModelPool(config, cache=self.cache)

    @cached_property
    def _pristine(self) -> Pretrained:
        with torch.random.fork_rng(devices=[]):
            # Weights that the checkpoint lacks get the same values in every process.
            torch.default_generator.manual_seed(0)
            loaded = MODELS[type(self.config)](self.config, self.cache)
        loaded.body.eval()
        loaded.body.requires_grad_(True)
        return loaded

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """See load_tokenizer."""
        return load_tokenizer(self.config)

    @cached_property
    def pad_id(self) -> int:
        """The id of the padding token."""
        return int(self.tokenizer.pad_token_id)

    @property
    def hidden(self) -> int:
        """The size of a hidden state."""
        return int(self._pristine.body.config.hidden_size)

    @property
    def read_from(self) -> Pool:
        """The hidden states that its classifiers read."""
        return self._pristine.pool

    def layer_at(self, depth: float) -> int:
        """The layer nearest to a relative depth in (0, 1], never the embeddings; 1 is the last layer."""
        layers = int(self._pristine.body.config.num_hidden_layers)
        return min(layers, max(1, round(depth * layers)))

    def new_head(self, seed: int) -> Head:
        """A linear classifier of this model's hidden states, drawn from `seed`."""
        return new_head(self.hidden, seed)

    def fresh(
        self, seed: int, *, words: Words | None = None, device: torch.device | str = "cpu"
    ) -> Classifier:
        """A new classifier on `device`, fully trainable, in evaluation mode.

        Read-out head: the pretrained body and a head drawn from `seed`. Read-out label_tokens: the language
        model unchanged, which answers with `words`.
        """
        if self.config.readout == "label_tokens":
            return self.speaker(words, device=device)
        body, _ = self._copies(device, vocabulary=False)
        return Classifier(body, self._pristine.pool, self.new_head(seed).to(device)).eval()

    def speaker(self, words: Words | None, *, device: torch.device | str = "cpu") -> Classifier:
        """A copy of the language model that answers with `words`, whatever the model's read-out.

        Raises ValueError if the model is no language model or `words` is None.
        """
        body, vocabulary = self._copies(device, vocabulary=True)
        if vocabulary is None:
            raise ValueError(
                "this strong model is no language model: nothing can be read from its next token"
            )
        if words is None:
            raise ValueError(
                "readout label_tokens needs examples that end on a question: use trainers.prompts"
            )
        return Classifier(body, "last", as_head(vocabulary), words).eval()

    def _copies(
        self, device: torch.device | str, *, vocabulary: bool
    ) -> tuple[PreTrainedModel, nn.Linear | None]:
        """New modules and new parameters, tied where the pretrained ones are.

        New each time, because engines leave hooks, casts and flat buffers on the models they train, and LoRA
        leaves its layers. Weights are copied to the device once.
        """
        parts = (self._pristine.body, self._pristine.vocabulary if vocabulary else None)
        tensors = [t for part in parts if part is not None for t in (*part.parameters(), *part.buffers())]
        memo: dict[int, Any] = {id(tensor): _copied(tensor, torch.device(device)) for tensor in tensors}
        return copy.deepcopy(parts, memo)


def _copied(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    data = tensor.detach().to(device, copy=True)
    return nn.Parameter(data) if isinstance(tensor, nn.Parameter) else data
