"""Whether the intervals of a campaign over several tasks hold, where tasks differ by a known size.

    python -m benchmarks.calibration.tasks [--campaigns 400] [--seed 0] [--quick] [--out FILE.json]

As `python -m benchmarks.calibration`, but each campaign searches twelve methods of six kinds on several
tasks, each with supervisors, seeds and examples of its own, and a kind's PGR differs between tasks with a
known standard deviation. Campaigns of four and eight tasks, of three, five and eight seeds of confirmation.

these_tasks: how often the 95% intervals of the best, of its PGR and of its gain over naive, cover the truth
about the tasks that were searched; they aim at 93 to 97 of 100, and the PGR must be unbiased.
new_task: how often the interval for a further task holds the gain that is measured there: made of as many
hidden tasks, as a run reports it (aim 93 to 97), and made of the searched tasks, on which the best was
chosen, so that it is told here, not aimed at.

Prints JSON and a verdict on one line; exits with 1 if it is bad. Takes fifteen minutes on a core.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.calibration.campaign import KINDS, NAIVE, Campaign, Outcome, Setting, steady
from benchmarks.calibration.command import command
from benchmarks.calibration.world import Truth, World
from search.config.schema import RunConfig
from search.config.tasks import SearchedTask
from search.engine.confirmation import Confirmation, confirm
from search.ledger.events import TaskBaselines
from search.output.result import TaskOutcome
from search.output.searched_tasks import over_tasks
from search.scoring.across_tasks import new_task_interval, scores_over_tasks
from search.scoring.grader import BaselineScores
from search.scoring.objective import DEFAULT
from search.scoring.pgr import Reals, difference
from search.scoring.several_tasks import SeveralTasks, TaskScale, split
from trainers.data.settings import ToyTask
from trainers.method import Method

TASKS, SEEDS, EFFECTS = (4, 8), (3, 5, 8), (0.1,)
NUMBERS = 2  # methods of a kind
SPAN = 1000  # worlds of a campaign
Truths = Mapping[Method, Truth]


class CampaignOnTasks(Campaign):
    """A search over several tasks at once, each a world of its own."""

    def __init__(self, config: RunConfig, worlds: Sequence[World], truths: Sequence[Truths]) -> None:
        """worlds, truths: of each of the config's tasks."""
        of_tasks = {method: [truth[method] for truth in truths] for method in truths[0]}
        means = {method: replace(on[0], pgr=fmean(one.pgr for one in on)) for method, on in of_tasks.items()}
        super().__init__(config, worlds[0], means)
        self._tasks = {
            task: Campaign(config.on(task), world, truth)
            for task, world, truth in zip(config.tasks, worlds, truths, strict=True)
        }
        self.on_tasks: list[Confirmation] = []
        self.new_task95: Sequence[tuple[float, float] | None] = ()  # of each finalist, once confirmed

    @cached_property
    def grader(self) -> SeveralTasks:
        """Of all tasks."""
        return SeveralTasks(self._scales, DEFAULT)

    @cached_property
    def _scales(self) -> dict[str, TaskScale]:
        return {task.name: _scale(on) for task, on in self._tasks.items()}

    def floors(self) -> BaselineScores:
        """Means over the tasks."""
        return scores_over_tasks([on.floors() for on in self._tasks.values()])

    def of_tasks(self) -> tuple[TaskBaselines, ...]:
        """The baselines of each task."""
        return tuple(_told(task.name, on) for task, on in self._tasks.items())

    def answer(self, split: str, method: Method, seed: int) -> str:
        """The predictions of all tasks, one after another."""
        there = {task.name: on.answer(split, method, seed) for task, on in self._tasks.items()}
        return self.grader.joined(there, "test" if split == "test" else "search")

    def confirmed(self, predictions: Mapping[str, Sequence[str]]) -> Confirmation:
        """The statistics over all tasks, from those of each."""
        sizes = [scale.test for scale in self._scales.values()]
        apart = {digest: [split(seed, sizes) for seed in seeds] for digest, seeds in predictions.items()}
        outcomes = []
        for place, (task, on) in enumerate(self._tasks.items()):
            own = {digest: [seed[place] for seed in seeds] for digest, seeds in apart.items()}
            grades = on.own_grader.open_test(own)
            found = confirm(self._config, self._record, grades, task)
            outcomes.append(TaskOutcome(confirmation=found, baselines=grades.baseline_scores, task=task.name))
        self.on_tasks = [outcome.confirmation for outcome in outcomes]
        together = over_tasks(outcomes)
        self.new_task95 = together.new_task95
        return together.confirmation


def _told(name: str, on: Campaign) -> TaskBaselines:
    examples = len(on.world.splits["search"].truth)
    return TaskBaselines(name=name, examples=examples, **on.floors().accuracies)


def _scale(on: Campaign) -> TaskScale:
    found = on.floors()
    grader = on.own_grader
    sizes = {name: len(part.truth) for name, part in on.world.splits.items()}
    return TaskScale(
        grader=grader,
        examples=sizes["search"],
        test=sizes["test"],
        weak_acc=found.weak.value,
        gap=found.gap,
    )


