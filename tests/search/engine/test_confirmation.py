from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from search.config.own import OwnMethod
from search.config.schema import RunConfig
from search.config.seeds import ConfirmConfig, ReplicationConfig
from search.engine.confirmation import choose_finalists, confirm, planned_confirmation, sealed_predictions
from search.ledger.record import Record
from search.scoring.grader import TestGrades
from search.scoring.pgr import Baselines
from search.scoring.sign_flip import SignFlip
from trainers.components.labels import Soft
from trainers.components.losses import Bootstrap, Gce
from trainers.components.optim import Adamw
from trainers.method import Method

METHODS = {
    "t1": Method(labels=Soft()),
    "t2": Method(loss=Gce()),
    "t3": Method(loss=Bootstrap()),
    "t4": Method(loss=Gce(), optim=Adamw(lr=5e-3)),  # a near-twin of t2
}


def method(trial: str) -> Method:
    return METHODS[trial]


def searched(events: SimpleNamespace, **pgrs: float) -> list[Any]:
    return [
        event
        for trial, pgr in pgrs.items()
        for event in (
            events.started(trial, method=METHODS[trial]),
            events.reached(trial, 1.0, pgr),
            events.ended(trial),
        )
    ]


def confirmed(
    events: SimpleNamespace, config: RunConfig, name: str, of: Method, *, fails: int | None = None
) -> list[Any]:
    """Confirmation trials of a method: every seed answers with its own bits, the one at `fails` fails."""
    told = []
    for i, seed in enumerate(config.confirm_seeds()):
        trial = f"{name}{i}"
        told.append(events.started(trial, purpose="confirm", method=of, seed=seed, number=None, branch=""))
        if i == fails:
            told.append(events.ended(trial, "failed", "nan"))
        else:
            told.append(events.reached(trial, 1.0, None, predictions=f"{name[-1]}{i}"))
            told.append(events.ended(trial))
    return told


def test_finalists_are_the_best_methods_wherever_they_stop_ties_to_the_earlier(
    events: SimpleNamespace, config: RunConfig
) -> None:
    record = Record.of(
        [
            *searched(events, t1=0.2, t2=0.7, t3=0.7),
            events.started("t4", method=METHODS["t4"]),
            events.reached("t4", 1 / 9, 0.1),
            events.reached("t4", 1 / 3, 0.99),
            events.ended("t4", "pruned"),
            *confirmed(events, SimpleNamespace(confirm_seeds=lambda: [1]), "c", method("t1")),
        ]
    )
    first, second = choose_finalists(config, record)
    assert (first.trial.trial, first.method) == ("t4", METHODS["t4"].stopped_at(1 / 3))
    assert (second.trial.trial, second.method) == ("t3", METHODS["t3"])  # t2 is a near-twin of t4
    three = config.model_copy(update={"confirm": ConfirmConfig(finalists=9, seeds=3)})
    assert [one.trial.trial for one in choose_finalists(three, record)] == ["t4", "t3", "t1"]


def test_no_two_finalists_are_near_twins(events: SimpleNamespace, config: RunConfig) -> None:
    record = Record.of(searched(events, t1=0.2, t2=0.7, t4=0.8))
    assert [one.trial.trial for one in choose_finalists(config, record)] == ["t4", "t1"]
    twins = Record.of(searched(events, t2=0.7, t4=0.8))
    assert [one.trial.trial for one in choose_finalists(config, twins)] == ["t4"]


def test_methods_that_a_config_names_are_all_confirmed(events: SimpleNamespace, config: RunConfig) -> None:
    named = (OwnMethod(name="one", slots={}), OwnMethod(name="two", slots={}))
    own = config.model_copy(update={"methods": named})
    twins = Record.of(searched(events, t2=0.7, t4=0.8))
    assert [one.trial.trial for one in choose_finalists(own, twins)] == ["t4", "t2"]


