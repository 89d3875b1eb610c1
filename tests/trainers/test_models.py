from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from transformers import AutoConfig, AutoModelForCausalLM, GPT2Config, GPT2Model, T5Config

from trainers.examples import Examples
from trainers.hub import HubModel
from trainers.models import (
    STUDENTS,
    Classifier,
    Full,
    ModelConfig,
    ModelPool,
    Probe,
    check_model,
    load_classifier,
    load_tokenizer,
    prepare_student,
)
from trainers.tokens import tokenize
from trainers.toy import ToyModel

TEXTS = Examples(
    texts=(
        "the food was good",
        "the staff was kind but the food was not good",
        "good",
        "the food was good but the staff was not kind",
    )
)
ROWS = np.arange(len(TEXTS))


@pytest.fixture(scope="module", params=["toy", "stories260K", "minilm"])
def config(request: pytest.FixtureRequest) -> HubModel | ToyModel:
    if request.param == "toy":
        return ToyModel(size="weak")
    if request.param == "minilm":
        return HubModel(path=str(request.getfixturevalue("minilm")), max_length=64)
    return stories(request.getfixturevalue("shared"))


def stories(shared: Path, **more: Any) -> HubModel:
    return HubModel(path=str(shared / "models/stories260K"), max_length=64, **more)


@pytest.fixture
def classifier(config: HubModel | ToyModel, tmp_path: Path) -> Classifier:
    return load_classifier(config, cache=tmp_path, seed=0)


@pytest.fixture
def batch(config: HubModel | ToyModel) -> tuple[torch.Tensor, torch.Tensor]:
    return padded(config)


def padded(config: HubModel | ToyModel, rows: np.ndarray = ROWS) -> tuple[torch.Tensor, torch.Tensor]:
    tokenizer = load_tokenizer(config)
    return tokenize(TEXTS, tokenizer, tokenizer.model_max_length).pad_batch(rows, tokenizer.pad_token_id)


def weights(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@torch.no_grad()
def test_padding_changes_nothing(
    classifier: Classifier, config: HubModel | ToyModel, batch: tuple[torch.Tensor, torch.Tensor]
) -> None:
    together = classifier(*batch)
    alone = torch.cat([classifier(*padded(config, ROWS[i : i + 1])) for i in ROWS])
    assert together.shape == (4, 2)
    assert together.dtype == torch.float32
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)
    # The texts do differ, so a read-out of a token that all share would show.
    assert torch.pdist(classifier.features(*batch)).min() > 1e-3


