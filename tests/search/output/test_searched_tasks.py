from dataclasses import replace

import pytest

from search.engine.confirmation import Confirmation
from search.ledger.record import Record
from search.output.result import result
from search.output.searched_tasks import over_tasks, tasks_part
from search.scoring.pgr import Estimate
from tests.search.output.conftest import BASELINES, moved, on_task, without_gap


def test_of_a_single_task_the_outcome_is_its_own(confirmation: Confirmation) -> None:
    only = on_task(confirmation)
    assert over_tasks([only]) is only


def test_over_tasks_a_method_has_means_and_the_error_of_independent_tasks(confirmation: Confirmation) -> None:
    found = over_tasks([on_task(confirmation, "a"), on_task(moved(confirmation, 0.2), "b")])
    [(finalist, best)] = found.confirmation.finalists
    assert finalist is confirmation.finalists[0][0]
    assert best.gain is not None
    assert best.gain.value == pytest.approx(0.4)
    assert best.gain.se == pytest.approx(0.1 / 2**0.5)
    assert best.pgr is not None
    assert best.pgr.value == pytest.approx(0.5)
    assert [one.pgr for one in best.per_seed] == pytest.approx([0.5, 0.5, 1.3, -0.3, 0.5])
    assert best.collapses is not None
    assert best.collapses.count == 1


def test_a_task_without_a_gap_counts_for_accuracies_alone(confirmation: Confirmation) -> None:
    flat = replace(BASELINES, ceiling=Estimate(value=0.6, se=0.01, df=4), gap=-0.01)
    found = over_tasks([on_task(confirmation, "a"), on_task(without_gap(confirmation), "b", flat)])
    best = found.confirmation.finalists[0][1]
    assert best.gain == confirmation.finalists[0][1].gain
    assert found.baselines.ceiling.value == pytest.approx((0.91 + 0.6) / 2)


def test_without_any_gap_there_is_no_pgr(confirmation: Confirmation) -> None:
    found = over_tasks([on_task(without_gap(confirmation), name) for name in "ab"])
    best = found.confirmation.finalists[0][1]
    assert (best.pgr, best.gain, best.collapses) == (None, None, None)
    assert best.accuracy_gain.value == pytest.approx(0.09)


def test_the_result_has_every_task_and_the_means(record: Record, confirmation: Confirmation) -> None:
    outcomes = [on_task(confirmation, "a"), on_task(moved(confirmation, 0.2), "b")]
    found = result(record, over_tasks(outcomes), tasks=tasks_part(record, outcomes))
    assert found["best"]["over_naive"]["pgr"] == pytest.approx(0.4)
    gains = {task["name"]: task["finalists"][0]["over_naive"]["pgr"] for task in found["tasks"]}
    assert gains == pytest.approx({"a": 0.3, "b": 0.5})
    assert [task["baselines"]["gap"] for task in found["tasks"]] == [0.3, 0.3]
