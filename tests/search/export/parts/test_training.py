import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from search.export.parts import training
from search.export.parts.base import Reading
from search.export.parts.training import (
    Learned,
    OwnAnswers,
    Recipe,
    fit,
    in_both_orders,
    learned_from_itself,
    made_targets,
    no_prior,
)
from trainers.components.labels import Hard, Smoothed, hard, smoothed
from trainers.components.losses import Xent, xent
from trainers.components.optim import Adamw
from trainers.components.selecting.plans import Plan, alike
from trainers.components.selection import All, keep_all
from trainers.components.students import Probe, probe
from trainers.components.weak_labels import Evidence
from trainers.models.head import new_head
from trainers.training.inputs import FeatureInputs

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


def test_each_step_takes_the_probabilities_of_the_last() -> None:
    evidence = Evidence(
        weak_probs=np.array([0.2, 0.9]), features=lambda: np.zeros((2, 1)), prior=no_prior, seed=0
    )
    made = made_targets([(hard, Hard()), (smoothed, Smoothed(epsilon=0.2))], evidence)
    assert made.tolist() == pytest.approx([0.1, 0.9])


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


@pytest.mark.parametrize(
    ("targets", "expected", "kept"),
    [("soft", [0.1, 0.45, 0.8], 3), ("hard", [0, 0, 1], 3), ("confident", [0, 0, 1], 2)],
)
def test_a_student_learns_its_own_answers(targets: str, expected: list[float], kept: int) -> None:
    evidence = Evidence(weak_probs=np.array([0.1, 0.45, 0.8]), features=no_prior, prior=no_prior, seed=0)
    own = OwnAnswers(rounds=1, targets=targets, share=2 / 3, fresh=True)
    learned = learned_from_itself(own, evidence)
    assert learned.targets.tolist() == pytest.approx(expected)
    assert np.count_nonzero(learned.plan.phases[0].weights) == kept


def test_both_orders_have_mirrored_targets() -> None:
    plan = Plan(phases=(alike(np.array([True, False])),))
    both = in_both_orders(Learned(targets=np.float32([0.2, 0.9]), plan=plan))
    assert both.targets.tolist() == pytest.approx([0.2, 0.9, 0.8, 0.1])
    assert both.plan.phases[0].weights.tolist() == [1, 0, 1, 0]


def test_the_file_reads_its_data_and_prints_a_probability_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        {"split": "transfer", "text": "good", "weak": 0.9},
        {"split": "test", "text": "one"},
        {"split": "test", "text": "two"},
    ]
    (tmp_path / "it.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    given = {}

    def run(recipe: Recipe, base: object, learn: object, weak: object, ask: object) -> list[float]:
        given.update(seed=recipe.seed, base=base, learn=learn, weak=weak, ask=ask)
        return [0.25, 0.75]

    monkeypatch.setattr(training, "run", run)
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
    training.main(RECIPE, reading, "it.jsonl")
    assert capsys.readouterr().out == "0.250000\n0.750000\n"
    assert (given["seed"], given["base"]) == (7, str(tmp_path / "it-model"))
    assert (given["learn"].texts, given["ask"].texts) == (("good",), ("one", "two"))
    assert np.asarray(given["weak"]).tolist() == pytest.approx([0.9])
