"""Outcomes of several runs side by side, and how far they differ where the test examples are the same."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agents.findings.differences import differences
from agents.findings.predictions import paired_se
from search.config.schema import RunConfig
from search.ledger.record import Record
from search.output.openings import openings_text
from search.scoring.pgr import Estimate
from search.storage.object_store import snapshot
from search.storage.run_directory import RunDirectory
from trainers.method import Method

BEYOND = 10_000.0  # degrees of freedom of a difference without an error of seeds: a normal distribution


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A finished run. predictions: packed, of the best method on the test split, by seed.

    teachers: what decides a seed's weak labels beside the seed: equal for runs whose seeds mean the same.
    """

    name: str
    config: RunConfig
    result: Mapping[str, Any]
    test: str
    examples: int
    predictions: Mapping[int, str]
    teachers: str

    @property
    def best(self) -> Mapping[str, Any]:
        """What result.json says of the best method."""
        found: Mapping[str, Any] = self.result["best"]
        return found

    @property
    def accuracies(self) -> dict[int, float]:
        """The best method's accuracy on the test split, by seed."""
        return {seed["seed"]: seed["accuracy"] for seed in self.best["per_seed"]}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The accuracy of a run's best method minus that of the first run's.

    seeds: how many seeds of the same weak labels it is paired by; 0: by examples alone.
    """

    accuracy: Estimate
    seeds: int

    @property
    def p(self) -> float:
        """Two-sided p value of the hypothesis that there is no difference."""
        if self.accuracy.se == 0:
            return float(self.accuracy.value == 0)
        one_sided = self.accuracy.p_positive
        return 2 * min(one_sided, 1 - one_sided)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Runs in the order given, and the difference of each from the first; None for the first."""

    outcomes: tuple[FinishedRun, ...]
    differences: tuple[Difference | None, ...]


def compare_runs(directories: Sequence[str | Path]) -> Comparison:
    """The outcomes of finished runs, directories or URLs, on the same test examples.

    Raises ValueError, on one line, for fewer than two, for one without an outcome, and for runs that were
    graded on other examples, whose numbers differ for that reason alone.
    """
    if len(directories) < 2:
        raise ValueError("compare: name two runs or more")
    outcomes = tuple(read_outcome(str(directory)) for directory in directories)
    first = outcomes[0]
    for other in outcomes[1:]:
        if other.test != first.test:
            raise ValueError(
                f"{first.name} and {other.name} cannot be compared: they were graded on other test examples "
                "(task, its splits or task.seed differ)"
            )
    return Comparison(
        outcomes=outcomes, differences=(None, *(difference(first, other) for other in outcomes[1:]))
    )


def read_outcome(directory: str) -> FinishedRun:
    """The outcome of a run; raises ValueError, on one line, if it has none."""
    with snapshot(directory) as path:
        run = RunDirectory(path)
        config, record = run.load()
        result = run.read_result()
    opened = record.test_opened
    if result is None or opened is None or not record.finished:
        raise ValueError(
            f"{directory}: has no outcome yet; let it finish: python -m search resume {directory}"
        )
    if not opened.digest:
        raise ValueError(f"{directory}: an earlier version wrote it, without the digest of its test examples")
    best = Method.model_validate(result["best"]["method"])
    return FinishedRun(
        name=directory,
        config=config,
        result=result,
        test=opened.digest,
        examples=opened.examples,
        predictions=_predictions(record, best),
        teachers=_teachers(config, record),
    )


def _predictions(record: Record, method: Method) -> dict[int, str]:
    return {
        trial.seed: trial.last.predictions
        for trial in record.of_purpose("confirm")
        if trial.method == method and trial.state == "completed" and trial.last is not None
    }


def _teachers(config: RunConfig, record: Record) -> str:
    """Settings and data that the weak labels of a seed follow from."""
    sources = record.started.sources if record.started else None
    digests = sources.digests if sources else {}
    data = [digests.get(f"{split}.inputs") for split in ("weak_train", "transfer")]
    weak, counts = digests.get("weak.model.weights"), (config.supervisors, config.baselines.own_rows)
    settings = config.weak.model_dump_json(exclude={"model": {"path", "revision"}})
    return f"{data} {weak} {counts} {settings}"


def difference(first: FinishedRun, other: FinishedRun) -> Difference:
    """How far the best method of `other` is above that of `first`, with its error.

    Examples are always the same, so their part of the error follows from where predictions differ. Seeds
    with the same weak labels are paired: the spread of their differences is the seeds' part. Without any,
    it is that of the seeds of both. The parts are added: an error of examples that a seed alone makes is in
    both, which errs on the side of caution.
    """
    a, b = first.accuracies, other.accuracies
    shared = sorted(a.keys() & b.keys()) if first.teachers == other.teachers else []
    if len(shared) < 2:
        shared = []
    a = {seed: a[seed] for seed in shared or a}
    b = {seed: b[seed] for seed in shared or b}
    value = float(np.mean(list(b.values())) - np.mean(list(a.values())))
    if shared:
        gains = [b[seed] - a[seed] for seed in shared]
        seeds_square, df = float(np.var(gains, ddof=1)) / len(gains), len(gains) - 1.0
    else:
        seeds_square, df = _unpaired(list(a.values()), list(b.values()))
    sides = [[side.predictions[seed] for seed in own] for side, own in ((other, b), (first, a))]
    examples_se = paired_se(sides[0], sides[1], value, first.examples)
    error = math.sqrt(seeds_square + examples_se**2)
    return Difference(accuracy=Estimate(value=value, se=error, df=df), seeds=len(shared))