def replicated(events: SimpleNamespace, name: str, of: str, seed: int, pgr: float) -> list[Any]:
    return [
        events.started(name, purpose="replicate", method=method(of), seed=seed, number=None),
        events.reached(name, 1.0, pgr),
        events.ended(name),
    ]


def test_a_lucky_single_seed_is_no_finalist(events: SimpleNamespace, config: RunConfig) -> None:
    config = config.model_copy(update={"replication": ReplicationConfig(methods=4, seeds=2)})
    lucky = [*searched(events, t1=0.9, t2=0.7, t3=0.6), *replicated(events, "r1", "t3", 10_001, 0.6)]
    # t1 and t2 have a single seed; t2's replicate is still to come.
    assert [one.trial.trial for one in choose_finalists(config, Record.of(lucky))] == ["t3"]
    record = Record.of([*lucky, *replicated(events, "r2", "t2", 10_001, 0.0)])
    # (.6 + .6) / 2 comes before (.7 + 0) / 2.
    finalists = choose_finalists(config, record)
    assert [(one.trial.trial, one.search_pgr) for one in finalists] == [("t3", 0.6), ("t2", 0.35)]


def test_a_method_that_failed_on_a_seed_is_no_finalist_unless_there_is_no_other(
    events: SimpleNamespace, config: RunConfig
) -> None:
    def failed(name: str, of: str, seed: int) -> list[Any]:
        return [
            events.started(name, purpose="replicate", method=method(of), seed=seed, number=None),
            events.ended(name, "failed", "nan"),
        ]

    config = config.model_copy(update={"replication": ReplicationConfig(methods=2, seeds=3)})
    told = [
        *searched(events, t1=0.5, t2=0.9),
        *replicated(events, "r1", "t2", 10_001, 0.9),
        *failed("r2", "t2", 10_002),
    ]
    first = Record.of([*told, *replicated(events, "r3", "t1", 10_001, 0.4)])
    assert [one.trial.trial for one in choose_finalists(config, first)] == ["t1"]
    none = Record.of([*told, *failed("r3", "t1", 10_001)])
    assert [one.trial.trial for one in choose_finalists(config, none)] == ["t2"]
    # t3 has failed on no seed as it was never replicated: one seed, however high, is not enough.
    lucky = Record.of([*told, *failed("r3", "t1", 10_001), *searched(events, t3=0.99)])
    assert [one.trial.trial for one in choose_finalists(config, lucky)] == ["t2"]
    alone = Record.of([*searched(events, t1=0.5, t3=0.4), *failed("r1", "t1", 10_001)])
    assert [one.trial.trial for one in choose_finalists(config, alone)] == ["t3"]


def test_the_plan_is_naive_first_then_finalists_each_on_every_seed(
    events: SimpleNamespace, config: RunConfig
) -> None:
    record = Record.of(searched(events, t1=0.2, t2=0.7, t3=0.5))
    seeds = config.confirm_seeds()
    assert len(seeds) == 3
    assert planned_confirmation(config, record) == [
        *((config.naive, seed) for seed in seeds),
        *((method("t2"), seed) for seed in seeds),
        *((method("t3"), seed) for seed in seeds),
    ]


def test_sealed_predictions_are_in_the_order_of_the_seeds(events: SimpleNamespace, config: RunConfig) -> None:
    naive = confirmed(events, config, "a", config.naive)
    backwards = [event for i in (2, 1, 0) for event in naive[3 * i : 3 * i + 3]]
    best = confirmed(events, config, "b", method("t1"))
    record = Record.of([*searched(events, t1=0.2), *backwards, *best])
    assert sealed_predictions(config, record) == {
        config.naive.digest: ["a0", "a1", "a2"],
        method("t1").digest: ["b0", "b1", "b2"],
    }


def test_a_finalist_that_failed_on_a_seed_is_left_out(events: SimpleNamespace, config: RunConfig) -> None:
    record = Record.of(
        [
            *searched(events, t1=0.2, t2=0.7),
            *confirmed(events, config, "a", config.naive),
            *confirmed(events, config, "b", method("t2"), fails=1),
            *confirmed(events, config, "c", method("t1")),
        ]
    )
    assert sealed_predictions(config, record).keys() == {config.naive.digest, method("t1").digest}


