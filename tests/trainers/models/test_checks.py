import json
import logging
import runpy
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM, LlamaModel, RobertaConfig, RobertaModel

from trainers.models import checks
from trainers.models.checks import check_no_adapter
from trainers.models.pool import ModelPool, check_model
from trainers.models.settings import HubModel


@pytest.fixture(scope="module")
def cases(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models as people bring them: names with a prefix, a pad token without a row."""
    folder = tmp_path_factory.mktemp("cases")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["models.py", str(folder)])
        runpy.run_path(str(shared / "cases/models.py"))
    return folder


def refusal(path: Path, max_length: int = 64) -> str:
    """The line that a model is refused with, before it is used and where it is loaded."""
    config = HubModel(path=str(path), max_length=max_length)
    with pytest.raises(ValueError, match="model") as first:
        check_model(config, cache=path)
    with pytest.raises(ValueError, match="model") as second:
        ModelPool(config, cache=path).fresh(0)
    assert str(first.value) == str(second.value)
    assert "\n" not in str(first.value)
    return str(first.value)


def test_a_checkpoint_under_other_names_is_refused(cases: Path) -> None:
    message = refusal(cases / "prefixed")
    assert "47 of 47 tensors of the body are not in the checkpoint, the first: model.embed_tokens.weight" in (
        message
    )
    assert "it has _orig_mod.model.embed_tokens.weight and 46 more instead" in message


def changed(shared: Path, folder: Path, **tensors: torch.Tensor | None) -> Path:
    """The story model with some of its tensors replaced, or taken away."""
    source = shared / "models/stories260K"
    shutil.copytree(source, folder, dirs_exist_ok=True)
    weights = load_file(source / "model.safetensors") | tensors
    kept = {name: tensor for name, tensor in weights.items() if tensor is not None}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_a_single_tensor_that_is_not_there_is_named(shared: Path, tmp_path: Path) -> None:
    path = changed(shared, tmp_path, **{"model.layers.3.mlp.up_proj.weight": None})
    message = refusal(path)
    assert "1 of 47 tensors of the body are not in the checkpoint, the first: model.layers.3.mlp" in message


def test_a_tensor_of_another_shape_is_named(shared: Path, tmp_path: Path) -> None:
    path = changed(shared, tmp_path, **{"model.norm.weight": torch.ones(10)})
    assert "model.norm.weight has shape (10,) in the checkpoint and (64,) by config.json" in refusal(path)


def test_a_language_models_head_must_be_there_unless_it_is_tied(tmp_path: Path) -> None:
    shape = LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    LlamaModel(shape).save_pretrained(tmp_path / "body")
    check_model(HubModel(path=str(tmp_path / "body"), max_length=8), cache=tmp_path)
    LlamaForCausalLM(shape).save_pretrained(tmp_path / "whole")
    LlamaModel(shape).save_pretrained(tmp_path / "whole")
    config = tmp_path / "whole/config.json"
    config.write_text(config.read_text().replace("LlamaModel", "LlamaForCausalLM"))
    assert "1 of 12 tensors of the language model's head are not" in refusal(tmp_path / "whole", 8)


def test_more_tensors_and_a_pooler_that_is_missing_are_no_error(tmp_path: Path) -> None:
    save_roberta(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith("pooler")}
    assert len(kept) < len(weights)
    kept["classifier.weight"] = torch.ones(2, 16)
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    config = HubModel(path=str(tmp_path), max_length=32)
    check_model(config, cache=tmp_path)
    ModelPool(config, cache=tmp_path).fresh(0)


def save_roberta(folder: Path) -> None:
    """A RoBERTa of 34 positions: one for the padding, one before it, 32 for tokens."""
    shape = RobertaConfig(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=34,
    )
    RobertaModel(shape).save_pretrained(folder)


def test_positions_begin_after_that_of_the_padding(tmp_path: Path) -> None:
    save_roberta(tmp_path)
    message = refusal(tmp_path, 33)
    assert "max_length must be at most 32, its positions after that of the padding, got 33" in message
    model = ModelPool(HubModel(path=str(tmp_path), max_length=32), cache=tmp_path).fresh(0)
    ids = torch.full((1, 33), 5)
    model(ids[:, :32], torch.ones_like(ids[:, :32]))
    with pytest.raises((IndexError, RuntimeError), match="out of"):
        model(ids, torch.ones_like(ids))


@pytest.mark.parametrize("beside", ["nothing", "a configuration"])
def test_an_adapter_says_of_which_model_it_is(shared: Path, tmp_path: Path, beside: str) -> None:
    settings = {"peft_type": "LORA", "base_model_name_or_path": "Qwen/Qwen3-0.6B-Base"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    if beside == "a configuration":
        shutil.copyfile(shared / "models/stories260K/config.json", tmp_path / "config.json")
    assert "is an adapter (LORA) of 'Qwen/Qwen3-0.6B-Base': merge it" in refusal(tmp_path)


def test_a_hub_that_does_not_answer_fills_no_log_while_an_adapter_is_looked_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def asked(*_: object, **__: object) -> None:
        logging.getLogger("huggingface_hub.utils._http").warning("Retrying in 1s [Retry 1/5].")

    monkeypatch.setattr(checks, "cached_file", asked)
    check_no_adapter("someone/a-model", "main", "someone/a-model")
    asked()
    assert caplog.messages == ["Retrying in 1s [Retry 1/5]."]  # that of no model, as before


def test_a_padding_token_needs_no_row(cases: Path) -> None:
    path = cases / "pad_without_row"
    pool = ModelPool(HubModel(path=str(path), max_length=64), cache=path)
    assert pool.pad_id < 512
    model = pool.fresh(0)
    row = torch.tensor([[5, 6, 7]])
    padded = torch.tensor([[5, 6, 7, pool.pad_id]])
    mask = torch.tensor([[1, 1, 1, 0]])
    torch.testing.assert_close(model(padded, mask), model(row, torch.ones_like(row)))
