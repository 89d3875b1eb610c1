"""A pretrained model as exported files use it: loaded by transformers, read by a classifier."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

from trainers.data.examples import Examples
from trainers.data.tokens import Template, Tokens, tokenize
from trainers.models.head import Head, Words, as_head, new_head
from trainers.models.pool import Classifier
from trainers.models.prompts import Question
from trainers.models.settings import Pool


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a model reads examples.

    path, revision: what transformers loads. pool: the hidden states that are read. max_length: tokens of an
    example. dtype: of the pretrained weights. template: the text around an example, None: the usual frame.
    vocabulary: whether it answers with two words of its vocabulary. questions: the texts around an example
    by which the untouched model is asked. For either a language model is loaded.
    """

    path: str
    revision: str | None
    pool: Pool
    max_length: int
    dtype: str
    template: Template | None
    vocabulary: bool
    questions: tuple[Template, ...] = ()


class Base:
    """A pretrained model and its tokenizer; the model is loaded at its first use."""

    def __init__(self, reading: Reading, tokenizer: str | None = None) -> None:
        """tokenizer: where it lies; None: with the model."""
        self.reading = reading
        self.tokenizer = AutoTokenizer.from_pretrained(
            tokenizer or reading.path, revision="main" if tokenizer else reading.revision or "main"
        )
        self.tokenizer.model_max_length = reading.max_length

    @cached_property
    def _pretrained(self) -> tuple[Any, Head | None]:
        reading = self.reading
        speaks = reading.vocabulary or bool(reading.questions)
        kind = AutoModelForCausalLM if speaks else AutoModel
        dtype = getattr(torch, reading.dtype)
        whole = kind.from_pretrained(reading.path, revision=reading.revision or "main", dtype=dtype)
        body = whole.base_model
        if getattr(body, "pooler", None) is not None:
            body.register_module("pooler", None)  # nothing reads it
        return body.eval(), as_head(whole.get_output_embeddings()) if speaks else None

    @property
    def body(self) -> Any:
        """The pretrained model."""
        return self._pretrained[0]

    @property
    def hidden(self) -> int:
        """The size of a hidden state."""
        return int(self.body.config.hidden_size)

    @property
    def pad_id(self) -> int:
        """The id that fills rows up; it is masked, so any will do."""
        return int(self.tokenizer.pad_token_id or 0)

    def layer_at(self, depth: float) -> int:
        """The layer nearest to a relative depth in (0, 1]; 1 is the last."""
        layers = int(self.body.config.num_hidden_layers)
        return min(layers, max(1, round(depth * layers)))

    def new_head(self, seed: int) -> Head:
        """A linear classifier of the hidden states, drawn from `seed`."""
        return new_head(self.hidden, seed)

    def fresh(self, seed: int, *, words: Words | None = None) -> Classifier:
        """The pretrained body with a new head, or with the language model's own; in evaluation mode."""
        if self.reading.vocabulary:
            return self.speaker(words)
        body = copy.deepcopy(self.body)
        return Classifier(body.requires_grad_(True), self.reading.pool, self.new_head(seed), words).eval()

    def speaker(self, words: Words | None) -> Classifier:
        """A copy of the language model that answers with `words` at the next token."""
        body, vocabulary = copy.deepcopy(self._pretrained)
        assert vocabulary is not None
        return Classifier(body.requires_grad_(True), "last", vocabulary, words).eval()

    def tokens(self, examples: Examples) -> Tokens:
        """The examples as this model reads them."""
        return self._tokens(examples, self.reading.template)

    def ask(self, examples: Examples) -> tuple[Question, ...]:
        """The examples as questions to this model, one per template; pairs in both orders."""
        return tuple(
            Question(
                shown=self._tokens(examples, template),
                swapped=None if examples.pairs is None else self._tokens(examples.exchanged(), template),
            )
            for template in self.reading.questions
        )

    def _tokens(self, examples: Examples, template: Template | None) -> Tokens:
        return tokenize(examples, self.tokenizer, self.reading.max_length, template)


def as_examples(records: Sequence[dict[str, object]]) -> Examples:
    """Records with a `text`, or with a `prompt` and two responses, `first` and `second`."""
    if not records or "text" in records[0]:
        return Examples(texts=tuple(str(record["text"]) for record in records))
    return Examples(
        texts=tuple(str(record["prompt"]) for record in records),
        pairs=tuple((str(record["first"]), str(record["second"])) for record in records),
    )


def classifier_of(body: nn.Module, pool: Pool, weight: torch.Tensor, bias: torch.Tensor | None) -> Classifier:
    """A body and a head with these weights, float32 [2, hidden] and [2]."""
    head = Head(weight.shape[1], len(weight), bias=bias is not None)
    head.weight.data = weight
    if bias is not None:
        head.bias.data = bias
    return Classifier(body, pool, head).eval()


def as_probs(logits: np.ndarray) -> np.ndarray:
    """P(class 1), float32 [n], from log-odds."""
    return np.asarray(1 / (1 + np.exp(-logits.astype(np.float64))), dtype=np.float32)


def combined(answers: np.ndarray, aggregate: str, left_out: int) -> np.ndarray:
    """The log-odds [n] of members [m, n]: their median, or their mean without `left_out` at either end."""
    if aggregate == "median":
        return np.asarray(np.median(answers, axis=0))
    kept = np.sort(answers, axis=0)[left_out : len(answers) - left_out] if left_out else answers
    return np.asarray(kept.mean(axis=0))