@torch.no_grad()
def test_other_pads_change_nothing(classifier: Classifier, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    ids, mask = batch
    assert (mask == 0).any()
    torch.testing.assert_close(classifier(ids, mask), classifier(ids.masked_fill(mask == 0, 7), mask))


@torch.no_grad()
def test_every_layer_can_be_read(classifier: Classifier, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    ids, mask = batch
    states = classifier.body(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
    assert len(states) == classifier.depth + 1
    for layer, state in enumerate(states):
        # The first row by hand: its own tokens, without the pads.
        own = state[0, : int(mask[0].sum())]
        expected = own[-1] if classifier.pool == "last" else own.mean(dim=0)
        torch.testing.assert_close(classifier.features(ids, mask, layer)[0], expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(
        classifier.features(ids, mask), classifier.features(ids, mask, len(states) - 1)
    )


def test_every_weight_takes_part(classifier: Classifier, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    classifier(*batch).square().sum().backward()
    assert [name for name, p in classifier.named_parameters() if p.grad is None] == []


def test_loading_leaves_the_random_state_alone(config: HubModel | ToyModel, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    ModelPool(config, cache=tmp_path).fresh(3)
    assert torch.equal(before, torch.get_rng_state())


def test_loading_is_silent(
    config: HubModel | ToyModel, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    load_tokenizer(config)
    load_classifier(config, cache=tmp_path, seed=0)
    assert capfd.readouterr() == ("", "")


def test_a_pool_gives_pristine_bodies_and_new_heads(config: HubModel | ToyModel, tmp_path: Path) -> None:
    pool = ModelPool(config, cache=tmp_path)
    first = pool.fresh(1)
    pristine, head = weights(first.body), weights(first.head)
    prepare_student(Probe(layer=0.1), first)
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.add_(1.0)
    again, other = pool.fresh(1), pool.fresh(2)
    assert same(weights(again.body), pristine)
    assert same(weights(again.head), head)
    assert not same(weights(other.head), head)
    assert all(parameter.requires_grad for parameter in again.parameters())
    assert again.layer == -1
    shared_memory = {p.data_ptr() for p in again.parameters()} & {p.data_ptr() for p in other.parameters()}
    assert shared_memory == set()


def test_a_pool_and_a_plain_load_agree(config: HubModel | ToyModel, tmp_path: Path) -> None:
    pool = ModelPool(config, cache=tmp_path)
    assert same(weights(pool.fresh(5)), weights(load_classifier(config, cache=tmp_path, seed=5)))
    assert pool.pad_id == load_tokenizer(config).pad_token_id
    assert pool.layer_at(1.0) == pool.fresh(0).depth


def test_heads_start_small_and_without_bias(classifier: Classifier) -> None:
    assert classifier.head.weight.dtype == torch.float32
    assert classifier.head.weight.std().item() == pytest.approx(0.02, rel=0.3)
    assert classifier.head.bias.tolist() == [0.0, 0.0]


def test_a_full_student_trains_everything(classifier: Classifier) -> None:
    trainable = prepare_student(Full(), classifier)
    assert sum(p.numel() for p in trainable) == sum(p.numel() for p in classifier.parameters())
    assert all(p.requires_grad for p in trainable)


def test_a_probe_trains_its_head_on_features_computed_once(
    classifier: Classifier, batch: tuple[torch.Tensor, torch.Tensor]
) -> None:
    trainable = prepare_student(Probe(layer=0.5), classifier)
    assert trainable == list(classifier.head.parameters())
    features = classifier.features(*batch, classifier.layer)
    assert not features.requires_grad
    torch.testing.assert_close(classifier.head(features), classifier(*batch))


@pytest.mark.parametrize(("depth", "layer"), [(0.1, 1), (0.5, 2), (0.7, 4), (1.0, 5)])
def test_depth_counts_from_the_first_layer_to_the_last(
    shared: Path, tmp_path: Path, depth: float, layer: int
) -> None:
    classifier = load_classifier(stories(shared), cache=tmp_path, seed=0)
    prepare_student(Probe(layer=depth), classifier)
    assert classifier.layer == layer  # of five layers: 0.5 -> 2.5, of which round takes the even side


@pytest.mark.parametrize("depth", [0.09, 1.01, float("nan")])
def test_a_probe_outside_the_body_is_refused(depth: float) -> None:
    with pytest.raises(ValueError, match="layer"):
        Probe(layer=depth)


def test_the_registry_has_every_student() -> None:
    assert {student.model_fields["kind"].default for student in STUDENTS} == {"full", "probe"}


@torch.no_grad()
def test_a_decoders_body_is_that_of_its_language_model(shared: Path, tmp_path: Path) -> None:
    config = stories(shared)
    ids, mask = padded(config)
    states = AutoModelForCausalLM.from_pretrained(config.path)(
        input_ids=ids, attention_mask=mask, output_hidden_states=True
    ).hidden_states[-1]
    last = states[torch.arange(4), mask.sum(dim=1) - 1]
    features = load_classifier(config, cache=tmp_path, seed=0).features(ids, mask)
    torch.testing.assert_close(features, last)


@torch.no_grad()
@pytest.mark.parametrize("pool", ["last", "mean", "cls"])
def test_pools_by_hand(shared: Path, tmp_path: Path, pool: Any) -> None:
    config = stories(shared, pool=pool)
    classifier = load_classifier(config, cache=tmp_path, seed=0)
    ids, mask = padded(config)
    states = classifier.body(input_ids=ids, attention_mask=mask).last_hidden_state
    n = int(mask[2].sum())
    expected = {"last": states[2, n - 1], "mean": states[2, :n].mean(dim=0), "cls": states[2, 0]}[pool]
    torch.testing.assert_close(classifier.features(ids, mask)[2], expected)


def test_encoders_are_read_as_a_mean_and_decoders_at_the_end(classifier: Classifier) -> None:
    kind = classifier.body.config.model_type
    assert classifier.pool == {"bert": "mean", "llama": "last", "qwen3": "last"}[kind]


@torch.no_grad()
def test_half_precision_bodies_have_float_heads(shared: Path, tmp_path: Path) -> None:
    half = load_classifier(stories(shared, dtype="bfloat16"), cache=tmp_path, seed=0)
    full = load_classifier(stories(shared), cache=tmp_path, seed=0)
    batch = padded(stories(shared))
    assert next(half.body.parameters()).dtype == torch.bfloat16
    assert half(*batch).dtype == torch.float32
    torch.testing.assert_close(half.features(*batch), full.features(*batch), atol=0.1, rtol=0.1)
    # As an engine does that casts the whole module.
    assert half.to(torch.bfloat16)(*batch).dtype == torch.float32


def test_a_tokenizer_without_a_pad_token_gets_one(shared: Path, tmp_path: Path) -> None:
    source = shared / "models/stories260K"
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        text = (source / name).read_text()
        (tmp_path / name).write_text(text.replace('"pad_token": "<unk>",', ""))
    tokenizer = load_tokenizer(HubModel(path=str(tmp_path), max_length=32))
    assert tokenizer.pad_token == "</s>"
    assert tokenizer.model_max_length == 32


def test_configs_are_told_apart_by_kind() -> None:
    adapter: TypeAdapter[HubModel | ToyModel] = TypeAdapter(ModelConfig)
    assert adapter.validate_python({"kind": "toy", "size": "weak"}) == ToyModel(size="weak")
    assert adapter.validate_python({"kind": "hub", "path": "a/b", "max_length": 64}) == HubModel(
        path="a/b", max_length=64
    )


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def refusal(path: Path | str, tmp_path: Path, **more: Any) -> str:
    config = HubModel(path=str(path), **({"max_length": 64} | more))
    with pytest.raises(ValueError, match="model") as caught:
        load_classifier(config, cache=tmp_path, seed=0)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_model_is_checked_without_its_weights(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((shared / "models/stories260K/config.json").read_bytes())
    check_model(HubModel(path=str(tmp_path), max_length=512), cache=tmp_path)
    with pytest.raises(ValueError, match="max_length must be at most 512, its positions, got 513"):
        check_model(HubModel(path=str(tmp_path), max_length=513), cache=tmp_path)


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


@torch.no_grad()
def test_learned_positions_are_padded_right_too(tmp_path: Path) -> None:
    shape = GPT2Config(vocab_size=50, n_positions=16, n_embd=8, n_layer=2, n_head=2)
    GPT2Model(shape).save_pretrained(tmp_path)
    classifier = load_classifier(HubModel(path=str(tmp_path), max_length=16), cache=tmp_path, seed=0)
    ids = torch.tensor([[3, 4, 5]])
    longer = torch.tensor([[3, 4, 5, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 0, 0]])
    assert classifier.pool == "last"
    torch.testing.assert_close(classifier(longer, mask), classifier(ids, torch.ones_like(ids)))
