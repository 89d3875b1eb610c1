"""Models with a classification head: loading, read-outs, and how much of a student is trained."""

import copy
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from trainers.component import Component
from trainers.hub import HubModel, Pool, hub_body, hub_shape, hub_tokenizer, loading
from trainers.toy import ToyModel, build_toy_model, toy_tokenizer

CLASSES = 2
HEAD_STD = 0.02  # as the bodies' own initialisers: logits start near 0, whatever the hidden size

ModelConfig = Annotated[HubModel | ToyModel, Field(discriminator="kind")]


class Classifier(nn.Module):
    """A pretrained body without its language-model head, and a linear head that reads one layer of it.

    layer: the hidden states that `forward` reads, counted as transformers does: 0 is the embeddings,
    1 the first layer, -1 the last, after the body's final norm where it has one.
    """

    def __init__(self, body: PreTrainedModel, pool: Pool) -> None:
        super().__init__()
        self.body = body
        self.pool: Pool = pool
        self.layer = -1
        body.config.use_cache = False  # keys and values of a decoder are of no use here
        hidden = int(body.config.hidden_size)
        # skip_init, because the usual constructor draws from the global random state.
        self.head: nn.Linear = nn.utils.skip_init(nn.Linear, hidden, CLASSES, dtype=torch.float32)
        self.reset_head(seed=0)

    @torch.no_grad()
    def reset_head(self, seed: int) -> None:
        """Draw the head's weights from `seed` (normal, small) and set its bias to zero."""
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(self.head.weight.shape, generator=generator) * HEAD_STD
        self.head.weight.copy_(drawn)
        self.head.bias.zero_()

    @property
    def depth(self) -> int:
        """How many layers the body has."""
        return int(self.body.config.num_hidden_layers)

    def layer_at(self, depth: float) -> int:
        """The layer nearest to a relative depth in (0, 1], never the embeddings; 1 is the last layer."""
        return min(self.depth, max(1, round(depth * self.depth)))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Logits float32 [b, 2] of right-padded rows: input ids and attention mask, int64 [b, length]."""
        pooled = self.features(input_ids, attention_mask, self.layer)
        # An engine may have cast the head to half precision.
        logits: torch.Tensor = self.head(pooled.to(self.head.weight.dtype))
        return logits.float()

    def features(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, layer: int = -1
    ) -> torch.Tensor:
        """Pooled hidden states of a layer, float32 [b, hidden]; arguments as for `forward`."""
        is_last = layer in (-1, self.depth)
        output = self.body(
            input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=not is_last
        )
        hidden = output.last_hidden_state if is_last else output.hidden_states[layer]
        return _pooled(hidden, attention_mask, self.pool)


def _pooled(hidden: torch.Tensor, mask: torch.Tensor, pool: Pool) -> torch.Tensor:
    if pool == "cls":
        return hidden[:, 0].float()
    if pool == "last":
        rows = torch.arange(len(hidden), device=hidden.device)
        return hidden[rows, mask.sum(dim=1) - 1].float()
    weights = mask.unsqueeze(-1).float()
    return (hidden.float() * weights).sum(dim=1) / weights.sum(dim=1)


def _toy_body(config: ToyModel, cache: Path) -> tuple[PreTrainedModel, Pool]:
    with loading("the toy model cannot be loaded", f"remove {cache}"):
        body = build_toy_model(config, cache=cache).base_model
    assert isinstance(body, PreTrainedModel)
    return body, "last"


def _hub_body(config: HubModel, cache: Path) -> tuple[PreTrainedModel, Pool]:
    return hub_body(config)


def _toy_tokenizer(config: ToyModel) -> PreTrainedTokenizerBase:
    return toy_tokenizer()


BODIES: dict[type[Any], Callable[[Any, Path], tuple[PreTrainedModel, Pool]]] = {
    HubModel: _hub_body,
    ToyModel: _toy_body,
}
TOKENIZERS: dict[type[Any], Callable[[Any], PreTrainedTokenizerBase]] = {
    HubModel: hub_tokenizer,
    ToyModel: _toy_tokenizer,
}


def load_tokenizer(config: HubModel | ToyModel) -> PreTrainedTokenizerBase:
    """The model's tokenizer; it has a pad token, and its model_max_length is the model's max_length.

    Raises ValueError, one line, where it cannot be loaded.
    """
    return TOKENIZERS[type(config)](config)


def check_model(config: HubModel | ToyModel, *, cache: Path) -> None:
    """Make sure that the model is there before any worker asks for it: a toy model is built if need be.

    Raises ValueError, one line, where a hub model's settings cannot be read or do not fit.
    """
    if isinstance(config, ToyModel):
        _toy_body(config, cache)
    else:
        hub_shape(config)


def load_classifier(config: HubModel | ToyModel, *, cache: Path, seed: int) -> Classifier:
    """The pretrained body and a head drawn from `seed`, on the CPU in evaluation mode.

    The global random state stays as it was. cache: where the toy model is kept; a hub model is in the
    cache of its own library. Raises ValueError, one line, where it cannot be loaded or does not fit.
    """
    with torch.random.fork_rng(devices=[]):
        # Weights that the checkpoint lacks, if any, are the same for everyone.
        torch.default_generator.manual_seed(0)
        body, pool = BODIES[type(config)](config, cache)
    classifier = Classifier(body, pool).eval()
    classifier.requires_grad_(True)
    classifier.reset_head(seed)
    return classifier


class ModelPool:
    """One model's pretrained weights and tokenizer, loaded once a process, on first use."""

    def __init__(self, config: HubModel | ToyModel, *, cache: Path) -> None:
        self._config = config
        self._cache = cache

    @cached_property
    def _pristine(self) -> Classifier:
        return load_classifier(self._config, cache=self._cache, seed=0)

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """As load_tokenizer gives it."""
        return load_tokenizer(self._config)

    @property
    def pad_id(self) -> int:
        """The id that fills a batch up."""
        return int(self.tokenizer.pad_token_id)

    def layer_at(self, depth: float) -> int:
        """As Classifier.layer_at, for the relative depth of a probe."""
        return self._pristine.layer_at(depth)

    def fresh(self, seed: int, device: torch.device | str = "cpu") -> Classifier:
        """A classifier of its own on `device`: the pretrained body, a head drawn from `seed`, all trainable.

        New modules and new parameters each time, because engines leave hooks, casts and flat buffers on
        those they trained, and LoRA its layers. Weights go to the device in one copy.
        """
        tensors = [*self._pristine.parameters(), *self._pristine.buffers()]
        memo: dict[int, Any] = {id(tensor): _copied(tensor, torch.device(device)) for tensor in tensors}
        classifier = copy.deepcopy(self._pristine, memo)
        classifier.reset_head(seed)
        return classifier


