import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from agents.findings.predictions import pack
from search.config.load import dump_config
from search.config.schema import RunConfig
from search.ledger.events import Finished, TestOpened
from search.ledger.log import Ledger
from search.output.comparison import (
    FinishedRun,
    compare_runs,
    comparison_json,
    comparison_table,
    difference,
    notes,
)
from search.output.result import write_result
from search.storage.run_directory import RunDirectory
from trainers.components.optim import Adamw
from trainers.method import Method

EXAMPLES = 400
METHOD = Method(optim=Adamw(lr=2e-3))


def outcome(
    config: RunConfig, accuracies: dict[int, float], rng: np.random.Generator, **changes: Any
) -> FinishedRun:
    """A run whose best method is right this often; all that is right is of class 1."""
    predictions = {seed: pack(rng.random(EXAMPLES) < accuracy) for seed, accuracy in accuracies.items()}
    per_seed = [{"seed": seed, "accuracy": accuracy} for seed, accuracy in accuracies.items()]
    made = FinishedRun(
        name="run",
        config=config,
        result={"best": {"per_seed": per_seed}},
        test="digest",
        examples=EXAMPLES,
        predictions=predictions,
        teachers="same",
    )
    return replace(made, **changes)


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
            made = outcome(config, {seed: float(rows.mean()) for seed, rows in correct.items()}, rng)
            sides.append(replace(made, predictions={seed: pack(rows) for seed, rows in correct.items()}))
        small += difference(*sides).p < 0.05
    assert small < 0.1 * 300


def finished(
    path: Path, config: RunConfig, events: SimpleNamespace, result: dict[str, Any], digest: str
) -> str:
    """The directory of a run that is over."""
    path.mkdir()
    run = RunDirectory(path)
    run.config.write_text(dump_config(config))
    ledger = Ledger(run.ledger)
    ledger.append(events.run_started(config_sha256=config.sha256))
    rng = np.random.default_rng(0)
    for seed in (40, 41, 42, 43, 44):
        ledger.append(events.started(f"c{seed}", purpose="confirm", method=METHOD, seed=seed, number=None))
        packed = pack(rng.random(EXAMPLES) < 0.7)
        ledger.append(events.reached(f"c{seed}", 1.0, None, predictions=packed))
        ledger.append(events.ended(f"c{seed}"))
    ledger.append(TestOpened(queries=5, digest=digest, examples=EXAMPLES))
    ledger.append(Finished())
    ledger.close()
    write_result(run.result, result)
    return str(path)


def test_finished_runs_stand_side_by_side(
    tmp_path: Path, config: RunConfig, events: SimpleNamespace, outcome: dict[str, Any]
) -> None:
    runs = [finished(tmp_path / name, config, events, outcome, "same") for name in ("a", "b")]
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
    runs = [finished(tmp_path / name, config, events, outcome, name) for name in ("a", "b")]
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
        finished(tmp_path / "a", config, events, outcome, "same"),
        finished(tmp_path / "b", config, events, higher, "same"),
    ]
    assert any("PGRs have other scales" in line for line in notes(compare_runs(runs)))