def _unpaired(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """The variance of a difference of means, and its degrees of freedom (Welch 1947)."""
    parts = [(float(np.var(own, ddof=1)) / len(own), len(own) - 1) for own in (a, b) if len(own) > 1]
    square = sum(part for part, _ in parts)
    if square == 0:
        return 0.0, BEYOND
    return square, square**2 / sum(part**2 / free for part, free in parts)


# For people and scripts


def comparison_json(comparison: Comparison) -> list[dict[str, Any]]:
    """A record for each run; `over_first` is null for the first."""
    return [
        {
            "run": outcome.name,
            "best": outcome.best,
            "naive": outcome.result["naive"],
            "baselines": outcome.result["baselines"],
            "trials": outcome.result["trials"],
            "cost": outcome.result["cost"],
            "over_first": None
            if found is None
            else {
                "accuracy": found.accuracy.value,
                "accuracy_se": found.accuracy.se,
                "ci95": list(found.accuracy.ci95),
                "p": found.p,
                "paired_seeds": found.seeds,
            },
        }
        for outcome, found in zip(comparison.outcomes, comparison.differences, strict=True)
    ]


def comparison_table(comparison: Comparison) -> RenderableType:
    """The runs side by side, and below it what the differences are paired by."""
    table = Table(title="Best methods on the same test examples", title_justify="left")
    table.add_column("run", overflow="fold")
    for column in ("accuracy", "± SE", "PGR", "95% interval", "over naive", "over the first", "± SE", "p"):
        table.add_column(column, justify="right")
    for column in ("seeds", "trials", "train s"):
        table.add_column(column, justify="right")
    for outcome, found in zip(comparison.outcomes, comparison.differences, strict=True):
        table.add_row(Text(outcome.name), *_cells(outcome), *_over(found), *_counts(outcome))
    return Group(table, *(Text(line) for line in notes(comparison)))


def _cells(outcome: FinishedRun) -> tuple[str, ...]:
    best = outcome.best
    over = best["over_naive"]
    if best["pgr"] is None:
        return f"{best['accuracy']:.4f}", f"{best['accuracy_se']:.4f}", "–", "–", f"{over['accuracy']:+.4f}"
    low, high = best["ci95"]
    return (
        f"{best['accuracy']:.4f}",
        f"{best['accuracy_se']:.4f}",
        f"{best['pgr']:.3f}",
        f"{low:.3f} to {high:.3f}",
        f"{over['pgr']:+.3f}",
    )


def _over(found: Difference | None) -> tuple[str, str, str]:
    if found is None:
        return "", "", ""
    return f"{found.accuracy.value:+.4f}", f"{found.accuracy.se:.4f}", f"{found.p:.2g}"


def _counts(outcome: FinishedRun) -> tuple[str, str, str]:
    trials, cost = outcome.result["trials"], outcome.result["cost"]
    return str(outcome.best["seeds"]), str(sum(trials.values())), f"{cost['train_s']:.0f}"


def notes(comparison: Comparison) -> list[str]:
    """What the table does not say: methods, how differences are paired, floors and ceilings, openings."""
    lines = [f"{outcome.name}: {_method(outcome)}" for outcome in comparison.outcomes]
    for outcome, found in zip(comparison.outcomes[1:], comparison.differences[1:], strict=True):
        assert found is not None
        how = (
            f"{found.seeds} seeds and by examples"
            if found.seeds
            else "examples alone: seeds or weak labels differ"
        )
        lines.append(f"{outcome.name} over {comparison.outcomes[0].name}: accuracies paired by {how}")
    floors = {round(outcome.result["baselines"]["weak_acc"], 4) for outcome in comparison.outcomes}
    ceilings = {round(outcome.result["baselines"]["ceiling_acc"], 4) for outcome in comparison.outcomes}
    if len(floors) > 1 or len(ceilings) > 1:
        lines.append("weak floors or ceilings differ, so PGRs have other scales: compare accuracies")
    newest = max(
        comparison.outcomes, key=lambda outcome: (outcome.result.get("test_split") or {}).get("opened", 0)
    )
    if text := openings_text(newest.result):
        lines.append(f"{text}: each look at these examples favours what is chosen by it")
    return lines


def _method(outcome: FinishedRun) -> str:
    return differences(Method.model_validate(outcome.best["method"]), outcome.config.naive)
