"""Pairs made of texts, and a whole measurement by a small real language model."""

import argparse
import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.training.pairs import METHODS, measure, read, some, supervise
from trainers.training.deepspeed_engine import warm_up
from trainers.training.settings import EngineConfig


def written(folder: Path, split: str, count: int) -> Path:
    """Texts of which those with the word good are of class 1."""
    rows = [{"text": f"{'good' if i % 2 else 'bad'} thing {i}", "label": i % 2} for i in range(2 * count)]
    path = folder / f"made.{split}.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_pairs_hold_a_text_of_each_class_and_half_have_the_better_one_last(tmp_path: Path) -> None:
    examples, second = read(written(tmp_path, "train", 10))
    assert examples.pairs is not None
    assert len(examples) == len(second) == 10
    assert second.sum() == 5
    for pair, last in zip(examples.pairs, second, strict=True):
        assert "good" in pair[int(last)]
        assert "bad" in pair[1 - int(last)]


def test_a_pair_and_its_exchange_have_opposite_weak_labels(tmp_path: Path) -> None:
    pairs = read(written(tmp_path, "train", 20))
    learned, asked = some(pairs, 0, 12), some(pairs, 12, 8)
    shown, exchanged = supervise(learned, asked, (asked[0].exchanged(), ~asked[1]))
    np.testing.assert_allclose(shown + exchanged, 1, atol=1e-6)
    assert ((shown > 0.5) == asked[1]).all()


@pytest.mark.slow
def test_a_measurement_of_every_method(shared: Path, tmp_path: Path) -> None:
    task = written(tmp_path, "train", 60)
    written(tmp_path, "test", 20)
    warm_up(EngineConfig())
    given = argparse.Namespace(
        model=shared / "models/stories260K",
        student="probe",
        examples=32,
        test=16,
        rows=8,
        supervisors=2,
        max_length=96,
        cache=tmp_path,
    )
    found = measure(task, given)
    assert found["methods"].keys() == METHODS.keys()
    assert all(len(of_method["values"]) == 2 for of_method in found["methods"].values())
    assert found["supervisors"]["mean"] > 0.8
