from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from transformers import AutoModelForCausalLM, GPT2Config, GPT2Model, PreTrainedModel

from trainers.data.dataset import load_task
from trainers.data.examples import Examples
from trainers.data.settings import DatasetTask, SplitSizes
from trainers.data.tokens import sorted_batches, tokenize
from trainers.models.pool import Classifier, ModelPool, check_model, load_tokenizer
from trainers.models.prompts import render
from trainers.models.settings import HubModel, ModelConfig, ToyModel
from trainers.models.toy_model import build_toy_model

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
    return ModelPool(config, cache=tmp_path).fresh(0)


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
@pytest.mark.parametrize("pool", ["last", "mean", "cls"])
def test_a_decoder_needs_no_mask(shared: Path, tmp_path: Path, pool: Any) -> None:
    config = stories(shared, pool=pool)
    classifier = ModelPool(config, cache=tmp_path).fresh(0)
    ids, mask = padded(config)
    assert (mask == 0).any()
    masked = classifier.body(input_ids=ids, attention_mask=mask).last_hidden_state
    own = [state[: int(row.sum())] for state, row in zip(masked, mask, strict=True)]
    read = {"last": lambda h: h[-1], "mean": lambda h: h.mean(dim=0), "cls": lambda h: h[0]}[pool]
    expected = torch.stack([read(state) for state in own]) @ classifier.head.weight.T
    seen: list[torch.Tensor | None] = []
    classifier.body.register_forward_pre_hook(
        lambda body, args, kwargs: seen.append(kwargs["attention_mask"]), with_kwargs=True
    )
    torch.testing.assert_close(classifier(ids, mask), expected, atol=1e-6, rtol=1e-5)
    assert seen == [None]


def test_an_encoder_keeps_its_mask(minilm: Path, tmp_path: Path) -> None:
    classifier = ModelPool(HubModel(path=str(minilm), max_length=64, pool="last"), cache=tmp_path).fresh(0)
    seen: list[torch.Tensor] = []
    classifier.body.register_forward_pre_hook(
        lambda body, args, kwargs: seen.append(kwargs["attention_mask"]), with_kwargs=True
    )
    ids, mask = padded(HubModel(path=str(minilm), max_length=64))
    classifier(ids, mask)
    assert seen[0] is mask


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
    ModelPool(config, cache=tmp_path).fresh(0)
    assert capfd.readouterr() == ("", "")


def test_a_pool_gives_pristine_bodies_and_new_heads(config: HubModel | ToyModel, tmp_path: Path) -> None:
    pool = ModelPool(config, cache=tmp_path)
    first = pool.fresh(1)
    pristine, head = weights(first.body), weights(first.head)
    first.requires_grad_(False)
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.add_(1.0)
    again, other = pool.fresh(1), pool.fresh(2)
    assert same(weights(again.body), pristine)
    assert same(weights(again.head), head)
    assert not same(weights(other.head), head)
    assert all(parameter.requires_grad for parameter in again.parameters())
    shared_memory = {p.data_ptr() for p in again.parameters()} & {p.data_ptr() for p in other.parameters()}
    assert shared_memory == set()


def test_two_pools_agree(config: HubModel | ToyModel, tmp_path: Path) -> None:
    pool = ModelPool(config, cache=tmp_path)
    again = pool.another(config)
    assert again is not pool
    assert same(weights(pool.fresh(5)), weights(again.fresh(5)))
    assert pool.pad_id == load_tokenizer(config).pad_token_id
    assert pool.layer_at(1.0) == pool.fresh(0).depth
    assert pool.hidden == pool.fresh(0).head.in_features


def test_heads_start_small_and_without_bias(classifier: Classifier) -> None:
    assert classifier.head.weight.dtype == torch.float32
    assert classifier.head.weight.std().item() == pytest.approx(0.02, rel=0.3)
    assert classifier.head.bias.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(("depth", "layer"), [(0.1, 1), (0.5, 2), (0.7, 4), (1.0, 5)])
def test_depth_counts_from_the_first_layer_to_the_last(
    shared: Path, tmp_path: Path, depth: float, layer: int
) -> None:
    # Of five layers: 0.5 -> 2.5, of which round takes the even side.
    assert ModelPool(stories(shared), cache=tmp_path).layer_at(depth) == layer


@pytest.fixture(params=["toy", "stories260K"])
def speaking(request: pytest.FixtureRequest) -> HubModel | ToyModel:
    if request.param == "toy":
        return ToyModel(size="weak", readout="label_tokens")
    return stories(request.getfixturevalue("shared"), readout="label_tokens")


def language_model(config: HubModel | ToyModel, tmp_path: Path) -> PreTrainedModel:
    if isinstance(config, ToyModel):
        return build_toy_model(config, cache=tmp_path)
    return AutoModelForCausalLM.from_pretrained(config.path)


@torch.no_grad()
def test_label_tokens_are_the_language_models_next_word(
    speaking: HubModel | ToyModel, tmp_path: Path
) -> None:
    tokens = render(speaking, TEXTS)
    assert tokens.words is not None
    pool = ModelPool(speaking, cache=tmp_path)
    ids, mask = tokens.pad_batch(ROWS, pool.pad_id)
    whole = language_model(speaking, tmp_path)(input_ids=ids, attention_mask=mask).logits
    expected = whole[ROWS, mask.sum(dim=1) - 1][:, list(tokens.words)]
    torch.testing.assert_close(pool.fresh(3, words=tokens.words)(ids, mask), expected, atol=1e-4, rtol=1e-4)
    assert same(
        weights(pool.fresh(3, words=tokens.words)), weights(pool.fresh(4, words=tokens.words))
    )  # nothing is drawn


