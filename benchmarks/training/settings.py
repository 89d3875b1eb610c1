"""What trainers are compared on: a model of each kind with its examples, short and long."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.training.models import (
    QWEN3,
    TINY,
    chat_lengths,
    hashed,
    qwen3,
    random_classifier,
    random_tokens,
    sst2_texts,
    with_lora,
)
from trainers.data.examples import Examples
from trainers.data.tokens import tokenize
from trainers.models.pool import Classifier, ModelPool
from trainers.models.settings import HubModel, ToyModel
from trainers.training.deepspeed_engine import device
from trainers.training.loop import Floats, TokenInputs, predict
from trainers.training.settings import EngineConfig

FLOOR = 1e-7  # of a predicted probability
RANK, LONG, TOY_LONG = 32, 1024, 60
LONG_MICRO_BATCH = 8  # of a shape's long texts


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What all trainers get. fresh: a model and what is trained of it."""

    fresh: Callable[[], tuple[Classifier, list[torch.nn.Parameter]]]
    inputs: TokenInputs
    targets: Floats
    engine: EngineConfig

    def loss(self, model: Classifier) -> float:
        """Mean cross-entropy over all examples."""
        said = np.clip(predict(model, self.inputs).astype(np.float64), FLOOR, 1 - FLOOR)
        return float(-np.mean(self.targets * np.log(said) + (1 - self.targets) * np.log(1 - said)))

    def first(self, examples: int) -> "Setting":
        """The same on the first examples."""
        inputs = replace(self.inputs, tokens=self.inputs.tokens.only(range(examples)))
        return replace(self, inputs=inputs, targets=self.targets[:examples])


def setting(model: str, texts: str, data: Path | None, examples: int, cache: Path) -> Setting:
    """The model and its examples."""
    return (shaped if model in (*QWEN3, "tiny") else pooled)(model, texts, data, examples, cache)


def pooled(model: str, texts: str, data: Path | None, examples: int, cache: Path) -> Setting:
    """A small model, all of it trained in float32."""
    sentences, targets = sst2_texts(data, examples)
    if model == "toy":
        pool = ModelPool(ToyModel(size="strong", pretrain_steps=1), cache=cache)
        tokens = hashed([" ".join(text.split()[:TOY_LONG]) for text in sentences], len(pool.tokenizer))
    else:
        pool = ModelPool(HubModel(path=model, max_length=128), cache=cache)
        tokens = tokenize(Examples(texts=tuple(sentences)), pool.tokenizer, 128)
    if texts == "long":
        tokens = random_tokens(np.full(examples, TOY_LONG), len(pool.tokenizer))

    def fresh() -> tuple[Classifier, list[torch.nn.Parameter]]:
        made = pool.fresh(0)
        return made, list(made.parameters())

    inputs = TokenInputs(tokens=tokens, pad_id=pool.pad_id)
    return Setting(fresh=fresh, inputs=inputs, targets=targets, engine=EngineConfig())


def shaped(model: str, texts: str, data: Path | None, examples: int, cache: Path) -> Setting:
    """A published shape, or tiny, with random weights and adapters."""
    config = qwen3(**TINY, vocab_size=512) if model == "tiny" else qwen3(**QWEN3[model])
    lengths = np.full(examples, LONG) if texts == "long" else chat_lengths(examples)
    if model == "tiny":
        lengths = lengths // 8

    def fresh() -> tuple[Classifier, list[torch.nn.Parameter]]:
        made = random_classifier(config, dtype=torch.bfloat16, device=device())
        return made, with_lora(made, RANK)

    tokens = random_tokens(lengths, int(config.vocab_size))
    micro_batch = LONG_MICRO_BATCH if texts == "long" else None
    return Setting(
        fresh=fresh,
        inputs=TokenInputs(tokens=tokens, pad_id=0),
        targets=np.resize(np.array([0.0, 1.0], dtype=np.float32), examples),
        engine=EngineConfig(precision="bf16", micro_batch=micro_batch, gradient_checkpointing=False),
    )
