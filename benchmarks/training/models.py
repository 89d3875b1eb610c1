"""Models of a given shape with random weights, and texts of given lengths: what the benchmarks run on."""

import gzip
import json
import zlib
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, PretrainedConfig, Qwen3Config

from trainers.components.students import Lora, lora
from trainers.data.tokens import Tokens
from trainers.models.head import new_head
from trainers.models.pool import Classifier, ModelPool

Floats = NDArray[np.float32]
# The published shapes; tiny is for a dry run.
QWEN3: dict[str, dict[str, Any]] = {
    "Qwen3-0.6B": {"hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "heads": 16},
    "Qwen3-4B": {"hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36, "heads": 32},
}
TINY = {"hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 2, "heads": 4}


def qwen3(
    *, hidden_size: int, intermediate_size: int, num_hidden_layers: int, heads: int, vocab_size: int = 151_936
) -> Qwen3Config:
    """A Qwen3 shape: heads of 128 (of 16 in small models), an eighth to a half as many keys."""
    return Qwen3Config(
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        intermediate_size=intermediate_size,
        num_hidden_layers=num_hidden_layers,
        num_attention_heads=heads,
        num_key_value_heads=min(8, heads),
        head_dim=128 if hidden_size >= 1024 else 16,
        max_position_embeddings=40_960,
        tie_word_embeddings=True,
        use_cache=False,
    )


def random_classifier(
    config: PretrainedConfig, *, dtype: torch.dtype, device: torch.device, attention: str = "sdpa"
) -> Classifier:
    """A classifier with random weights, made on the device."""
    torch.manual_seed(0)
    with device:
        make: Any = AutoModel.from_config
        body = make(config, dtype=dtype, attn_implementation=attention)
    return Classifier(body, "last", new_head(int(config.hidden_size), seed=0).to(device))


def with_lora(classifier: Classifier, rank: int) -> list[torch.nn.Parameter]:
    """Adapters on all linear layers, in place; returns what is trained."""
    student = lora(Lora(rank=rank), cast(ModelPool, Given(classifier)), seed=0, words=None)
    for parameter in student.parameters:  # peft makes them on the CPU
        parameter.data = parameter.data.to(classifier.head.weight.device)
    return student.parameters


class Given:
    """Stands for a pool that gives this classifier."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier

    def fresh(self, seed: int, words: object) -> Classifier:
        """The classifier that was given."""
        return self._classifier


def random_tokens(lengths: NDArray[np.int64], vocabulary: int, seed: int = 0) -> Tokens:
    """Tokens drawn at random, from the fourth of the vocabulary on."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = np.random.default_rng(seed).integers(3, vocabulary, size=int(offsets[-1]), dtype=np.int32)
    return Tokens(ids=ids, offsets=offsets)


def chat_lengths(examples: int) -> NDArray[np.int64]:
    """Tokens of so many chat preferences, drawn from what those of hh_harmless are like."""
    drawn = np.exp(np.random.default_rng(0).normal(np.log(105), 0.57, size=examples))
    return np.clip(np.round(drawn), 16, 1024).astype(np.int64)


def sst2_texts(data: Path | None, n: int) -> tuple[list[str], Floats]:
    """The first n sentences of sst2 and their labels.

    data: the folder that holds sst2.train.jsonl.gz. Without one, made-up sentences: as many words as those
    of sst2 have (about log-normal, median 18), and a label that the words tell.
    """
    if data is not None:
        with gzip.open(data / "sst2.train.jsonl.gz", "rt") as file:
            rows = [json.loads(line) for line, _ in zip(file, range(n), strict=False)]
        return [row["text"] for row in rows], np.array([row["label"] for row in rows], dtype=np.float32)
    rng = np.random.default_rng(0)
    lengths = np.clip(np.round(np.exp(rng.normal(np.log(18), 0.5, size=n))), 1, 52).astype(int)
    labels = rng.integers(0, 2, size=n)
    words = rng.integers(0, 500, size=(n, 52)) * 2 + (rng.random((n, 52)) < 0.3 + 0.4 * labels[:, None])
    texts = [" ".join(f"w{word}" for word in row[:k]) for row, k in zip(words, lengths, strict=True)]
    return texts, labels.astype(np.float32)


def hashed(texts: list[str], vocabulary: int) -> Tokens:
    """One token a word, whatever the word: for models without a vocabulary for these texts."""
    rows = [[3 + zlib.crc32(word.encode()) % (vocabulary - 3) for word in text.split()] for text in texts]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Tokens(ids=np.concatenate(rows).astype(np.int32), offsets=offsets)