def test_without_naive_or_a_finalist_there_is_nothing_to_compare(
    events: SimpleNamespace, config: RunConfig
) -> None:
    told = searched(events, t1=0.2)
    no_naive = [*told, *confirmed(events, config, "a", config.naive, fails=2)]
    with pytest.raises(RuntimeError, match=r"naive baseline did not complete .* last failure: nan\. Fix"):
        sealed_predictions(config, Record.of(no_naive))
    naive = [*told, *confirmed(events, config, "a", config.naive)]
    no_finalist = [*naive, *confirmed(events, config, "b", method("t1"), fails=0)]
    with pytest.raises(RuntimeError, match=r"no finalist completed on every .* last failure: nan\. Fix"):
        sealed_predictions(config, Record.of(no_finalist))
    with pytest.raises(RuntimeError, match=r"no method of the search completed"):
        sealed_predictions(config, Record.of(naive))


def test_finalists_are_compared_with_naive_seed_by_seed(events: SimpleNamespace, config: RunConfig) -> None:
    """Three seeds of the last three of eight supervisors, eight examples."""
    record = Record.of(searched(events, t1=0.2, t2=0.7))

    def rows(*right: int) -> np.ndarray:
        return np.array([[i < count for i in range(8)] for count in right])

    answers = TestGrades.of(
        correct={
            config.naive.digest: rows(4, 6, 5),
            method("t2").digest: rows(6, 8, 7),
            method("t1").digest: rows(4, 6, 5),
        },
        baselines=Baselines(weak=rows(*[4] * 8), ceiling=rows(8, 8, 8, 8, 8)),
        truth=np.zeros(8, dtype=np.int8),
    )
    outcome = confirm(config, record, answers)
    assert outcome.naive.method == config.naive
    assert outcome.naive.pgr.value == pytest.approx((5 / 8 - 4 / 8) / (4 / 8))
    assert outcome.naive.seeds == 3
    (first, best), (second, same) = outcome.finalists
    assert (first.trial.trial, second.trial.trial) == ("t2", "t1")
    assert best.pgr.value == pytest.approx(0.75)
    # Every seed gains a quarter: PGR 0.5 of a gap of 1/2. Of gains of 2 in cells 4, 5 / 6, 7 / 5, 6 the
    # rows are alike, the interaction is 32/3 over 14 degrees of freedom and 24 cells: 2/63. Rows may be alike
    # by chance: three degrees of freedom of the prior, 2 x 0.02^2 / 3 + 2/63, and two of the rows, 0.
    assert best.gain.value == pytest.approx(0.5)
    assert best.gain.se**2 == pytest.approx(3 / 5 * (2 * 0.02**2 / 3 + 2 / 63))
    assert best.gain.df == pytest.approx(5)
    assert best.sign_flip == SignFlip(p=1 / 8, smallest_p=1 / 8, units=3)
    assert best.accuracy.value == pytest.approx(7 / 8)
    seeds = config.confirm_seeds()
    assert [(one.seed, one.supervisor) for one in best.per_seed] == list(zip(seeds, (5, 6, 7), strict=True))
    assert [(one.accuracy, one.pgr, one.gain) for one in best.per_seed] == [
        (6 / 8, 0.5, 0.5),
        (8 / 8, 1.0, 0.5),
        (7 / 8, 0.75, 0.5),
    ]
    assert best.collapses.below == pytest.approx(0.75 - 0.2)
    assert best.collapses.flags == (True, False, False)
    assert best.predictions is None
    assert (same.gain.value, same.gain.p_positive) == (0.0, 0.5)


