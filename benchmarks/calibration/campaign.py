"""One search over methods of known truth, by the parts that run in production."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from tqdm import tqdm

from agents.findings.predictions import pack
from benchmarks.calibration.world import Truth, World
from search.config.learners import LearnerConfig, SupervisorConfig
from search.config.schema import RunConfig
from search.config.search import SearchConfig
from search.config.seeds import BaselineConfig, ConfirmConfig, ReplicationConfig
from search.engine.confirmation import Confirmation, confirm, planned_confirmation, sealed_predictions
from search.engine.replication import planned_replication
from search.ledger.events import (
    BaselinesReady,
    Purpose,
    RungReached,
    TaskBaselines,
    TrialEnded,
    TrialStarted,
)
from search.ledger.record import Record
from search.scoring.grader import BaselineScores, Grader, SearchGrader
from trainers.components.losses import Bootstrap, Entropy, Gce, LogConf, ReverseKl, Sce
from trainers.components.optim import Adamw
from trainers.data.settings import ToyTask
from trainers.method import Method
from trainers.models.settings import ToyModel

KINDS = (LogConf, Entropy, Gce, Sce, Bootstrap, ReverseKl)
NUMBERS = 6  # methods of a kind
NAIVE = 0.3
SIZES = {"search": 1000, "test": 2000}
SEEDS = 8
COLLAPSES = 0.3
PLANS = {
    "1 seed": ReplicationConfig(methods=1, seeds=1),
    "6 methods on 3 seeds": ReplicationConfig(methods=6, seeds=3),
    "default": ReplicationConfig(),
}

Draw = Callable[[np.random.Generator], dict[Method, Truth]]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How a campaign is run, and what is hard about its world.

    seeds, supervisors: of the confirmation; supervisors None: one a seed. interaction, skewed,
    collapse_alone: see World.
    """

    replication: ReplicationConfig = PLANS["default"]
    seeds: int = SEEDS
    supervisors: int | None = None
    interaction: float = 0.0
    skewed: bool = False
    collapse_alone: bool = False

    @property
    def config(self) -> RunConfig:
        """A campaign as configs/dev.yaml has it."""
        return RunConfig(
            name="calibration",
            task=ToyTask(),
            weak=SupervisorConfig(model=ToyModel(size="weak"), optim=Adamw()),
            strong=LearnerConfig(model=ToyModel(size="strong"), optim=Adamw()),
            baselines=BaselineConfig(seeds=SEEDS),
            search=SearchConfig(trials=len(KINDS) * NUMBERS, round_trials=len(KINDS) * NUMBERS),
            replication=self.replication,
            confirm=ConfirmConfig(finalists=3, seeds=self.seeds, supervisors=self.supervisors),
        )

    def world(self, seed: int) -> World:
        """A world for such a campaign."""
        return World(
            seed,
            supervisors=self.config.supervisors,
            sizes=SIZES,
            interaction=self.interaction,
            skewed=self.skewed,
            collapse_alone=self.collapse_alone,
        )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a campaign reports of its best method and of naive, and the truth.

    flattered: the highest search score minus the true PGR of its method. most: the highest true PGR.
    """

    confirmation: Confirmation
    best: Truth
    flattered: float
    most: float


def steady(rng: np.random.Generator, numbers: int = NUMBERS) -> dict[Method, Truth]:
    """Kinds differ; methods of a kind, of which there are `numbers`, differ a little."""
    kinds = rng.normal(0.35, 0.12, len(KINDS))
    return {
        method: Truth(kind=kind, pgr=kinds[kind] + rng.normal(0, 0.04)) for kind, method in _methods(numbers)
    }


def null(rng: np.random.Generator) -> dict[Method, Truth]:
    """Nothing is better or worse than naive."""
    return {method: Truth(kind=kind, pgr=NAIVE) for kind, method in _methods(numbers=1)}


def fragile(rng: np.random.Generator) -> dict[Method, Truth]:
    """As steady, but two kinds look much better and sometimes collapse."""
    return made_fragile(steady(rng), 0.3, COLLAPSES)


def made_fragile(methods: Mapping[Method, Truth], gain: float, rate: float) -> dict[Method, Truth]:
    """The methods, those of two kinds better by a gain in PGR, but they collapse on this share of seeds."""
    return {
        method: replace(truth, pgr=truth.pgr + gain, collapses=rate) if truth.kind < 2 else truth
        for method, truth in methods.items()
    }


def _methods(numbers: int = NUMBERS) -> Iterator[tuple[int, Method]]:
    for number in range(numbers):
        for kind, loss in enumerate(KINDS):
            yield kind, Method(loss=loss(), optim=Adamw(lr=1e-4 * (number + 2)))


class Campaign:
    """One search over methods of known truth, by the parts that run in production."""

    def __init__(self, config: RunConfig, world: World, truths: Mapping[Method, Truth]) -> None:
        self._config = config
        self.world = world
        self._truths = {**truths, config.naive: Truth(kind=len(KINDS), pgr=NAIVE)}
        self._record = Record()

    @cached_property
    def grader(self) -> SearchGrader:
        """The grader of the search."""
        return self.own_grader

    @cached_property
    def own_grader(self) -> Grader:
        """The grader of this world."""
        return Grader(self._split("search"), self._split("test"))

    def _split(self, name: str) -> Any:
        predictions = self.world.baselines(name, SEEDS)
        if name == "search":  # the others are kept back for the confirmation
            predictions = replace(predictions, weak=predictions.weak[:SEEDS])
        return self.world.splits[name].truth, predictions

    def floors(self) -> BaselineScores:
        """Of the search split."""
        return self.own_grader.baselines()

    def _floors(self) -> BaselinesReady:
        found = self.floors()
        return BaselinesReady(
            **found.accuracies,
            **found.of_seeds,
            seeds=SEEDS,
            train_s=0.0,
            tasks=self.of_tasks(),
        )

    def of_tasks(self) -> tuple[TaskBaselines, ...]:
        """The baselines of several tasks."""
        return ()

    def run(self) -> Outcome:
        """Search, replicate, confirm."""
        config, record = self._config, self._record
        record.apply(self._floors())
        searched = [method for method in self._truths if method != config.naive]
        self._train("t", "search", [(method, config.search_seed()) for method in searched])
        done = 0
        while len(plan := planned_replication(config, record)) > done:
            self._train("r", "replicate", [(standing.method, seed) for standing, seed in plan[done:]])
            done = len(plan)
        self._train("c", "confirm", planned_confirmation(config, record))
        confirmation = self.confirmed(sealed_predictions(config, record))
        highest = record.best()
        assert highest is not None
        assert highest.best_pgr is not None
        return Outcome(
            confirmation=confirmation,
            best=self._truths[confirmation.finalists[0][0].trial.method],
            flattered=highest.best_pgr - self._truths[highest.method].mean_pgr,
            most=max(self._truths[method].mean_pgr for method in searched),
        )

    def confirmed(self, predictions: Mapping[str, Sequence[str]]) -> Confirmation:
        """The statistics of test predictions, by the digest of their method."""
        return confirm(self._config, self._record, self.own_grader.open_test(predictions))

    def answer(self, split: str, method: Method, seed: int) -> str:
        """What a method predicts on a split, packed."""
        return pack(self.world.predictions(split, method.digest, self._truths[method], seed))

    def _train(self, letter: str, purpose: Purpose, due: Sequence[tuple[Method, int]]) -> None:
        for method, seed in due:
            name = f"{letter}{len(self._record.trials)}"
            split = "test" if purpose == "confirm" else "search"
            answer = self.answer(split, method, seed)
            score = None if purpose == "confirm" else self.grader.grade(answer)
            self._record.apply(
                TrialStarted(trial=name, purpose=purpose, branch="", number=None, method=method, seed=seed)
            )
            self._record.apply(
                RungReached(
                    trial=name,
                    share=1.0,
                    predictions=answer,
                    accuracy=score.accuracy if score else None,
                    pgr=score.pgr if score else None,
                    se=score.se if score else None,
                    setup_s=0,
                    train_s=0,
                    eval_s=0,
                )
            )
            self._record.apply(TrialEnded(trial=name, state="completed", cause=None))


def campaigns(draw: Draw, setting: Setting, count: int, seed: int) -> list[Outcome]:
    """So many campaigns of a setting; the same worlds whatever the plan."""
    outcomes = []
    for i in tqdm(range(count), desc=f"{draw.__name__}, {setting.replication.seeds} seeds", disable=None):
        world = setting.world(seed * 1_000_000 + i)
        truths = draw(np.random.default_rng([seed, i]))
        outcomes.append(Campaign(setting.config, world, truths).run())
    return outcomes
