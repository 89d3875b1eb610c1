"""Several tasks of a table as one campaign meets them: with the same rows and order of supervisors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean

import numpy as np

from agents.findings.predictions import pack
from benchmarks.table.data import Table
from benchmarks.table.world import Judged, Point, World
from search.ledger.events import BaselinesReady, TaskBaselines
from search.scoring.across_tasks import scores_over_tasks
from search.scoring.objective import DEFAULT, Objective, aggregate, task_weights
from search.scoring.several_tasks import SeveralTasks


@dataclass(frozen=True, kw_only=True)
class Together(World):
    """A world of several tasks: a method's PGR is by the objective, a training takes the seconds of all.

    task: the first one, with the seconds of a training on all tasks, failed where one of them fails. So what
    searches on a single task searches on all of them, each step on all at once. worlds: of the tasks.
    """

    worlds: Mapping[str, World]

    @classmethod
    def of_tasks(
        cls, table: Table, tasks: Sequence[str], campaign: int, objective: Objective = DEFAULT
    ) -> "Together":
        """The world of a campaign on these tasks."""
        worlds = {name: World.of(table, name, campaign) for name in tasks}
        first = worlds[tasks[0]]
        seconds = np.sum([world.task.seconds for world in worlds.values()], axis=0, dtype=np.float32)
        failed = np.any([world.task.failed for world in worlds.values()], axis=0)
        task = replace(first.task, seconds=seconds, failed=failed)
        return cls(
            table=table,
            task=task,
            rows=first.rows,
            order=first.order,
            objective=objective,
            worlds=worlds,
        )

    @property
    def tasks(self) -> Mapping[str, World]:
        """See World."""
        return self.worlds

    @property
    def unit_s(self) -> float:
        """Seconds of a mean training on one task."""
        return fmean(world.unit_s for world in self.worlds.values())

    @cached_property
    def several(self) -> SeveralTasks:
        """The grader of all tasks."""
        return SeveralTasks({name: world.scale for name, world in self.worlds.items()}, self.objective)

    def judged_by(self) -> Judged:
        """See World."""
        several = self.several
        return Judged(grader=several, gap=1.0, search_size=several.examples, several=several)

    def baselines(self) -> BaselinesReady:
        """See World; as a run on several tasks has them."""
        scores = scores_over_tasks([world.grader.baselines() for world in self.worlds.values()])
        first = list(self.order[: self.supervisors])
        weak = np.concatenate([world.task.weak["search"][first] for world in self.worlds.values()], axis=1)
        return BaselinesReady(
            **scores.accuracies,
            **scores.of_seeds,
            seeds=self.supervisors,
            train_s=0.0,
            examples=weak.shape[1],
            weak_predictions=tuple(pack(row) for row in weak),
            tasks=tuple(_of_a_task(name, world.baselines()) for name, world in self.worlds.items()),
        )

    def search_pgr(self, point: Point, supervisor: int) -> float:
        """By the objective, of the PGRs on the search splits, with a supervisor of the search."""
        weights = task_weights({name: world.scale.gap for name, world in self.worlds.items()}, self.objective)
        parts = [weights[name] * world.search_pgr(point, supervisor) for name, world in self.worlds.items()]
        return aggregate(parts, self.objective)

    def confirmed_pgr(self, point: Point) -> float:
        """The mean over the tasks of the PGR on the test split, over the fresh seeds."""
        return fmean(world.confirmed_pgr(point) for world in self.worlds.values())


def _of_a_task(name: str, own: BaselinesReady) -> TaskBaselines:
    return TaskBaselines(name=name, **own.model_dump(include=set(TaskBaselines.model_fields) - {"name"}))
