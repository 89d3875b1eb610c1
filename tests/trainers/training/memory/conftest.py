"""The published shape of Qwen3-4B, as its configuration and as the memory of a training sees it."""

from transformers import Qwen3Config

from trainers.training.memory.activations import ModelShape

QWEN3_4B_CONFIG = Qwen3Config(
    vocab_size=151_936,
    hidden_size=2560,
    intermediate_size=9728,
    num_hidden_layers=36,
    num_attention_heads=32,
    num_key_value_heads=8,
    head_dim=128,
    tie_word_embeddings=True,
)
QWEN3_4B = ModelShape(
    layers=36,
    hidden=2560,
    intermediate=9728,
    attention=4096,
    keys=1024,
    heads=32,
    gated=True,
    normed=True,
)
