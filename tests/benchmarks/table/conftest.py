import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

from benchmarks.table.build import build
from benchmarks.table.data import Table, TaskTable, save
from benchmarks.table.rows import draw_rows
from benchmarks.table.settings import TableSettings
from tests.conftest import of_all_processes, one_at_a_time

GOOD, BAD = [f"good{i}" for i in range(30)], [f"bad{i}" for i in range(30)]


def write_rows(path: Path, count: int, seed: int, *, noise: bool = False) -> None:
    """Texts of nine words, positive where most are good; by noise the labels mean nothing."""
    rng = random.Random(seed)
    with gzip.open(path, "wt") as file:
        for _ in range(count):
            words = rng.choices(GOOD + BAD, k=9)
            label = rng.randint(0, 1) if noise else int(sum(word in GOOD for word in words) > 4)
            file.write(json.dumps({"text": " ".join(words), "label": label}) + "\n")


def made_up_task(rng: np.random.Generator, skill: np.ndarray, seconds: float) -> TaskTable:
    """A task on which rows have these accuracies, [rows], whole; at earlier rungs a little less."""
    seeds, rungs, sizes = 4, 3, {"search": 80, "test": 120}
    truth = {split: rng.integers(0, 2, n).astype(np.int8) for split, n in sizes.items()}

    def classes(split: str, shape: tuple[int, ...], accuracy: np.ndarray | float) -> np.ndarray:
        right = rng.random((*shape, sizes[split])) < np.asarray(accuracy)[..., None]
        return (truth[split] == 1) == right

    shape, at_rungs = (len(skill), seeds, rungs), skill[:, None, None] - np.array([0.06, 0.03, 0])
    return TaskTable(
        search=np.packbits(classes("search", shape, at_rungs), axis=-1),
        test=np.packbits(classes("test", shape, at_rungs), axis=-1),
        seconds=np.broadcast_to(np.float32(seconds) * np.array([1, 2, 6], dtype=np.float32), shape).copy(),
        failed=np.zeros(shape[:2], dtype=np.bool_),
        truth=truth,
        weak={split: classes(split, (seeds,), 0.6) for split in sizes},
        ceiling={split: classes(split, (3,), 0.95) for split in sizes},
    )


@pytest.fixture(scope="session")
def made_up() -> Table:
    """A table of three tasks, nothing of it trained: rows are worth much the same on each."""
    settings = TableSettings(
        encoder="none", transfer=1200, search=80, test=120, seeds=4, ceilings=3, methods=30, fine_tuned=0
    )
    rows, chance = draw_rows(settings)
    rng = np.random.default_rng(0)
    skill = rng.uniform(0.62, 0.88, len(rows))
    tasks = {
        name: made_up_task(rng, skill + rng.normal(0, 0.02, len(rows)), seconds)
        for name, seconds in (("reviews", 1.0), ("quarrels", 1.5), ("verdicts", 0.5))
    }
    return Table(settings=settings, rows=rows, chance=chance, tasks=tasks, facts={})


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """once(name, make): what make(path) writes, by whichever process of this test run comes first."""
    folder = of_all_processes(tmp_path_factory, "table")

    def made(name: str, make: Callable[[Path], object]) -> Path:
        done, new = folder / name, folder / f"new-{name}"
        with one_at_a_time(folder):
            if not done.exists():
                make(new)
                new.rename(done)
        return done

    return made


@pytest.fixture(scope="session")
def data(once: Callable[..., Path]) -> Path:
    """A folder of a task, and of one whose labels mean nothing."""

    def make(folder: Path) -> None:
        folder.mkdir()
        for name in ("words", "noise"):
            for split, count in (("train", 700), ("test", 200)):
                path = folder / f"{name}.{split}.jsonl.gz"
                write_rows(path, count, seed=len(split), noise=name == "noise")

    return once("data", make)


@pytest.fixture(scope="session")
def encoder(once: Callable[..., Path]) -> Path:
    """The folder of a small encoder; see `write_encoder`."""
    return once("encoder", write_encoder)


def write_encoder(folder: Path) -> None:
    """An encoder with random weights, but for what tells good words from bad ones a little."""
    folder.mkdir()
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
        methods=48,
        fine_tuned=1,
    )


@pytest.fixture(scope="session")
def table_file(once: Callable[..., Path], data: Path, settings: TableSettings) -> Path:
    """A table by the real builder."""

    def make(path: Path) -> None:
        for table in build(settings, data, ["noise", "words"], processes=1):
            save(path, table)

    return once("small.npz", make)
