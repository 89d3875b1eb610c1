import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from search.export.parts import training
from search.export.parts.base import Reading
from search.export.parts.learning import Learned, Recipe
from search.export.parts.training import accumulated, fit, read_data
from trainers.components.losses import Xent, xent
from trainers.components.optim import Adamw
from trainers.components.selecting.plans import Plan, alike
from trainers.components.selection import All, keep_all
from trainers.components.students import Probe, probe
from trainers.models.head import new_head
from trainers.training.inputs import FeatureInputs
from trainers.training.plain_engine import PlainEngine

RECIPE = Recipe(
    labels=[],
    select=(keep_all, All()),
    batch_loss=(xent, Xent()),
    student=(probe, Probe()),
    optim=Adamw(lr=0.1, epochs=1, batch_size=2, stop=0.5, warmup=0.0),
    trained=1,
    answered=1,
    seed=0,
)


def test_training_ends_at_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight examples in batches of two are four steps, of which half are trained."""
    taken: list[int] = []
    monkeypatch.setattr(training, "seed_dropout", lambda seed, step: taken.append(step))
    head = new_head(3, seed=0)
    before = head.weight.detach().clone()
    inputs = FeatureInputs(features=torch.randn(8, 3))
    plan = Plan(phases=(alike(np.ones(8, dtype=np.bool_)),))
    learned = Learned(targets=np.ones(8, dtype=np.float32), plan=plan)
    fit(head, list(head.parameters()), inputs, learned, RECIPE, 0.5)
    assert taken == [0, 1]
    assert not torch.equal(before, head.weight)


def test_a_batch_in_pieces_has_the_gradient_of_the_whole() -> None:
    """Of a loss that compares the examples of a batch."""
    inputs = FeatureInputs(features=torch.randn(8, 3, generator=torch.Generator().manual_seed(0)))
    gradients = []
    for micro_batch in (None, 3):
        head = new_head(3, seed=0)
        engine = PlainEngine(head, list(head.parameters()), RECIPE.optim)
        loss = accumulated(
            engine,
            inputs,
            np.arange(8),
            lambda logits: (logits - logits.mean(dim=0)).square().sum(dim=1),
            replace(RECIPE, micro_batch=micro_batch),
            0,
        )
        assert head.weight.grad is not None
        gradients.append((float(loss), *head.weight.grad.flatten().tolist()))
    assert gradients[1] == pytest.approx(gradients[0], rel=1e-5)
    assert gradients[0][0] > 0


LEARN = {"split": "transfer", "text": "good", "weak": 0.9}
PAIR = {"prompt": "p", "first": "a", "second": "b"}


def write(file: Path, *lines: dict[str, Any]) -> Path:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_a_file_of_new_examples_is_answered_after_training_on_the_exported_ones(tmp_path: Path) -> None:
    own = write(tmp_path / "winner.jsonl", LEARN, {"split": "test", "text": "asked by the run"})
    new = write(tmp_path / "new.jsonl", {"text": "one"}, {"text": "two", "split": "later"})
    assert read_data(new, own) == ([LEARN], [{"text": "one"}, {"text": "two", "split": "later"}])
    other = {**LEARN, "text": "of their own"}
    assert read_data(write(tmp_path / "both.jsonl", other, {"text": "one"}), own) == (
        [other],
        [{"text": "one"}],
    )


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([LEARN], "new.jsonl: holds no example to answer: add lines without split"),
        ([PAIR], "new.jsonl: the method learns from single texts: give lines with text"),
        ([{"text": ""}], "new.jsonl, line 1: 'text' is no text, or an empty one"),
        (
            [{"split": "transfer", "text": "good"}, {"text": "one"}],
            'new.jsonl: lines with "split": "transfer" must have "weak", a number from 0 to 1',
        ),
    ],
)
def test_a_file_that_cannot_be_answered_is_refused_in_one_line(
    lines: list[dict[str, Any]], said: str, tmp_path: Path
) -> None:
    own, new = write(tmp_path / "it.jsonl", LEARN, {"text": "a"}), write(tmp_path / "new.jsonl", *lines)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{tmp_path}/{said}')}$"):
        read_data(new, own)


def test_new_examples_without_the_exported_ones_are_refused_with_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    new = write(tmp_path / "new.jsonl", {"text": "one"})
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "it.py"), "--data", str(new)])
    reading: Any = SimpleNamespace(path="some/model")
    with pytest.raises(SystemExit) as end:
        training.main(RECIPE, reading, "it.jsonl", {})
    assert end.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(
        f"{new}: holds no example to train on, and {tmp_path}/it.jsonl is gone: put it back"
    )


def test_the_file_reads_its_data_and_prints_a_probability_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        {"split": "transfer", "text": "good", "weak": 0.9, "spread": 0.25},
        {"split": "test", "text": "one", "written": {"2": {"text": "<s>one"}}},
        {"split": "test", "text": "two"},
    ]
    (tmp_path / "it.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    given: dict[str, Any] = {}

    def run(recipe: Recipe, base: object, *known: Any) -> list[float]:
        learn, weak, ask, more, smaller = known
        given.update(seed=recipe.seed, base=base, learn=learn, weak=weak, ask=ask, more=more, smaller=smaller)
        return [0.25, 0.75]

    monkeypatch.setattr(training, "run", run)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: given.update(threads=count))
    monkeypatch.setattr(training, "Base", lambda reading: reading.path)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "it.py"), "--seed", "7"])
    (tmp_path / "it-model").mkdir()
    reading = Reading(
        path="it-model",
        revision=None,
        pool="last",
        max_length=9,
        dtype="float32",
        template=None,
        vocabulary=False,
    )
    training.main(RECIPE, reading, "it.jsonl", {2: replace(reading, path="some/hub-model")})
    assert capsys.readouterr().out == "0.250000\n0.750000\n"
    assert (given["seed"], given["base"]) == (7, str(tmp_path / "it-model"))
    assert given["threads"] == 1  # as many as trials have: more would wait for each other on a busy machine
    assert (given["learn"].texts, given["ask"].texts) == (("good",), ("one", "two"))
    assert np.asarray(given["weak"]).tolist() == pytest.approx([0.9])
    assert {name: values.tolist() for name, values in given["more"].items()} == {"spread": [0.25]}
    smaller, learn, ask = given["smaller"][2]
    assert (smaller, learn.texts, ask.texts) == ("some/hub-model", ("good",), ("<s>one", "two"))
