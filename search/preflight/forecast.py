"""The seconds that each phase of a run will take, from the speed of its models. Pure."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from search.config.learners import TrainedConfig
from search.config.schema import RunConfig
from search.policy.training_seconds import Step, TrainingSeconds
from search.preflight.speed import Speed, is_frozen
from trainers.method import Method


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A part of a run. trainings: how many; train_s: their seconds together, one at a time.

    starts: how often it waits for workers to start; workers of the search stay for what follows on its tasks.
    """

    name: str
    trainings: int
    train_s: float
    starts: int = 0


def steps_of(learner: TrainedConfig, examples: int) -> int:
    """Optimizer steps of a training on so many examples."""
    optim = learner.optim
    return max(1, round(optim.stop * optim.epochs * math.ceil(examples / optim.batch_size)))


def baseline_s(
    learner: TrainedConfig, speed: Speed, *, learned: int, predicted: int, trainings: int
) -> float:
    """Seconds of so many trainings of a baseline; frozen features are computed once for all of them.

    learned, predicted: examples of each.
    """
    alone = speed.load_s + speed.start_s + steps_of(learner, learned) * speed.step_s
    if is_frozen(learner.student):
        return trainings * alone + (learned + predicted) * speed.row_s if trainings else 0.0
    return trainings * (alone + predicted * speed.row_s)


def naive_s(config: RunConfig, strong: Speed, *, predicted: int) -> float:
    """Seconds of a trial of the naive method in a warm worker, with predictions at its end."""
    read = 0 if is_frozen(config.strong.student) else predicted
    return (
        strong.start_s
        + steps_of(config.strong, config.task.splits.transfer) * strong.step_s
        + (read * strong.row_s)
    )


def priced(config: RunConfig, strong: Speed, methods: Sequence[Method]) -> list[float]:
    """Predicted seconds of a whole training of each method.

    A method with naive's kind of student has its proportion of what naive takes; any other has what is
    believed of its kind, in units of a forward pass, which is timed.
    """
    splits = config.task.splits
    prices = TrainingSeconds(transfer=splits.transfer, evaluated=splits.search)
    naive, *amounts = prices.predict(
        [Step(method=method, start=0.0, end=1.0) for method in (config.naive, *methods)]
    )
    took = max(1e-6, naive_s(config, strong, predicted=splits.search))
    return [
        float(amount) * (took / naive if method.student.kind == config.naive.student.kind else strong.row_s)
        for method, amount in zip(methods, amounts, strict=True)
    ]


def phases(
    config: RunConfig, weak: Speed, strong: Speed, methods: Sequence[Method], cached: int = 0
) -> list[Phase]:
    """The phases of a run of these methods, in order. cached: baselines that need no training.

    Of a config with several tasks those of the first. Frozen features that no ceiling computes, as all are
    cached, are computed by the first trials.
    """
    prices, trials = priced(config, strong, methods), config.search.trials
    mean_s, usual_s = fmean(prices), median(prices)  # a few dear methods make the mean, few of them win
    due = config.weak_models + config.baselines.seeds
    hours = config.search.max_hours
    search_s = hours * 3600 if hours else config.search.effort * trials * mean_s
    replicates, replicate_s = _replication(config, search_s, usual_s)
    of_naive, splits = config.replication.seeds, config.task.splits
    row_s = strong.row_s if cached == due and is_frozen(config.strong.student) else 0.0
    return [
        Phase(
            name="baselines",
            trainings=due - cached,
            train_s=_baselines_s(config, weak, strong) * (due - cached) / due,
            starts=int(due > cached),
        ),
        Phase(
            name="search",
            trainings=trials,
            train_s=search_s + (splits.transfer + splits.search) * row_s,
            starts=1,
        ),
        Phase(
            name="replication",
            trainings=replicates + of_naive,
            train_s=replicate_s + of_naive * naive_s(config, strong, predicted=config.task.splits.search),
        ),
        Phase(
            name="confirmation",
            trainings=_confirmed(config),
            train_s=_confirmation_s(config, strong, usual_s) + splits.test * row_s,
        ),
    ]


def hidden_phases(
    config: RunConfig, weak: Speed, strong: Speed, methods: Sequence[Method]
) -> Iterator[Phase]:
    """A phase a hidden task: its baselines and its confirmation, at the speed of the search's models.

    Each of the two starts workers of its own.
    """
    usual_s = median(priced(config, strong, methods))
    for hidden in config.hidden:
        there = config.on(hidden)
        seconds = _baselines_s(there, weak, strong) + _confirmation_s(there, strong, usual_s)
        trainings = there.weak_models + there.baselines.seeds + _confirmed(config)
        yield Phase(name=f"hidden {hidden.name}", trainings=trainings, train_s=seconds, starts=2)


def over_tasks(on_tasks: Sequence[Sequence[Phase]]) -> list[Phase]:
    """The phases of a run on several tasks, from those on each: a trial trains on all of them."""
    return [
        Phase(
            name=together[0].name,
            trainings=sum(phase.trainings for phase in together),
            train_s=sum(phase.train_s for phase in together),
            starts=max(phase.starts for phase in together),
        )
        for together in zip(*on_tasks, strict=True)
    ]


def part_of(config: RunConfig, tasks: int) -> RunConfig:
    """The config of one of several tasks with its part of the hours that the search may take."""
    hours = config.search.max_hours
    share = None if hours is None else hours / tasks
    return config.model_copy(update={"search": config.search.model_copy(update={"max_hours": share})})


def _confirmed(config: RunConfig) -> int:
    """Trials of the confirmation on a task: of naive and of the finalists."""
    return config.confirm.seeds * (1 + config.confirm.finalists)


def _baselines_s(config: RunConfig, weak: Speed, strong: Speed) -> float:
    splits = config.task.splits
    predicted = splits.search + splits.test
    return baseline_s(
        config.weak,
        weak,
        learned=config.baselines.own_rows or splits.weak_train,
        predicted=splits.transfer + predicted,
        trainings=config.weak_models,
    ) + baseline_s(
        config.strong,
        strong,
        learned=splits.transfer,
        predicted=predicted,
        trainings=config.baselines.seeds,
    )


def _confirmation_s(config: RunConfig, strong: Speed, usual_s: float) -> float:
    """Seconds of naive and the finalists on fresh seeds. usual_s: of a method's training."""
    naive = naive_s(config, strong, predicted=config.task.splits.test)
    return config.confirm.seeds * (naive + config.confirm.finalists * usual_s)


def _replication(config: RunConfig, search_s: float, usual_s: float) -> tuple[int, float]:
    """About how many replicates there will be, without naive's, and their seconds."""
    least, stages = config.confirm.finalists, config.replication.seeds - 1
    if config.replication.methods is not None:
        count = sum(max(least, math.ceil(config.replication.methods / 2**i)) for i in range(stages))
        return count, count * usual_s
    seconds = max(config.replication.effort * search_s if stages else 0.0, stages * least * usual_s)
    return round(seconds / usual_s) if usual_s else stages * least, seconds