def test_the_campaign_s_seed_variance_is_that_of_methods_that_did_not_collapse(
    events: SimpleNamespace, config: RunConfig
) -> None:
    record = Record.of(searched(events, t1=0.2, t2=0.7))

    def rows(*right: int) -> np.ndarray:
        return np.array([[i < count for i in range(100)] for count in right])

    baselines = Baselines(weak=rows(*[40] * 8), ceiling=rows(*[100] * 5))
    truth = np.zeros(100, dtype=np.int8)
    steady = {config.naive.digest: rows(60, 61, 59), method("t2").digest: rows(80, 82, 79)}
    [(_, alone)] = confirm(
        config, record, TestGrades.of(correct=steady, baselines=baselines, truth=truth)
    ).finalists
    collapsed = {**steady, method("t1").digest: rows(80, 79, 20)}
    (_, best), (_, other) = confirm(
        config, record, TestGrades.of(correct=collapsed, baselines=baselines, truth=truth)
    ).finalists
    assert other.collapses.flags == (False, False, True)
    assert other.collapses.rate_upper95 == pytest.approx(0.8646, abs=1e-4)  # 1 of 3
    assert best == alone
    assert best.collapses.count == 0


def test_predictions_are_kept_where_asked(events: SimpleNamespace, config: RunConfig) -> None:
    config = config.model_copy(update={"confirm": ConfirmConfig(finalists=2, seeds=3, predictions=True)})
    naive, best = (
        confirmed(events, config, name, of) for name, of in (("a", config.naive), ("b", method("t1")))
    )
    record = Record.of([*searched(events, t1=0.2), *naive, *best])
    right = np.ones((3, 4), dtype=np.bool_)
    answers = TestGrades.of(
        correct={config.naive.digest: right, method("t1").digest: right},
        baselines=Baselines(weak=~right[[0] * 8], ceiling=right[[0] * 5]),
        truth=np.zeros(4, dtype=np.int8),
    )
    outcome = confirm(config, record, answers)
    assert outcome.naive.predictions == ("a0", "a1", "a2")
    assert [found.predictions for _, found in outcome.finalists] == [("b0", "b1", "b2")]


def test_a_finalist_without_answers_is_left_out_of_the_outcome(
    events: SimpleNamespace, config: RunConfig
) -> None:
    record = Record.of(searched(events, t1=0.2, t2=0.7))
    right = np.ones((3, 4), dtype=np.bool_)
    answers = TestGrades.of(
        correct={config.naive.digest: right, method("t1").digest: right},
        baselines=Baselines(weak=~right[[0] * 8], ceiling=right[[0] * 5]),
        truth=np.zeros(4, dtype=np.int8),
    )
    assert [one.trial.trial for one, _ in confirm(config, record, answers).finalists] == ["t1"]


def test_without_a_gap_on_the_test_split_accuracies_are_compared(
    events: SimpleNamespace, config: RunConfig
) -> None:
    record = Record.of(searched(events, t1=0.2, t2=0.7))

    def rows(*right: int) -> np.ndarray:
        return np.array([[i < count for i in range(8)] for count in right])

    grades = TestGrades.of(
        correct={config.naive.digest: rows(4, 6, 5), method("t2").digest: rows(6, 8, 7)},
        baselines=Baselines(weak=rows(*[6] * 8), ceiling=rows(6, 6, 6, 6, 6)),
        truth=np.zeros(8, dtype=np.int8),
    )
    outcome = confirm(config, record, grades)
    [(_, best)] = outcome.finalists
    assert (best.pgr, best.gain, outcome.naive.pgr) == (None, None, None)
    assert (outcome.naive.accuracy.value, best.accuracy.value) == (5 / 8, 7 / 8)
    assert best.accuracy_gain.value == 0.25
    assert best.beats_naive_p == best.accuracy_gain.p_positive < 0.1
    assert best.sign_flip == SignFlip(p=1 / 8, smallest_p=1 / 8, units=3)
    assert best.collapses is None
    assert [(one.accuracy, one.pgr, one.gain) for one in best.per_seed] == [
        (6 / 8, None, None),
        (8 / 8, None, None),
        (7 / 8, None, None),
    ]
