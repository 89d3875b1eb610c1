from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig, T5Config

from trainers.models.pool import ModelPool, check_model, load_tokenizer
from trainers.models.settings import HubModel


def test_a_tokenizer_without_a_pad_token_gets_one(shared: Path, tmp_path: Path) -> None:
    source = shared / "models/stories260K"
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        text = (source / name).read_text()
        (tmp_path / name).write_text(text.replace('"pad_token": "<unk>",', ""))
    tokenizer = load_tokenizer(HubModel(path=str(tmp_path), max_length=32))
    assert tokenizer.pad_token == "</s>"
    assert tokenizer.model_max_length == 32


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def refusal(path: Path | str, tmp_path: Path, **more: Any) -> str:
    config = HubModel(path=str(path), **({"max_length": 64} | more))
    with pytest.raises(ValueError, match="model") as caught:
        ModelPool(config, cache=tmp_path).fresh(0)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_model_is_checked_without_reading_its_weights(shared: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((shared / "models/stories260K" / name).read_bytes())
    check_model(HubModel(path=str(tmp_path), max_length=512), cache=tmp_path)
    with pytest.raises(ValueError, match="max_length must be at most 512, its positions, got 513"):
        check_model(HubModel(path=str(tmp_path), max_length=513), cache=tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"model '.*' cannot be loaded: .*safetensors"):
        check_model(HubModel(path=str(tmp_path), max_length=512), cache=tmp_path)


@pytest.mark.usefixtures("offline")
def test_a_hub_that_cannot_be_reached(tmp_path: Path) -> None:
    message = refusal("nobody/nothing", tmp_path)
    assert message.startswith("model 'nobody/nothing' cannot be loaded: ")
    assert message.endswith("; check its hub id or folder, its revision and the network")
    with pytest.raises(ValueError, match="model 'nobody/nothing' cannot be loaded"):
        load_tokenizer(HubModel(path="nobody/nothing", max_length=64))


@pytest.mark.parametrize("path", ["/nowhere/at/all", "./nowhere", "models/no/where"])
def test_a_folder_that_is_not_there(tmp_path: Path, path: str) -> None:
    assert refusal(path, tmp_path).startswith(f"model folder '{path}' is not there (looked from ")


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    assert "cannot be loaded" in refusal(tmp_path, tmp_path)


def test_damaged_weights(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((shared / "models/stories260K/config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"not weights at all")
    assert "cannot be loaded" in refusal(tmp_path, tmp_path)


def test_an_encoder_decoder_is_refused(tmp_path: Path) -> None:
    T5Config().save_pretrained(tmp_path)
    assert "(t5) is an encoder-decoder: name a model" in refusal(tmp_path, tmp_path)


def test_a_model_of_something_else_is_refused(tmp_path: Path) -> None:
    AutoConfig.for_model("clip").save_pretrained(tmp_path)
    assert "(clip) has no hidden_size: name a text encoder or decoder" in refusal(tmp_path, tmp_path)


def test_more_tokens_than_positions(shared: Path, tmp_path: Path) -> None:
    message = refusal(shared / "models/stories260K", tmp_path, max_length=1024)
    assert "max_length must be at most 512, its positions, got 1024" in message
