import multiprocessing
from itertools import islice
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import Qwen3ForCausalLM

from tests.small_runs.settings import PRETRAIN_STEPS
from trainers.data.examples import SPLITS
from trainers.data.settings import SplitSizes, ToyTask
from trainers.data.toy_task import load_toy
from trainers.data.toy_text import RARE, TRADE, VERDICTS, reviews, vocabulary
from trainers.models import toy_model as toy
from trainers.models.pool import check_model
from trainers.models.settings import ToyModel
from trainers.models.toy_model import build_toy_model, toy_tokenizer

BRIEF = ToyModel(size="strong", pretrain_steps=2)


def _home(cache: Path) -> Path:
    (home,) = cache.iterdir()
    return home


def test_the_tokenizer_knows_every_word_of_the_task_and_of_pretraining() -> None:
    tokenizer = toy_tokenizer()
    assert (tokenizer.pad_token_id, tokenizer.unk_token_id, tokenizer.eos_token_id) == (0, 1, 2)
    assert len(tokenizer) == 3 + len(vocabulary())
    task = load_toy(ToyTask(splits=SplitSizes(weak_train=120, transfer=150, search=130, test=200)))
    texts = [text for split in SPLITS for text in task.inputs[split].texts]
    for text in [*texts, *islice(toy._pretraining_texts(), 500)]:
        ids = tokenizer(text)["input_ids"]
        assert tokenizer.unk_token_id not in ids
        assert len(ids) == len(text.split()) <= toy.MAX_TOKENS
    assert tokenizer("the quasar")["input_ids"][1] == tokenizer.unk_token_id


def test_the_weak_model_reads_rare_words_as_unknown_and_no_others() -> None:
    tokenizer = toy_tokenizer("weak")
    assert len(tokenizer) == 3 + len(vocabulary()) - len(RARE)
    unknown = {word for word in vocabulary() if tokenizer(word)["input_ids"] == [tokenizer.unk_token_id]}
    assert unknown == RARE


def test_the_tokenizer_pads_on_the_right() -> None:
    batch = toy_tokenizer()(["the food was good .", "the"], padding=True)
    assert batch["attention_mask"] == [[1, 1, 1, 1, 1], [1, 0, 0, 0, 0]]


@pytest.mark.parametrize(("size", "low", "high"), [("weak", 4_000, 7_000), ("strong", 80_000, 100_000)])
def test_models_have_the_sizes_they_are_meant_to_have(size: str, low: int, high: int, tmp_path: Path) -> None:
    config = ToyModel.model_validate({"size": size, "pretrain_steps": 1})
    model = build_toy_model(config, cache=tmp_path)
    assert low <= model.num_parameters() <= high
    assert not model.training


def test_the_weak_model_is_the_same_each_time_and_leaves_random_state_and_disk_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    first, again = (build_toy_model(ToyModel(size="weak"), cache=tmp_path).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert torch.equal(before, torch.get_rng_state())
    assert not list(tmp_path.iterdir())


def test_a_second_build_loads_and_does_not_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "not" / "there" / "yet"
    first = build_toy_model(BRIEF, cache=cache).state_dict()

    def trained(config: ToyModel) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(toy, "_pretrained", trained)
    again = build_toy_model(BRIEF, cache=cache).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    with pytest.raises(AssertionError, match="trained again"):
        build_toy_model(ToyModel(size="strong", pretrain_steps=3), cache=cache)


def test_a_check_pretrains_a_model_once_and_loads_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy.transformers.Qwen3ForCausalLM, "from_pretrained", None)
    check_model(ToyModel(size="weak"), cache=tmp_path)
    assert list(tmp_path.iterdir()) == []
    check_model(BRIEF, cache=tmp_path)
    assert toy._intact(_home(tmp_path))
    monkeypatch.setattr(toy, "_pretrained", None)
    check_model(BRIEF, cache=tmp_path)


def test_pretraining_moves_the_weights_and_restores_threads_and_random_state(tmp_path: Path) -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(3)
    try:
        model = build_toy_model(BRIEF, cache=tmp_path)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(state, torch.get_rng_state())
    start = toy._initial("strong").state_dict()
    assert not torch.equal(
        model.state_dict()["model.embed_tokens.weight"], start["model.embed_tokens.weight"]
    )


