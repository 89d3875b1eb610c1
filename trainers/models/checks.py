"""What makes a pretrained model unusable: an adapter in its place, missing tensors, too few positions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import transformers
from torch import Tensor
from transformers.utils.hub import cached_file

from trainers.data.loading import quiet

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ADAPTER = "adapter_config.json"


def check_whole(whole: PreTrainedModel, loading_info: Mapping[str, Any], place: str) -> None:
    """Raise ValueError, on one line, if tensors of a loaded model are not those of its checkpoint.

    transformers gives them random values. Its pooler may be missing, since no read-out uses it.
    loading_info: as from_pretrained returns it.
    """
    names = _used(whole)
    shapes = {name: (tuple(stored), tuple(due)) for name, stored, due in loading_info["mismatched_keys"]}
    for name in names:
        if name in shapes:
            stored, due = shapes[name]
            raise ValueError(
                f"{place}: tensor {name} has shape {stored} in the checkpoint and {due} by config.json: "
                "take both from the same model"
            )
    missing = [name for name in names if name in loading_info["missing_keys"]]
    if missing:
        part = (
            "body" if set(missing) & set(_used(body_of(whole), _prefix(whole))) else "language model's head"
        )
        there = sorted(loading_info["unexpected_keys"])
        instead = f"; it has {there[0]} and {len(there) - 1} more instead" if there else ""
        raise ValueError(
            f"{place}: {len(missing)} of {len(names)} tensors of the {part} are not in the checkpoint, the "
            f"first: {missing[0]}{instead}: save it again under the names of {type(whole).__name__}"
        )


def body_of(whole: PreTrainedModel) -> PreTrainedModel:
    """A model without what it predicts with."""
    body = whole.base_model
    assert isinstance(body, transformers.PreTrainedModel)
    return body


def _prefix(whole: PreTrainedModel) -> str:
    return "" if whole.base_model is whole else f"{whole.base_model_prefix}."


def _used(model: PreTrainedModel, prefix: str = "") -> list[str]:
    """The names of a model's parameters, tied ones once, without those of a pooler."""
    names = [name for name, _ in model.named_parameters()]
    return [prefix + name for name in names if "pooler" not in name.split(".")]


def usable_positions(body: PreTrainedModel) -> int | None:
    """How many tokens a body's learned positions suffice for, where they begin after a padding position.

    RoBERTa and its kin number tokens from the padding's index + 1, so that 514 positions hold 512 tokens.
    None if the configuration already says it.
    """
    for name, module in body.named_modules():
        padding, weight = getattr(module, "padding_idx", None), getattr(module, "weight", None)
        if (
            name.rpartition(".")[2] == "position_embeddings"
            and isinstance(padding, int)
            and isinstance(weight, Tensor)
        ):
            return len(weight) - padding - 1
    return None


def check_positions(body: PreTrainedModel, max_length: int, place: str) -> None:
    """Raise ValueError, on one line, if a body has fewer positions than `max_length`."""
    usable = usable_positions(body)
    if usable is not None and usable < max_length:
        raise ValueError(
            f"{place}: max_length must be at most {usable}, its positions after that of the padding, got "
            f"{max_length}"
        )


def check_no_adapter(source: str, revision: str | None, path: str) -> None:
    """Raise ValueError, on one line, if a folder or hub repository holds an adapter, as PEFT saves it."""
    file = Path(source) / ADAPTER
    if not Path(source).is_dir():
        with quiet():
            found = cached_file(
                source,
                ADAPTER,
                revision=revision,
                _raise_exceptions_for_gated_repo=False,
                _raise_exceptions_for_missing_entries=False,
                _raise_exceptions_for_connection_errors=False,
            )
        file = Path(found or "")
    if not file.is_file():
        return
    try:
        settings = json.loads(file.read_text())
    except ValueError:
        settings = {}
    kind, base = settings.get("peft_type") or "unknown", settings.get("base_model_name_or_path")
    raise ValueError(
        f"model {path!r} is an adapter ({kind}) of {base or 'an unnamed model'!r}: merge it into that model "
        "(PEFT's merge_and_unload), save both as one, and name that folder"
    )