def test_label_tokens_train_every_weight_once(speaking: HubModel | ToyModel, tmp_path: Path) -> None:
    tokens = render(speaking, TEXTS)
    pool = ModelPool(speaking, cache=tmp_path)
    classifier = pool.fresh(0, words=tokens.words)
    # The vocabulary of both models is tied to their embeddings, and stays so in a copy.
    assert classifier.head.weight is classifier.body.get_input_embeddings().weight
    classifier(*tokens.pad_batch(ROWS, pool.pad_id)).square().sum().backward()
    assert [name for name, p in classifier.named_parameters() if p.grad is None] == []


def test_label_tokens_need_examples_that_end_on_a_question(
    speaking: HubModel | ToyModel, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="needs examples that end on a question"):
        ModelPool(speaking, cache=tmp_path).fresh(0)


def test_an_encoder_has_no_label_tokens(minilm: Path, tmp_path: Path) -> None:
    config = HubModel(path=str(minilm), max_length=64, readout="label_tokens")
    with pytest.raises(
        ValueError, match=r"\(bert\) is no language model, as readout label_tokens needs: use"
    ):
        check_model(config, cache=tmp_path)
    with pytest.raises(ValueError, match="this strong model is no language model"):
        ModelPool(HubModel(path=str(minilm), max_length=64), cache=tmp_path).speaker((1, 2))
    with pytest.raises(ValueError, match="reads the last token, got pool mean: leave it at auto"):
        HubModel(path=str(minilm), max_length=64, readout="label_tokens", pool="mean")


@torch.no_grad()
def test_a_decoders_body_is_that_of_its_language_model(shared: Path, tmp_path: Path) -> None:
    config = stories(shared)
    ids, mask = padded(config)
    states = AutoModelForCausalLM.from_pretrained(config.path)(
        input_ids=ids, attention_mask=mask, output_hidden_states=True
    ).hidden_states[-1]
    last = states[torch.arange(4), mask.sum(dim=1) - 1]
    features = ModelPool(config, cache=tmp_path).fresh(0).features(ids, mask)
    torch.testing.assert_close(features, last)


@torch.no_grad()
@pytest.mark.parametrize("pool", ["last", "mean", "cls"])
def test_pools_by_hand(shared: Path, tmp_path: Path, pool: Any) -> None:
    config = stories(shared, pool=pool)
    classifier = ModelPool(config, cache=tmp_path).fresh(0)
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
    half = ModelPool(stories(shared, dtype="bfloat16"), cache=tmp_path).fresh(0)
    full = ModelPool(stories(shared), cache=tmp_path).fresh(0)
    batch = padded(stories(shared))
    assert next(half.body.parameters()).dtype == torch.bfloat16
    assert half(*batch).dtype == torch.float32
    torch.testing.assert_close(half.features(*batch), full.features(*batch), atol=0.1, rtol=0.1)
    # As an engine does that casts the whole module.
    assert half.to(torch.bfloat16)(*batch).dtype == torch.float32


def test_configs_are_told_apart_by_kind() -> None:
    adapter: TypeAdapter[HubModel | ToyModel] = TypeAdapter(ModelConfig)
    assert adapter.validate_python({"kind": "toy", "size": "weak"}) == ToyModel(size="weak")
    assert adapter.validate_python({"kind": "hub", "path": "a/b", "max_length": 64}) == HubModel(
        path="a/b", max_length=64
    )


@torch.no_grad()
def test_learned_positions_are_padded_right_too(tmp_path: Path) -> None:
    shape = GPT2Config(vocab_size=50, n_positions=16, n_embd=8, n_layer=2, n_head=2)
    GPT2Model(shape).save_pretrained(tmp_path)
    classifier = ModelPool(HubModel(path=str(tmp_path), max_length=16), cache=tmp_path).fresh(0)
    ids = torch.tensor([[3, 4, 5]])
    longer = torch.tensor([[3, 4, 5, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 0, 0]])
    assert classifier.pool == "last"
    torch.testing.assert_close(classifier(longer, mask), classifier(ids, torch.ones_like(ids)))


@pytest.mark.slow
@pytest.mark.timeout(600)
@torch.no_grad()
def test_frozen_features_of_real_reviews_are_worth_what_is_known(
    shared: Path, minilm: Path, tmp_path: Path
) -> None:
    """A probe on 2,000 rows is right 0.73 of the time, by the note that comes with the data."""
    path, test_path = (str(shared / f"data/sst2.{split}.jsonl.gz") for split in ("train", "test"))
    splits = SplitSizes(weak_train=8, transfer=2000, search=8, test=1000)
    task = load_task(DatasetTask(path=path, test_path=test_path, splits=splits))
    pool = ModelPool(HubModel(path=str(minilm), max_length=64), cache=tmp_path)
    classifier = pool.fresh(0)

    def features(inputs: Examples) -> torch.Tensor:
        tokens = tokenize(inputs, pool.tokenizer, 64)
        batches = sorted_batches(tokens.lengths, 2048)
        found = torch.cat([classifier.features(*tokens.pad_batch(rows, pool.pad_id)) for rows in batches])
        found = found[np.argsort(np.concatenate(batches))]
        return torch.cat([found, torch.ones(len(found), 1)], dim=1)

    # Ridge regression on -1 and 1, solved exactly, so not below what stochastic steps reach.
    known = features(task.inputs["transfer"])
    wanted = torch.from_numpy(task.truth["transfer"] * 2.0 - 1).float()
    direction = torch.linalg.solve(known.T @ known + torch.eye(known.shape[1]), known.T @ wanted)
    right = (features(task.inputs["test"]) @ direction > 0).numpy() == (task.truth["test"] == 1)
    assert right.mean() >= 0.73
