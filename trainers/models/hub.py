"""Models from the hub or the disk: pretrained bodies, their shapes and tokenizers."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
import transformers
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES as MASKED

from trainers.data.loading import loading
from trainers.models.checks import body_of, check_no_adapter, check_positions, check_whole
from trainers.models.settings import HubModel, Pool

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """The pretrained parts of a model.

    body: from tokens to hidden states. pool: which hidden states are read. vocabulary: from a hidden state to
    scores of the next token, for a language model; else None.
    """

    body: PreTrainedModel
    pool: Pool
    vocabulary: torch.nn.Linear | None


def hub_model(config: HubModel) -> Pretrained:
    """Load a model: its body without pooler, the last layer of a language model, and the pooling.

    Raises ValueError, on one line, if it cannot be loaded, is not a text model, or lacks tensors.
    """
    shape = hub_shape(config)
    whole = _loaded(config, shape, dtype=getattr(torch, config.dtype))
    return pretrained(whole, "last" if is_decoder(shape) else "mean", config.pool)


def check_hub_model(config: HubModel) -> None:
    """Make sure, without reading weights, that a model can be used.

    Of a folder the names and shapes of the tensors are compared with the model's. Those of a hub id are
    compared when it is loaded, so that a driver need not download what its workers use. Raises ValueError as
    `hub_model`.
    """
    source = _source(config)
    check_no_adapter(source, config.revision, config.path)
    shape = hub_shape(config)
    if Path(source).is_dir():
        _loaded(config, shape, device_map="meta")
        return
    with torch.device("meta"):
        body: PreTrainedModel = transformers.AutoModel.from_config(shape)
    check_positions(body, config.max_length, _place(shape, config))


def _loaded(config: HubModel, shape: PretrainedConfig, **options: Any) -> PreTrainedModel:
    """The model as transformers loads it; raises ValueError as `hub_model`."""
    source, revision = _source(config), config.revision or "main"
    with _loading(config):
        kind = transformers.AutoModelForCausalLM if has_language_model(shape) else transformers.AutoModel
        whole, info = kind.from_pretrained(
            source,
            revision=revision,
            config=shape,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # check_whole refuses them by name
            **options,
        )
    assert isinstance(whole, transformers.PreTrainedModel)
    check_whole(whole, info, _place(shape, config))
    check_positions(body_of(whole), config.max_length, _place(shape, config))
    return whole


def pretrained(whole: PreTrainedModel, usual: Pool, pool: Literal["auto"] | Pool = "auto") -> Pretrained:
    """The parts of a loaded model; pool auto means `usual`."""
    body, vocabulary = body_of(whole), whole.get_output_embeddings()
    if getattr(body, "pooler", None) is not None:
        # No read-out uses it, so its weights would never get a gradient.
        body.register_module("pooler", None)
    return Pretrained(
        body=body,
        pool=usual if pool == "auto" else pool,
        vocabulary=vocabulary if isinstance(vocabulary, torch.nn.Linear) else None,
    )


def has_language_model(shape: PretrainedConfig) -> bool:
    """Whether a checkpoint with this configuration is a decoder that predicts the next token."""
    stored = CAUSAL.get(shape.model_type) in (shape.architectures or ())
    return is_decoder(shape) and (stored or bool(getattr(shape, "tie_word_embeddings", False)))


def hub_shape(config: HubModel) -> PretrainedConfig:
    """The model's configuration, without its weights; raises ValueError as `hub_model`."""
    source, revision = _source(config), config.revision or "main"
    if Path(source).is_dir():
        check_no_adapter(source, None, config.path)
    with _loading(config):
        shape: PretrainedConfig = transformers.AutoConfig.from_pretrained(source, revision=revision)
    _check_shape(shape, config)
    return shape


def _loading(config: HubModel) -> AbstractContextManager[None]:
    problem = f"model {config.path!r} cannot be loaded"
    return loading(problem, "check its hub id or folder, its revision and the network")


def _place(shape: PretrainedConfig, config: HubModel) -> str:
    return f"model {config.path!r} ({shape.model_type})"


def _check_shape(shape: PretrainedConfig, config: HubModel) -> None:
    place = _place(shape, config)
    for field in ("hidden_size", "num_hidden_layers"):
        if not isinstance(getattr(shape, field, None), int):
            raise ValueError(f"{place} has no {field}: name a text encoder or decoder")
    if shape.is_encoder_decoder:
        raise ValueError(f"{place} is an encoder-decoder: name a model that is only one of them")
    positions = getattr(shape, "max_position_embeddings", None)
    if isinstance(positions, int) and 0 < positions < config.max_length:
        raise ValueError(
            f"{place}: max_length must be at most {positions}, its positions, got {config.max_length}"
        )
    if config.readout == "label_tokens" and not has_language_model(shape):
        raise ValueError(f"{place} is no language model, as readout label_tokens needs: use readout head")


def _source(config: HubModel) -> str:
    path = Path(config.path).expanduser()
    if path.is_dir():
        return str(path)
    if path.is_absolute() or config.path.startswith((".", "~")) or config.path.count("/") > 1:
        raise ValueError(
            f"model folder {config.path!r} is not there (looked from {Path.cwd()}): check the path"
        )
    return config.path


def hub_tokenizer(config: HubModel) -> PreTrainedTokenizerBase:
    """The model's tokenizer, with a pad token and the model's max_length as model_max_length."""
    source, revision = _source(config), config.revision or "main"
    with _loading(config):
        tokenizer: PreTrainedTokenizerBase = transformers.AutoTokenizer.from_pretrained(
            source, revision=revision
        )
    tokenizer.model_max_length = config.max_length
    rows = embedding_rows(config)
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id >= rows:
        # Padding is masked, so any token with a row in the embedding will do.
        others = (tokenizer.eos_token_id, tokenizer.unk_token_id)
        usable = next((int(token) for token in others if token is not None and token < rows), 0)
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(usable)
    return tokenizer


def embedding_rows(config: HubModel) -> float:
    """The rows of the model's embedding, one for each token id; infinite if its configuration is silent."""
    rows = getattr(hub_shape(config), "vocab_size", None)
    return rows if isinstance(rows, int) else math.inf


def is_decoder(config: PretrainedConfig) -> bool:
    """Whether attention is causal: no token sees later tokens.

    Encoders like BERT have causal variants too, but are also masked models.
    """
    kind = config.model_type
    bidirectional = bool(getattr(config, "use_bidirectional_attention", False))
    causal = bool(getattr(config, "is_decoder", False)) or (kind in CAUSAL and kind not in MASKED)
    return causal and not bidirectional
