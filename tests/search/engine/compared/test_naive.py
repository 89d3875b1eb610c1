"""Naive on the search split: on which seeds it is trained, and what it says beside a method."""

from types import SimpleNamespace

import pytest

from search.config.schema import RunConfig
from search.config.seeds import ReplicationConfig
from search.engine.compared.naive import (
    due_replicates,
    naive_pgrs,
    naive_search_pgr,
    planned_replicates,
    search_gain,
)
from search.engine.confirmation import choose_finalists
from search.engine.replication import standings
from search.ledger.events import AnyEvent
from search.ledger.record import Record
from trainers.components.losses import Gce, Sce
from trainers.method import Method

FIRST = 10_000


@pytest.fixture
def twice(config: RunConfig) -> RunConfig:
    """Two methods are trained on a second seed."""
    return config.model_copy(update={"replication": ReplicationConfig(methods=2, seeds=2)})


@pytest.fixture
def searched(events: SimpleNamespace) -> list[AnyEvent]:
    """The better of two methods was tried on the seed of the second round."""
    told: list[AnyEvent] = [events.baselines()]
    for name, method, seed, pgr in (("t1", Gce(), FIRST, 0.3), ("t2", Sce(), FIRST + 3, 0.7)):
        told += [
            events.started(name, method=Method(loss=method), seed=seed),
            events.reached(name, 1.0, pgr),
            events.ended(name),
        ]
    return told


def of_naive(config: RunConfig, events: SimpleNamespace, name: str, seed: int, pgr: float) -> list[AnyEvent]:
    begun = events.started(name, purpose="replicate", branch="", method=config.naive, seed=seed)
    return [begun, events.reached(name, 1.0, pgr), events.ended(name)]


def naive_seeds(config: RunConfig, record: Record) -> list[int]:
    return [seed for _, method, seed in planned_replicates(config, record) if method == config.naive]


def test_naive_gets_the_seed_of_the_best_and_those_of_the_replicates(
    config: RunConfig, twice: RunConfig, searched: list[AnyEvent]
) -> None:
    assert naive_seeds(config, Record.of(searched)) == [FIRST + 3]  # without replicates, that seed alone
    assert naive_seeds(twice, Record.of(searched)) == [FIRST + 3, FIRST + 1]
    assert naive_seeds(twice, Record.of(searched[:1])) == []  # there is nothing to compare it with


def test_naive_waits_until_the_others_are_there(
    twice: RunConfig, searched: list[AnyEvent], events: SimpleNamespace
) -> None:
    """The choice of finalists is then known as early as can be."""
    told = list(searched)
    for name, method in (("r1", Sce()), ("r2", Gce())):
        due = due_replicates(twice, Record.of(told))
        assert {one.digest for _, one, _ in due} == {Method(loss=Gce()).digest, Method(loss=Sce()).digest}
        told += [
            events.started(name, purpose="replicate", method=Method(loss=method), seed=FIRST + 1),
            events.reached(name, 1.0, 0.5),
            events.ended(name),
        ]
    record = Record.of(told)
    assert due_replicates(twice, record) == planned_replicates(twice, record)
    assert [seed for _, one, seed in due_replicates(twice, record) if one == twice.naive] == [
        FIRST + 3,
        FIRST + 1,
    ]


def test_it_is_never_chosen(twice: RunConfig, searched: list[AnyEvent], events: SimpleNamespace) -> None:
    best = of_naive(twice, events, "r1", FIRST + 3, 5.0) + of_naive(twice, events, "r2", FIRST + 1, 5.0)
    plain, record = Record.of(searched), Record.of([*searched, *best])
    assert [one.method for one in choose_finalists(twice, record)] == [
        one.method for one in choose_finalists(twice, plain)
    ]
    assert naive_search_pgr(twice, record) == 5.0
    assert naive_search_pgr(twice, plain) is None


def test_a_gain_is_paired_on_the_seeds_that_both_have(
    twice: RunConfig, searched: list[AnyEvent], events: SimpleNamespace
) -> None:
    told = [*searched, *of_naive(twice, events, "r1", FIRST + 3, 0.2)]
    record = Record.of([*told, *of_naive(twice, events, "r2", FIRST + 1, 0.9)])
    best = next(one for one in standings(twice, record) if one.trial.trial == "t2")
    assert search_gain(twice, best, naive_pgrs(twice, record)) == pytest.approx(0.7 - 0.2)  # of one seed
    finalists = {one.trial.trial: one.search_gain for one in choose_finalists(twice, record)}
    assert finalists["t2"] == pytest.approx(0.5)
    other = next(one for one in standings(twice, record) if one.trial.trial == "t1")
    assert search_gain(twice, other, naive_pgrs(twice, record)) is None


def test_a_failed_naive_says_nothing(
    twice: RunConfig, searched: list[AnyEvent], events: SimpleNamespace
) -> None:
    begun = events.started("r1", purpose="replicate", branch="", method=twice.naive, seed=FIRST + 3)
    record = Record.of([*searched, begun, events.ended("r1", "failed", "it diverged")])
    assert naive_search_pgr(twice, record) is None
    assert choose_finalists(twice, record)[0].search_gain is None
