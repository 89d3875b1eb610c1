import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console, Group

from agents.findings.predictions import pack
from search.config.schema import RunConfig
from search.engine.confirmation import Confirmation
from search.ledger.record import Record
from search.output.comparison import (
    compare_runs,
    comparison_json,
    comparison_table,
    difference,
    notes,
)
from search.output.finished_run import FinishedRun, TestSplit
from search.storage.run_directory import RunDirectory
from tests.search.output.conftest import finished_run, of_tasks, tasks_outcome

EXAMPLES = 400


def outcome(
    config: RunConfig, accuracies: dict[int, float], rng: np.random.Generator, **changes: Any
) -> FinishedRun:
    """A run whose best method is right this often; all that is right is of class 1."""
    predictions = {seed: pack(rng.random(EXAMPLES) < accuracy) for seed, accuracy in accuracies.items()}
    made = FinishedRun(
        name="run", config=config, result={}, tests=(on_test(accuracies, predictions),), teachers="same"
    )
    return replace(made, **changes)


def on_test(accuracies: dict[int, float], predictions: dict[int, str], examples: int = EXAMPLES) -> TestSplit:
    per_seed = [{"seed": seed, "accuracy": accuracy} for seed, accuracy in accuracies.items()]
    return TestSplit(
        place="task",
        digest="digest",
        examples=examples,
        predictions=predictions,
        outcome={"finalists": [{"per_seed": per_seed}]},
    )


def bits(correct: dict[int, Any], examples: int, digest: str = "digest") -> TestSplit:
    """A test split whose labels are all of class 1, from what is right on it by seed."""
    accuracies = {seed: float(rows.mean()) for seed, rows in correct.items()}
    made = on_test(accuracies, {seed: pack(rows) for seed, rows in correct.items()}, examples)
    return replace(made, digest=digest)


def test_seeds_of_the_same_weak_labels_are_paired(config: RunConfig) -> None:
    """Seeds that lift both runs alike leave a sharper difference than seeds that are not paired."""
    rng = np.random.default_rng(0)
    first = outcome(config, {1: 0.6, 2: 0.7, 3: 0.8}, rng)
    other = outcome(config, {1: 0.65, 2: 0.75, 3: 0.85}, rng)
    paired, apart = difference(first, other), difference(first, replace(other, teachers="others"))
    assert (paired.seeds, apart.seeds) == (3, 0)
    assert paired.accuracy.value == pytest.approx(0.05)
    assert apart.accuracy.value == pytest.approx(0.05)
    assert paired.accuracy.se < apart.accuracy.se
    assert paired.accuracy.df == 2


def test_seeds_that_only_one_run_has_do_not_count_in_pairs(config: RunConfig) -> None:
    rng = np.random.default_rng(0)
    first = outcome(config, {1: 0.6, 2: 0.7}, rng)
    other = outcome(config, {1: 0.65, 2: 0.75, 9: 0.1}, rng)
    assert difference(first, other).accuracy.value == pytest.approx(0.05)


def test_the_same_run_does_not_differ_from_itself(config: RunConfig) -> None:
    first = outcome(config, {1: 0.6, 2: 0.7}, np.random.default_rng(0))
    found = difference(first, first)
    assert (found.accuracy.value, found.accuracy.se, found.p) == (0, 0, 1)


def test_the_error_covers_the_chance_of_examples_and_seeds(config: RunConfig) -> None:
    """Over many pairs of runs of equal methods, about one in twenty differs at p < .05; never one in ten."""
    rng, small = np.random.default_rng(1), 0
    for _ in range(300):
        sides = []
        for _ in range(2):
            chances = {seed: 0.7 + 0.03 * rng.standard_normal() for seed in range(6)}
            correct = {seed: rng.random(EXAMPLES) < chance for seed, chance in chances.items()}
            sides.append(replace(outcome(config, {1: 0.5}, rng), tests=(bits(correct, EXAMPLES),)))
        small += difference(*sides).p < 0.05
    assert small < 0.1 * 300


def test_over_several_tasks_the_error_is_that_of_a_mean_of_independent_tasks(config: RunConfig) -> None:
    """With one seed, the variance of a paired mean on each task by hand, and a quarter of their sum."""
    rng = np.random.default_rng(2)
    sizes = (40, 400)
    rows = [[rng.random(size) < chance for size in sizes] for chance in (0.6, 0.7)]
    plain = outcome(config, {1: 0.5}, rng)
    first, other = (
        replace(plain, tests=tuple(bits({1: row}, len(row), str(len(row))) for row in of_run))
        for of_run in rows
    )
    gains = [b.astype(float) - a.astype(float) for a, b in zip(*rows, strict=True)]
    found = difference(first, other).accuracy
    assert found.value == pytest.approx(np.mean([gain.mean() for gain in gains]))
    by_hand = sum(float(gain.var()) / (len(gain) - 1) for gain in gains) / 4
    assert found.se == pytest.approx(by_hand**0.5)


def test_tasks_of_the_same_examples_are_not_independent(config: RunConfig) -> None:
    """Two tasks that are one have the error of one."""
    rng = np.random.default_rng(4)
    sides = [bits({1: rng.random(EXAMPLES) < chance}, EXAMPLES) for chance in (0.6, 0.7)]
    plain = outcome(config, {1: 0.5}, rng)
    once, twice = (difference(*(replace(plain, tests=(side,) * n) for side in sides)) for n in (1, 2))
    assert twice.accuracy.se == pytest.approx(once.accuracy.se)


