"""A task of a table as a campaign meets it: some rows, an order of the seeds, and what a trial shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from agents.findings.predictions import pack
from benchmarks.table.data import Table, TaskTable
from search.config.schema import RunConfig
from search.ledger.events import BaselinesReady
from search.scoring.grader import BaselinePredictions, Grader, SearchGrader
from search.scoring.objective import DEFAULT, Objective
from search.scoring.pgr import Reals, pgr
from search.scoring.several_tasks import SeveralTasks, TaskScale
from trainers.method import Method

KEPT = 0.8  # share of the rows that a campaign has


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What judges the trials of a campaign; see search.engine.context.RunContext."""

    grader: SearchGrader
    gap: float
    search_size: int
    several: SeveralTasks | None = None


class Point(NamedTuple):
    """A method of the table: a row, stopped at a rung, both by index."""

    row: int
    rung: int


@dataclass(frozen=True, kw_only=True)
class World:
    """A task with the rows, the order of supervisors and the examples that a campaign has.

    order: of the table's seeds; the first half teaches the search, the others the confirmation. task: its
    search and test split are dealt anew for each campaign, or what all campaigns choose by the same examples
    would be counted as so many observations and be one. objective: as search.objective, of several tasks.
    """

    table: Table
    task: TaskTable
    rows: Sequence[int]
    order: Sequence[int]
    objective: Objective = DEFAULT

    @classmethod
    def of(cls, table: Table, task: str, campaign: int) -> "World":
        """The world of a campaign. Naive, which confirmation compares with, is always there."""
        rng = np.random.default_rng([table.settings.seed, campaign])
        others = 1 + rng.permutation(len(table.rows) - 1)
        kept = sorted(int(row) for row in others[: round(KEPT * len(others))])
        order = [int(seed) for seed in rng.permutation(table.settings.seeds)]
        dealt = table.tasks[task].dealt(rng)
        return cls(table=table, task=dealt, rows=[0, *kept], order=order)

    @property
    def supervisors(self) -> int:
        """Of the search."""
        return len(self.order) // 2

    def column(self, seed: int, config: RunConfig) -> int:
        """The table's seed that stands for a seed of a campaign: that of the same supervisor."""
        return self.order[config.supervisor(seed)]

    def method(self, point: Point) -> Method:
        """The method of a point."""
        return self.table.rows[point.row].method.stopped_at(self.table.settings.rungs[point.rung])

    @cached_property
    def points(self) -> Mapping[str, Point]:
        """The points by the digests of their methods, those of a row and of its stops."""
        return {
            self.method(point).digest: point
            for row in self.rows
            for point in (Point(row, rung) for rung in reversed(range(len(self.table.settings.rungs))))
        }

    @property
    def unit_s(self) -> float:
        """Seconds of a mean training: a budget is so many of them."""
        return self.task.training_s

    @property
    def tasks(self) -> Mapping[str, "World"]:
        """The tasks that a trial is trained on, by name; a single one has no name."""
        return {"": self}

    @cached_property
    def grader(self) -> Grader:
        """The grader of a campaign."""
        return Grader(self._graded("search", self.supervisors), self._graded("test", len(self.order)))

    def _graded(self, split: str, supervisors: int) -> tuple[np.ndarray, BaselinePredictions]:
        weak = self.task.weak[split][list(self.order[:supervisors])]
        return self.task.truth[split], BaselinePredictions(weak=weak, ceiling=self.task.ceiling[split])

    def baselines(self) -> BaselinesReady:
        """The event that a run writes when its baselines are there."""
        found = self.grader.baselines()
        weak = self.task.weak["search"][list(self.order[: self.supervisors])]
        return BaselinesReady(
            **found.accuracies,
            **found.of_seeds,
            seeds=self.supervisors,
            train_s=0.0,
            examples=weak.shape[1],
            weak_predictions=tuple(pack(row) for row in weak),
        )

    @property
    def scale(self) -> TaskScale:
        """What turns accuracies on this task into PGRs."""
        found = self.grader.baselines()
        examples, test = (len(self.task.truth[split]) for split in ("search", "test"))
        return TaskScale(
            grader=self.grader, examples=examples, test=test, weak_acc=found.weak.value, gap=found.gap
        )

    def judged_by(self) -> "Judged":
        """What a campaign's context holds of the task."""
        return Judged(grader=self.grader, gap=self.scale.gap, search_size=self.scale.examples)

    def search_pgr(self, point: Point, supervisor: int) -> float:
        """The PGR of a point on the search split, with a supervisor of the search."""
        predicted = self.task.predictions("search", point.row, self.order[supervisor], point.rung)
        return self.grader.grade(pack(predicted)).pgr

    def told_by_search_split(self) -> Point:
        """The highest mean over the search's supervisors: what a search would name to which nothing costs."""
        supervisors = list(self.order[: self.supervisors])
        means = self.task.search_accuracy[np.ix_(list(self.rows), supervisors)].mean(axis=1)
        place, rung = np.unravel_index(np.nanargmax(means), means.shape)
        return Point(self.rows[place], int(rung))

    def confirmed_pgr(self, point: Point) -> float:
        """The PGR on the test split over the fresh seeds, whose supervisors taught no trial of the search."""
        fresh = list(self.order[self.supervisors :])
        return self._test_pgr(self.task.test_accuracy[point.row, fresh, point.rung])

    def _test_pgr(self, accuracies: Reals) -> float:
        return pgr(float(np.mean(accuracies)), *self._test_baselines)

    @cached_property
    def _test_baselines(self) -> tuple[float, float]:
        found = self.grader.open_test({}).baselines
        return found.weak_acc, found.ceiling_acc

    @cached_property
    def most(self) -> float:
        """The highest test PGR over all seeds that a point of this world has."""
        accuracies = self.task.test_accuracy[list(self.rows)].mean(axis=1)
        return self._test_pgr(np.nanmax(accuracies, keepdims=True))

    def regret(self, point: Point) -> float:
        """By how much a point's test PGR over all seeds is below the highest."""
        return self.most - self._test_pgr(self.task.test_accuracy[point.row, :, point.rung])
