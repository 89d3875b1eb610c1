import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from search.export.parts import reading
from search.export.parts.reading import AtLayer


def test_every_line_of_a_file_gets_a_probability(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [{"text": "a"}, {"text": "bb"}]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    lengths = SimpleNamespace(probabilities=lambda examples: np.array([len(t) / 4 for t in examples.texts]))
    monkeypatch.setattr(reading, "load", lambda folder: lengths)
    monkeypatch.setattr(sys, "argv", ["predict.py", str(tmp_path / "x.jsonl")])
    reading.main()
    assert capsys.readouterr().out == "0.250000\n0.500000\n"


@pytest.mark.parametrize(
    ("second", "problem"),
    [
        ('{"text": " "}', "line 3: 'text' is no text, or an empty one"),
        ('{"text": null}', "line 3: 'text' is no text, or an empty one"),
        ('{"label": 1}', "line 3: 'prompt' is no text, or an empty one"),
        ("[1]", "line 3: 'prompt' is no text, or an empty one"),
        ("{", "line 3: is no JSON"),
        ('{"prompt": "", "first": "a", "second": ""}', "line 3: single texts and pairs cannot be mixed"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    second: str,
    problem: str,
) -> None:
    (tmp_path / "x.jsonl").write_text('{"text": "a"}\n\n' + second)
    monkeypatch.setattr(sys, "argv", ["predict.py", str(tmp_path / "x.jsonl")])
    with pytest.raises(SystemExit) as ended:
        reading.main()
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert problem in said.err


def test_a_file_that_is_gone_or_holds_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("\n")
    with pytest.raises(ValueError, match="holds no example"):
        reading.read_records(tmp_path / "x.jsonl")
    pair = {"prompt": "", "first": "a", "second": ""}  # responses may be empty
    (tmp_path / "x.jsonl").write_text(json.dumps(pair))
    assert reading.read_records(tmp_path / "x.jsonl") == [pair]


def test_a_probe_reads_its_layer() -> None:
    """Features that are the layer's number, through a head of known weights."""
    head = torch.nn.Linear(1, 2, bias=False)
    head.weight.data = torch.tensor([[1.0], [2.0]])

    class Classifier(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = head

        def features(self, ids: torch.Tensor, mask: torch.Tensor, layer: int) -> torch.Tensor:
            return torch.full((len(ids), 1), float(layer))

    ids = torch.zeros(1, 2, dtype=torch.int64)
    assert AtLayer(Classifier(), 3)(ids, ids).tolist() == [[3.0, 6.0]]