def test_the_cache_holds_the_tokenizer_and_nothing_half_made(tmp_path: Path) -> None:
    build_toy_model(BRIEF, cache=tmp_path)
    names = {path.name for path in _home(tmp_path).iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", toy.CHECKSUMS} <= names


@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing", "no checksums", "garbled checksums"])
def test_a_damaged_copy_is_made_anew(damage: str, tmp_path: Path) -> None:
    loaded = build_toy_model(BRIEF, cache=tmp_path).state_dict()
    sound = {name: weights.clone() for name, weights in loaded.items()}  # loaded ones are views of the file
    home = _home(tmp_path)
    weights = home / "model.safetensors"
    content = weights.read_bytes()
    match damage:
        case "truncated":
            weights.write_bytes(content[: len(content) // 2])
        case "flipped":
            weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        case "missing":
            weights.unlink()
        case "no checksums":
            (home / toy.CHECKSUMS).unlink()
        case _:
            (home / toy.CHECKSUMS).write_bytes(b"\xff{")
    again = build_toy_model(BRIEF, cache=tmp_path).state_dict()
    assert all(torch.allclose(sound[name], again[name], atol=1e-5) for name in sound)
    assert _home(tmp_path) == home
    assert toy._intact(home)


def test_of_two_that_race_the_first_to_finish_publishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretrained = toy._pretrained
    rival = toy._initial("strong")

    def overtaken(config: ToyModel) -> Qwen3ForCausalLM:
        toy._publish(rival, tmp_path / f"toy-{toy.content_hash(config)}")
        return pretrained(config)

    monkeypatch.setattr(toy, "_pretrained", overtaken)
    model = build_toy_model(BRIEF, cache=tmp_path).state_dict()
    assert all(torch.equal(model[name], weights) for name, weights in rival.state_dict().items())
    assert toy._intact(_home(tmp_path))


@pytest.mark.slow
def test_two_processes_can_build_at_once(tmp_path: Path) -> None:
    """This process and another, which begin when both have imported everything."""
    spawn = multiprocessing.get_context("spawn")
    both, answers = spawn.Barrier(2), spawn.Queue()
    other = spawn.Process(target=_builder, args=(tmp_path, both, answers))
    other.start()
    both.wait(240)
    ours = _embedding(tmp_path)
    theirs = answers.get(timeout=60)
    other.join(60)
    assert np.array_equal(ours, theirs)
    assert toy._intact(_home(tmp_path))


def _builder(cache: Path, both: Barrier, answers: Any) -> None:
    both.wait(240)
    answers.put(_embedding(cache))


def _embedding(cache: Path) -> NDArray[np.float32]:
    weights: torch.Tensor = build_toy_model(BRIEF, cache=cache).state_dict()["model.embed_tokens.weight"]
    return weights.numpy()


@pytest.mark.slow
def test_what_the_pretrained_model_knows(cache: Path) -> None:
    """All but trade words and reviews that end on a concession, of which readers misjudge three in five.

    It knows so much after half of the usual steps.
    """
    half = ToyModel(size="strong", pretrain_steps=PRETRAIN_STEPS)
    assert ToyModel(size="strong").pretrain_steps >= 2 * PRETRAIN_STEPS
    model, tokenizer = build_toy_model(half, cache=cache), toy_tokenizer()
    drawn = list(islice(reviews(np.random.default_rng(0), pretraining=False), 2000))
    batch = tokenizer([review.prompt for review in drawn], padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = model(input_ids=batch["input_ids"]).logits
    last = logits[torch.arange(len(drawn)), batch["attention_mask"].sum(1) - 1]
    negative, positive = (tokenizer.get_vocab()[word] for word in VERDICTS)
    right = (last[:, positive] > last[:, negative]).numpy() == np.array([r.label == 1 for r in drawn])
    conceding = np.array([review.order == "although" for review in drawn])
    known = np.array([not review.adjectives & TRADE for review in drawn])
    of_trade = np.array([review.adjectives <= TRADE for review in drawn])
    assert right[known & ~conceding].mean() > 0.95
    assert right[known & conceding].mean() < 0.5
    assert right[of_trade & ~conceding].mean() < 0.65
