from dataclasses import replace
from typing import Any

import pytest

from search.engine.confirmation import Confirmation
from search.ledger.events import EarlierOpening, TestOpened
from search.ledger.record import Record
from search.output.hidden import hidden_part
from search.output.result import result
from tests.search.output.conftest import moved, on_task, without_gap


@pytest.fixture
def part(record: Record, confirmation: Confirmation) -> dict[str, Any]:
    """Two hidden tasks with a gap, where the best gains .2 less and .1 less, and one without."""
    record.apply(TestOpened(queries=6, task="one", digest="d1", examples=300))
    earlier = (EarlierOpening(run="before", at=1.0, shared=7),)
    record.apply(TestOpened(queries=6, task="two", digest="d2", examples=200, earlier=earlier))
    tasks = [
        on_task(moved(confirmation, -0.2), "one"),
        on_task(moved(confirmation, -0.1), "two"),
        on_task(without_gap(confirmation), "three"),
    ]
    found = hidden_part(record, on_task(confirmation), tasks)
    assert found is not None
    return found


def test_without_hidden_tasks_there_is_no_such_part(record: Record, confirmation: Confirmation) -> None:
    own = on_task(confirmation)
    assert hidden_part(record, own, []) is None
    assert result(record, own)["hidden"] is None


def test_each_task_has_what_the_search_s_own_has(part: dict[str, Any], confirmation: Confirmation) -> None:
    one, two, three = part["tasks"]
    assert [task["name"] for task in part["tasks"]] == ["one", "two", "three"]
    assert one["baselines"]["ceiling_acc"] == 0.91
    assert one["naive"]["pgr"] == confirmation.naive.pgr.value  # type: ignore[union-attr]
    assert one["finalists"][0]["over_naive"]["pgr"] == pytest.approx(0.1)
    assert (one["test_split"]["opened"], two["test_split"]["opened"]) == (1, 2)
    assert two["test_split"]["by"][0] == {"run": "before", "id": "", "at": 1.0, "shared": 7}
    assert three["finalists"][0]["pgr"] is None
    assert three["test_split"] is None  # never opened


def test_a_finalist_has_its_mean_over_the_tasks_with_a_gap(part: dict[str, Any]) -> None:
    best = part["best"]
    assert best == part["finalists"][0]
    assert best["on"] == ["one", "two"]
    assert best["over_naive"]["pgr"] == pytest.approx(0.15)  # of .1 and .2; .3 on the search's own
    assert best["over_naive"]["se"] == pytest.approx(0.1 / 2**0.5)
    assert best["shrinkage"] == pytest.approx(0.15)
    half = 12.7062 * (0.005 * 1.5) ** 0.5
    assert best["over_naive"]["new_task95"] == pytest.approx([0.15 - half, 0.15 + half], abs=1e-4)
    # t = .15 / .0707 = 2.1213 on eight degrees of freedom
    assert best["beats_naive_p"] == pytest.approx(0.0333, abs=1e-4)
    assert part["naive"]["on"] == ["one", "two"]


def test_a_finalist_that_is_missing_on_a_task_counts_on_the_others(
    record: Record, confirmation: Confirmation
) -> None:
    (first, _), *others = confirmation.finalists
    fewer = replace(confirmation, finalists=others, missing=[(first, "inputs.plain.answer is for pairs")])
    tasks = [on_task(fewer, "one"), on_task(confirmation, "two")]
    part = hidden_part(record, on_task(confirmation), tasks)
    assert part is not None
    assert part["tasks"][0]["missing"] == [
        {"branch": first.trial.branch, "why": "inputs.plain.answer is for pairs"}
    ]
    assert part["best"]["on"] == ["two"]
    nowhere = hidden_part(record, on_task(confirmation), [on_task(fewer, "one")])
    assert nowhere is not None
    assert (nowhere["best"]["on"], nowhere["best"]["pgr"], nowhere["best"]["beats_naive_p"]) == (
        [],
        None,
        None,
    )