def test_finished_runs_stand_side_by_side(
    tmp_path: Path, config: RunConfig, events: SimpleNamespace, outcome: dict[str, Any]
) -> None:
    runs = [finished_run(tmp_path / name, config, events, outcome, "same") for name in ("a", "b")]
    found = compare_runs(runs)
    first, second = comparison_json(found)
    assert first["over_first"] is None
    assert second["over_first"] == {
        "accuracy": 0.0,
        "accuracy_se": 0.0,
        "ci95": [0.0, 0.0],
        "p": 1.0,
        "paired_seeds": 5,
    }
    console = Console(width=500, record=True, file=io.StringIO())
    console.print(comparison_table(found))
    text = console.export_text()
    assert f"{runs[1]} over {runs[0]}: accuracies paired by 5 seeds and by examples" in text
    assert f"{runs[0]}: optim adamw (lr 0.002)" in text


def test_runs_graded_on_other_examples_are_refused(
    tmp_path: Path, config: RunConfig, events: SimpleNamespace, outcome: dict[str, Any]
) -> None:
    runs = [finished_run(tmp_path / name, config, events, outcome, name) for name in ("a", "b")]
    with pytest.raises(ValueError, match=r"a and .*b cannot be compared: .* other test examples"):
        compare_runs(runs)


def test_a_run_without_an_outcome_is_named(stopped: RunDirectory) -> None:
    with pytest.raises(ValueError, match="has no outcome yet"):
        compare_runs([stopped.path, stopped.path])
    with pytest.raises(ValueError, match="name two runs or more"):
        compare_runs([stopped.path])


def test_other_floors_are_said(
    tmp_path: Path, config: RunConfig, events: SimpleNamespace, outcome: dict[str, Any]
) -> None:
    higher = outcome | {"baselines": outcome["baselines"] | {"weak_acc": 0.7}}
    runs = [
        finished_run(tmp_path / "a", config, events, outcome, "same"),
        finished_run(tmp_path / "b", config, events, higher, "same"),
    ]
    assert any("PGRs have other scales" in line for line in notes(compare_runs(runs)))


def test_runs_are_compared_on_all_of_their_tasks(
    tmp_path: Path, config: RunConfig, events: SimpleNamespace, record: Record, confirmation: Confirmation
) -> None:
    searched, found = of_tasks(config, "a", "b"), tasks_outcome(record, confirmation, confirmation)
    digests = {"x": ("one", "two"), "y": ("one", "two"), "z": ("one", "three")}
    x, y, z = (
        finished_run(tmp_path / name, searched, events, found, *of_run) for name, of_run in digests.items()
    )
    compared = compare_runs([x, y])
    over = comparison_json(compared)[1]["over_first"]
    assert (over["accuracy"], over["accuracy_se"], over["paired_seeds"]) == (0, 0, 5)
    assert isinstance(table := comparison_table(compared), Group)
    assert "means over 2 tasks" in str(getattr(table.renderables[0], "title", ""))
    message = r"tasks\.1 \(b\) of .*z has those of digest three, which no task of .*x has; compare runs of"
    with pytest.raises(ValueError, match=message):
        compare_runs([x, z])


def test_a_run_of_one_of_the_tasks_is_refused(
    tmp_path: Path,
    config: RunConfig,
    events: SimpleNamespace,
    record: Record,
    outcome: dict[str, Any],
    confirmation: Confirmation,
) -> None:
    searched, found = of_tasks(config, "a", "b"), tasks_outcome(record, confirmation, confirmation)
    several = finished_run(tmp_path / "x", searched, events, found, "one", "two")
    single = finished_run(tmp_path / "y", config, events, outcome, "one")
    for runs in ([several, single], [single, several]):
        with pytest.raises(ValueError, match=r"tasks\.1 \(b\) of .*x has those of digest two, which no task"):
            compare_runs(runs)


def test_openings_and_floors_of_every_task_are_said(
    tmp_path: Path, config: RunConfig, events: SimpleNamespace, record: Record, confirmation: Confirmation
) -> None:
    searched, found = of_tasks(config, "a", "b"), tasks_outcome(record, confirmation, confirmation)
    tasks = [dict(task) for task in found["tasks"]]
    tasks[1]["test_split"] = {"digest": "two", "opened": 2, "by": [{"run": "old"}, {"run": "x"}]}
    floor = tasks[0]["baselines"]
    others = [
        task | {"baselines": floor | {"weak_acc": floor["weak_acc"] + by}}
        for task, by in zip(found["tasks"], (0.1, -0.1), strict=True)  # the mean stays
    ]
    x = finished_run(tmp_path / "x", searched, events, found | {"tasks": tasks}, "one", "two")
    y = finished_run(tmp_path / "y", searched, events, found | {"tasks": others}, "one", "two")
    lines = notes(compare_runs([x, y]))
    said = "tasks.1 (b): the test split has been opened 2 times, by old, x"
    assert any(line.startswith(said) for line in lines)
    assert any("PGRs have other scales" in line for line in lines)
