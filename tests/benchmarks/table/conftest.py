import gzip
import json
import random
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

from benchmarks.table.build import build
from benchmarks.table.data import save
from benchmarks.table.settings import TableSettings

GOOD, BAD = [f"good{i}" for i in range(30)], [f"bad{i}" for i in range(30)]


def write_rows(path: Path, count: int, seed: int, *, noise: bool = False) -> None:
    """Texts of nine words, positive where most are good; by noise the labels mean nothing."""
    rng = random.Random(seed)
    with gzip.open(path, "wt") as file:
        for _ in range(count):
            words = rng.choices(GOOD + BAD, k=9)
            label = rng.randint(0, 1) if noise else int(sum(word in GOOD for word in words) > 4)
            file.write(json.dumps({"text": " ".join(words), "label": label}) + "\n")


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a task, and of one whose labels mean nothing."""
    folder = tmp_path_factory.mktemp("data")
    for name in ("words", "noise"):
        for split, count in (("train", 700), ("test", 200)):
            path = folder / f"{name}.{split}.jsonl.gz"
            write_rows(path, count, seed=len(split), noise=name == "noise")
    return folder


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small encoder with random weights, but for what tells good words from bad ones a little."""
    folder = tmp_path_factory.mktemp("encoder")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *GOOD, *BAD]
    (folder / "vocab.txt").write_text("\n".join(words))
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), do_lower_case=False)
    tokenizer.save_pretrained(folder)
    shape = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = BertModel(BertConfig(vocab_size=len(words), **shape))
        knows, embedded = 0.007 * torch.randn(48), model.embeddings.word_embeddings.weight.data
        for i, word in enumerate(words):
            embedded[i] += knows * ((word in GOOD) - (word in BAD))
        model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def settings(encoder: Path) -> TableSettings:
    return TableSettings(
        encoder=str(encoder),
        max_length=16,
        weak_rows=12,
        transfer=300,
        search=150,
        test=180,
        seeds=4,
        ceilings=3,
        methods=36,
        fine_tuned=1,
    )


@pytest.fixture(scope="session")
def table_file(tmp_path_factory: pytest.TempPathFactory, data: Path, settings: TableSettings) -> Path:
    """A table by the real builder."""
    path = tmp_path_factory.mktemp("table") / "small.npz"
    for table in build(settings, data, ["noise", "words"], processes=1):
        save(path, table)
    return path