def measured_gain(config: RunConfig, world: World, truths: Truths, method: Method) -> float:
    """The gain over naive that the confirmation would report on a task that nothing was chosen on."""
    there = Campaign(config, world, truths)
    answers = {
        one.digest: [there.answer("test", one, seed) for seed in config.confirm_seeds()]
        for one in (method, config.naive)
    }
    grades = there.own_grader.open_test(answers)
    taught = np.array([config.supervisor(seed) for seed in config.confirm_seeds()])
    ours, naive = (grades.correct[one.digest] for one in (method, config.naive))
    return difference(ours, naive, taught, grades.baselines).value


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A campaign over tasks. searched: the interval for a new task made of the searched tasks.

    hidden: made of hidden ones. new: the gain of the best that is measured on a new task.
    """

    outcome: Outcome
    searched: tuple[float, float]
    hidden: tuple[float, float]
    new: float


def campaign(setting: Setting, tasks: int, effect: float, seed: int) -> Seen:
    """A campaign over so many tasks. effect: standard deviation of a kind's PGR between tasks."""
    named = tuple(SearchedTask(name=f"task{i}", task=ToyTask(seed=i)) for i in range(tasks))
    config = setting.config.model_copy(update={"tasks": named})
    rng = np.random.default_rng([seed, 11])
    base, further = steady(rng, NUMBERS), 2 * tasks + 1
    truths = [on_a_task(base, rng.normal(0, effect, len(KINDS))) for _ in range(further)]
    worlds = [setting.world(seed * SPAN + i) for i in range(further)]
    run = CampaignOnTasks(config, worlds[:tasks], truths[:tasks])
    outcome = run.run()
    finalist, _ = outcome.confirmation.finalists[0]
    alone = config.on(named[0])
    gains = [
        measured_gain(alone, world, truth, finalist.method)
        for world, truth in zip(worlds[tasks:], truths[tasks:], strict=True)
    ]
    searched = run.new_task95[0]
    hidden = new_task_interval(gains[:-1])
    assert searched is not None
    assert hidden is not None
    return Seen(outcome=outcome, searched=searched, hidden=hidden, new=gains[-1])


def on_a_task(base: Truths, effects: Reals) -> Truths:
    """The methods on a task. effects: of the task on each kind of method, in PGR."""
    return {
        method: replace(truth, pgr=truth.pgr + float(effects[truth.kind])) for method, truth in base.items()
    }


def row(seen: Sequence[Seen]) -> dict[str, Any]:
    """Bias and coverage over campaigns."""
    errors, covers = [], dict[str, list[bool]]()

    def note(name: str, interval: tuple[float, float], truth: float) -> None:
        covers.setdefault(name, []).append(interval[0] <= truth <= interval[1])

    for one in seen:
        best, truth = one.outcome.confirmation.finalists[0][1], one.outcome.best.pgr
        assert best.pgr is not None
        assert best.gain is not None
        errors.append(best.pgr.value - truth)
        note("pgr", best.pgr.ci95, truth)
        note("over_naive", best.gain.ci95, truth - NAIVE)
        note("from_hidden", one.hidden, one.new)
        note("from_searched", one.searched, one.new)
    shares = {name: float(np.mean(flags)) for name, flags in covers.items()}
    return {
        "mean_error": float(np.mean(errors)),
        "its_se": float(np.std(errors, ddof=1) / math.sqrt(len(errors))),
        "these_tasks": {name: shares[name] for name in ("pgr", "over_naive")},
        "new_task": {name: shares[name] for name in ("from_hidden", "from_searched")},
    }


def verdict(rows: Sequence[Mapping[str, Any]], campaigns: int) -> tuple[bool, str]:
    """Whether the intervals hold, and which do not, on one line."""
    slack = max(0.02, 2.5 * math.sqrt(0.95 * 0.05 / campaigns))
    wrong, aimed = [], []
    for one in rows:
        shares = {**one["these_tasks"], "new task": one["new_task"]["from_hidden"]}
        aimed += shares.values()
        place = f"{one['tasks']} tasks, {one['seeds']} seeds, effects of {one['effect']}"
        wrong += [f"{name}: {place}" for name, share in shares.items() if abs(share - 0.95) > slack]
        if abs(one["mean_error"]) > 3 * one["its_se"]:
            wrong.append(f"biased: {place}")
    said = f"NOT calibrated ({'; '.join(wrong)})" if wrong else "calibrated"
    return not wrong, (
        f"{said}: over {campaigns} campaigns of each kind, 95% intervals cover {min(aimed):.1%} to "
        f"{max(aimed):.1%}"
    )


def calibration(
    count: int,
    seed: int,
    *,
    tasks: Sequence[int] = TASKS,
    seeds: Sequence[int] = SEEDS,
    effects: Sequence[float] = EFFECTS,
) -> dict[str, Any]:
    """The whole report."""
    rows = []
    for effect in effects:
        for k in tasks:
            for confirmed in seeds:
                about = f"{k} tasks, {confirmed} seeds"
                setting, first = Setting(seeds=confirmed), seed * 1_000_000
                seen = [
                    campaign(setting, k, effect, first + i)
                    for i in tqdm(range(count), desc=about, disable=None)
                ]
                rows.append({"tasks": k, "seeds": confirmed, "effect": effect, **row(seen)})
    good, said = verdict(rows, count)
    return {"campaigns": count, "seed": seed, "rows": rows, "calibrated": good, "verdict": said}


def main() -> None:
    """Print the report."""
    command(__doc__, calibration, quick=20)


if __name__ == "__main__":
    main()
