from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import (
    AutoModel,
    BertConfig,
    LlamaConfig,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from trainers.data.tokens import Tokens
from trainers.models.head import new_head
from trainers.models.pool import Classifier
from trainers.training.packed.batch import packed
from trainers.training.packed.reader import FAMILIES, Reader, can_pack, reading_packed, wants_packed
from trainers.training.settings import EngineConfig

SIZES: dict[str, Any] = {
    "vocab_size": 60,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
CONFIGS: dict[str, PretrainedConfig] = {
    "llama": LlamaConfig(**SIZES),
    "qwen2": Qwen2Config(**SIZES),
    "qwen3": Qwen3Config(**SIZES, head_dim=8),
}
LENGTHS = np.array([5, 1, 9, 4])
TOKENS = Tokens(
    ids=np.random.default_rng(0).integers(3, 60, size=LENGTHS.sum(), dtype=np.int32),
    offsets=np.concatenate([[0], LENGTHS.cumsum()]),
)
ON = EngineConfig(packing="on")


def classifier(config: PretrainedConfig, pool: Any = "last") -> Classifier:
    torch.manual_seed(0)
    body = AutoModel.from_config(config, attn_implementation="sdpa")
    return Classifier(body, pool, new_head(32, seed=0)).eval()


def test_every_family_is_tried_here() -> None:
    assert set(CONFIGS) == set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("positions", "texts"), [(0, 3), (24, 6)])
def test_packed_texts_are_read_as_padded_ones(family: str, positions: int, texts: int) -> None:
    model = classifier(CONFIGS[family])
    assert can_pack(model)
    rows = np.array([2, 0, 1])
    batch = packed(TOKENS, rows, pad_id=0, positions=positions, texts=texts)
    with torch.no_grad():
        padded = model(*TOKENS.pad_batch(rows, 0))
        with reading_packed(model):
            found = Reader(model, texts=texts, longest=12)(torch.from_numpy(batch.flat))[:3]
            meanwhile = model(*TOKENS.pad_batch(rows, 0))
    assert padded.abs().max() > 0.01
    torch.testing.assert_close(found, padded, atol=1e-6, rtol=1e-5)
    assert torch.equal(meanwhile, padded)
    assert model.body.config._attn_implementation == "sdpa"  # as it was found


@pytest.mark.parametrize(
    "model",
    [
        classifier(BertConfig(**SIZES), "mean"),
        classifier(CONFIGS["qwen3"], "mean"),
        classifier(Qwen3Config(**SIZES, head_dim=8, attention_dropout=0.1)),
        classifier(Qwen3Config(**SIZES, head_dim=4)),
        classifier(
            Qwen2Config(
                **SIZES, use_sliding_window=True, sliding_window=4, layer_types=["sliding_attention"] * 2
            )
        ),
        nn.Linear(2, 2),
    ],
    ids=["encoder", "mean of the states", "attention dropout", "size of heads", "sliding window", "probe"],
)
def test_other_models_are_not_packed(model: nn.Module) -> None:
    assert not can_pack(model)
    assert not wants_packed(ON, model)


def test_packing_is_asked_for_and_is_torchs_alone() -> None:
    model = classifier(CONFIGS["qwen2"])
    assert wants_packed(ON, model)
    assert not wants_packed(EngineConfig(), model)
    assert not wants_packed(ON.model_copy(update={"backend": "deepspeed"}), model)
    assert not wants_packed(ON.model_copy(update={"zero_stage": 2}), model)
