import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.training.settings import setting
from benchmarks.training.throughput import CONTENDERS, Rows, compare, wanted


def asked(**more: Any) -> argparse.Namespace:
    return argparse.Namespace(**({"model": None, "texts": None, "all": False} | more))


def test_the_rows_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert list(wanted(asked())) == [("toy", "short")]
    assert list(wanted(asked(model=["tiny"], texts=["long"]))) == [("tiny", "long")]
    assert list(wanted(asked(all=True))) == [("toy", "short"), ("toy", "long")]
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    models = ("toy", "Qwen3-0.6B", "Qwen3-4B")
    assert list(wanted(asked(all=True))) == [
        (model, texts) for model in models for texts in ("short", "long")
    ]


@pytest.mark.slow
def test_all_trainers_see_the_same_examples_and_grouping_saves_padding(tmp_path: Path) -> None:
    given = setting("tiny", "short", None, 256, tmp_path)
    rows = Rows(tokens=given.inputs.tokens, targets=given.targets)
    assert [len(rows[row]["input_ids"]) for row in range(256)] == given.inputs.lengths.tolist()
    found = compare(given, repeats=1)
    assert found["steps"] == 8
    losses = [found[name]["losses"][0] for name in CONTENDERS]
    assert max(losses) < np.log(2)  # each has learned something
    padding = {name: found[name]["padding_share"] for name in CONTENDERS}
    assert padding["ours"] < padding["transformers"]
    assert padding["transformers, grouped"] < padding["transformers"]
    assert found["ours"]["ratio"] == 1
