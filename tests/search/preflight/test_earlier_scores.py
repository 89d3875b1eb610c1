"""The scores of earlier runs, from which a new search begins."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from search.config.schema import RunConfig
from search.ledger.earlier import EarlierScored
from search.ledger.events import TaskReached
from search.ledger.record import Record
from search.preflight.earlier import EarlierRun
from search.preflight.earlier_scores import earlier_scored, scores_of_runs
from trainers.components.losses import Gce
from trainers.components.optim import Adamw
from trainers.method import Method

GCE = Method(loss=Gce(), optim=Adamw(lr=2e-3))


@pytest.fixture
def run_of(config: RunConfig, events: SimpleNamespace) -> Callable[..., EarlierRun]:
    """run_of(name, pgr, ...): a run with a trial of each PGR at a third of a training, .1 more at its end."""

    def make(name: str, *pgrs: float) -> EarlierRun:
        record = Record.of([events.run_started(run=name)])
        for number, pgr in enumerate(pgrs):
            record.apply(events.started(f"t{number}", method=GCE))
            for share, more in ((1 / 3, 0.0), (1.0, 0.1)):
                record.apply(events.reached(f"t{number}", share, pgr + more))
        record.apply(events.started("r0", purpose="replicate", method=GCE))
        record.apply(events.reached("r0", 1.0, 0.9))
        return EarlierRun(name=name, config=config, record=record)

    return make


def test_every_rung_of_its_search_trials_is_a_score(
    config: RunConfig, run_of: Callable[..., EarlierRun]
) -> None:
    found = earlier_scored([run_of("first", 0.2, 0.4)], config)
    [task] = found.tasks
    assert (task.run, task.task) == ("first", "")
    assert [(score.share, score.pgr) for score in task.scores] == [
        (1 / 3, 0.2),
        (1.0, pytest.approx(0.3)),
        (1 / 3, 0.4),
        (1.0, pytest.approx(0.5)),
    ]
    assert {score.method for score in task.scores} == {GCE}


def test_a_method_keeps_its_ratio_to_the_naive_baseline(
    config: RunConfig, run_of: Callable[..., EarlierRun]
) -> None:
    slower = config.strong.model_copy(update={"optim": Adamw(lr=1e-4)})
    found = earlier_scored([run_of("first", 0.2)], config.model_copy(update={"strong": slower}))
    assert found.tasks[0].scores[0].method.optim.lr == pytest.approx(2e-4)


def test_of_more_than_it_wants_each_run_gives_as_many(
    config: RunConfig, run_of: Callable[..., EarlierRun]
) -> None:
    wanted = config.model_copy(update={"from_runs_scores": 20})
    runs = [run_of("large", *[0.1] * 30), run_of("small", 0.2, 0.3), run_of("middle", *[0.4] * 9)]

    def counts(found: EarlierScored) -> dict[str, int]:
        return {task.run: len(task.scores) for task in found.tasks}

    assert counts(earlier_scored(runs, wanted)) == {"small": 4, "middle": 8, "large": 8}
    assert earlier_scored(runs, wanted).tasks == earlier_scored(runs, wanted).tasks
    assert counts(earlier_scored([run_of("empty"), *runs[1:2]], wanted)) == {"empty": 0, "small": 4}
    assert earlier_scored([run_of("empty")], wanted).with_scores == ()


def test_a_run_on_several_tasks_gives_those_of_each(
    on_tasks: Callable[..., RunConfig], events: SimpleNamespace, config: RunConfig
) -> None:
    record = Record.of([events.run_started(run="first"), events.started("t0", method=GCE, on="a")])
    for task, pgr in (("a", 0.2), ("b", 0.6)):
        record.apply(
            TaskReached(
                trial="t0", share=1 / 3, predictions="00", task=task, pgr=pgr, setup_s=0, train_s=1, eval_s=0
            )
        )
    record.apply(events.reached("t0", 1 / 3, 0.4))
    found = earlier_scored([EarlierRun(name="first", config=on_tasks("a", "b"), record=record)], config)
    assert [(task.task, [score.pgr for score in task.scores]) for task in found.tasks] == [
        ("a", [0.2]),
        ("b", [0.6]),
    ]


def test_runs_are_read_where_some_are_named(config: RunConfig) -> None:
    assert scores_of_runs(config) is None
    with pytest.raises(ValueError, match=r"^from_runs: .*nowhere: holds no run"):
        scores_of_runs(config.model_copy(update={"from_runs": ("nowhere",)}))