def _copied(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    data = tensor.detach().to(device, copy=True)
    return nn.Parameter(data) if isinstance(tensor, nn.Parameter) else data


class Full(Component):
    """Trains every weight of the strong model and its head."""

    kind: Literal["full"] = "full"


class Probe(Component):
    """Trains only a linear head on the frozen hidden states of one layer of the strong model."""

    kind: Literal["probe"] = "probe"
    layer: Annotated[
        float,
        Field(ge=0.1, le=1.0, description="which layer is read, as a share of the depth; 1 is the last"),
    ] = 1.0


def _prepare_full(config: Full, classifier: Classifier) -> list[nn.Parameter]:
    return list(classifier.parameters())


def _prepare_probe(config: Probe, classifier: Classifier) -> list[nn.Parameter]:
    classifier.body.requires_grad_(False)
    classifier.body.eval()
    classifier.layer = classifier.layer_at(config.layer)
    return list(classifier.head.parameters())


STUDENTS: dict[type[Component], Callable[[Any, Classifier], list[nn.Parameter]]] = {
    Full: _prepare_full,
    Probe: _prepare_probe,
}


def prepare_student(config: Component, classifier: Classifier) -> list[nn.Parameter]:
    """Make a fresh classifier ready to be trained as `config` says, in place; returns what is trainable.

    A probe's body is frozen and `classifier.layer` set, so that its features can be computed once and
    `classifier.head` trained on them alone.
    """
    return STUDENTS[type(config)](config, classifier)
