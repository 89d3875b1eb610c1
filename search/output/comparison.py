"""Outcomes of several runs side by side, and how far they differ where the test examples are the same."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agents.findings.differences import differences
from agents.findings.predictions import paired_se
from search.output.finished_run import FinishedRun, TestSplit, read_outcome
from search.output.openings import openings_text
from search.scoring.pgr import Estimate
from trainers.method import Method

BEYOND = 10_000.0  # degrees of freedom of a difference without an error of seeds: a normal distribution


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
        _require_same_tests(first, other)
    return Comparison(
        outcomes=outcomes, differences=(None, *(difference(first, other) for other in outcomes[1:]))
    )


def _require_same_tests(first: FinishedRun, other: FinishedRun) -> None:
    for here, there in ((other, first), (first, other)):
        missing = Counter(test.digest for test in there.tests)
        for test in here.tests:
            if not missing[test.digest]:
                raise ValueError(
                    f"{first.name} and {other.name} cannot be compared: they were graded on other test "
                    f"examples. {test.place} of {here.name} has those of digest {test.digest[:12]}, "
                    f"which no task of {there.name} has; compare runs of the same tasks, with "
                    "equal data, splits and task.seed"
                )
            missing[test.digest] -= 1


def difference(first: FinishedRun, other: FinishedRun) -> Difference:
    """How far the best method of `other` is above that of `first`, with its error.

    Examples are always the same, so their part of the error follows from where predictions differ. Over
    several tasks the difference is the mean of those on each, whose examples are independent; errors of
    tasks with the same examples are added, since they may err alike. Seeds with the same weak labels are
    paired: the spread of their differences is the seeds' part. Without any, it is that of the seeds of both.
    The parts are added: an error of examples that a seed alone makes is in both, which errs on the side of
    caution.
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
    pairs = list(zip(first.tests, other.tests, strict=True))
    errors: dict[str, float] = defaultdict(float)
    for here, there in pairs:
        errors[here.digest] += _examples_se(here, there, list(a), list(b))
    examples_square = sum(error**2 for error in errors.values()) / len(pairs) ** 2
    error = math.sqrt(seeds_square + examples_square)
    return Difference(accuracy=Estimate(value=value, se=error, df=df), seeds=len(shared))


def _examples_se(first: TestSplit, other: TestSplit, a: Sequence[int], b: Sequence[int]) -> float:
    """The examples' part of the error of a difference on one task. a, b: the seeds of the two runs."""
    gain = fmean(other.accuracies[seed] for seed in b) - fmean(first.accuracies[seed] for seed in a)
    return paired_se(
        [other.predictions[seed] for seed in b],
        [first.predictions[seed] for seed in a],
        gain,
        first.examples,
    )


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
    several = len(comparison.outcomes[0].tests)
    over = f", means over {several} tasks" if several > 1 else ""
    table = Table(title=f"Best methods on the same test examples{over}", title_justify="left")
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
    if len({_floors(outcome) for outcome in comparison.outcomes}) > 1:
        lines.append("weak floors or ceilings differ, so PGRs have other scales: compare accuracies")
    for tests in zip(*(outcome.tests for outcome in comparison.outcomes), strict=True):
        newest = max(range(len(tests)), key=lambda place: tests[place].opened)
        of_task = {
            **comparison.outcomes[newest].result,
            "test_split": tests[newest].outcome.get("test_split"),
        }
        if text := openings_text(of_task):
            on_task = f"{tests[newest].place}: " if len(comparison.outcomes[0].tests) > 1 else ""
            lines.append(f"{on_task}{text}: each look at these examples favours what is chosen by it")
    return lines


def _floors(outcome: FinishedRun) -> tuple[tuple[float, ...], ...]:
    """Floor and ceiling on each task, as far as they are shown."""
    floors = [test.outcome["baselines"] for test in outcome.tests]
    return tuple((round(floor["weak_acc"], 4), round(floor["ceiling_acc"], 4)) for floor in floors)


def _method(outcome: FinishedRun) -> str:
    return differences(Method.model_validate(outcome.best["method"]), outcome.config.naive)
