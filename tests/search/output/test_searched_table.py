from io import StringIO
from typing import Any

import pytest
from rich.console import Console, Group

from search.engine.confirmation import Confirmation
from search.ledger.record import Record
from search.output.hidden import hidden_part
from search.output.outcome_table import outcome_table
from search.output.result import result
from search.output.searched_table import searched_sentences, searched_tables
from search.output.searched_tasks import over_tasks, tasks_part
from search.scoring.objective import Objective
from tests.search.output.conftest import moved, on_task, without_gap


def whole(record: Record, *confirmations: Confirmation, hidden: bool = False) -> dict[str, Any]:
    apart = [on_task(one, f"task{i}") for i, one in enumerate(confirmations, start=1)]
    own = over_tasks(apart)
    there = [on_task(moved(confirmations[0], -0.1), "unseen")] if hidden else []
    return result(record, own, hidden_part(record, own, there), tasks_part(record, apart))


def printed(*shown: Any, width: int = 140) -> list[str]:
    text = StringIO()
    Console(file=text, width=width).print(Group(*shown))
    return text.getvalue().splitlines()


def test_the_table_has_a_column_a_task_and_the_mean(record: Record, confirmation: Confirmation) -> None:
    found = whole(record, confirmation, moved(confirmation, 0.2), without_gap(confirmation))
    lines = printed(*searched_tables(found))
    assert lines[0].strip() == "PGR on each of the search's tasks"
    assert [cell.strip() for cell in lines[2].split("┃")[1:-1]] == [
        "method",
        "task1",
        "task2",
        "task3",
        "mean",
    ]
    best = next(line for line in lines if "two-red" in line).split("│")
    assert [cell.strip() for cell in best[2:6]] == ["0.500", "0.500", "no gap", "0.500"]
    naive = next(line for line in lines if "naive" in line).split("│")
    assert [cell.strip() for cell in naive[2:6]] == ["0.200", "0.200", "no gap", "0.200"]


def test_it_is_said_if_methods_were_not_chosen_by_a_mean(record: Record, confirmation: Confirmation) -> None:
    apart = [on_task(moved(confirmation, by), f"task{by}") for by in (0.0, 0.2)]

    def sentences(objective: Objective | None) -> list[str]:
        own, tasks = over_tasks(apart), tasks_part(record, apart)
        return list(searched_sentences(result(record, own, tasks=tasks, objective=objective)))

    *_, last = sentences("geometric")
    assert last.startswith(
        "search PGR, by which methods were chosen, is not a mean over the tasks but one minus"
    )
    assert sentences("mean") == sentences(None) == sentences("geometric")[:-1]


def test_sentences_say_the_gain_on_each_and_from_four_tasks_on_that_on_a_further_one(
    record: Record, confirmation: Confirmation
) -> None:
    three = whole(record, confirmation, moved(confirmation, 0.2), moved(confirmation, -0.4))
    assert list(searched_sentences(three)) == [
        "the best over naive: +0.300 on task1, +0.500 on task2, -0.100 on task3"
    ]
    four = whole(record, *(moved(confirmation, by) for by in (-0.1, 0.0, 0.1, 0.2)))
    _, further = searched_sentences(four)
    # 0.35 ± 3.182 · 0.1291 · √(1 + 1/4): t of three degrees, the standard deviation of four equal steps
    assert further == "on a further task of the kind it would gain -0.11 to +0.81 (95%)"
    assert four["best"]["over_naive"]["new_task95"] == pytest.approx([-0.109, 0.809], abs=1e-3)


@pytest.mark.parametrize("count", [1, 2])
def test_a_single_task_needs_no_table_of_tasks(
    record: Record, confirmation: Confirmation, count: int
) -> None:
    found = whole(record, *[confirmation] * count)
    assert bool(list(searched_tables(found))) == (count > 1)
    assert ("new_task95" in found["best"]["over_naive"]) == (count > 1)
    text = "\n".join(printed(outcome_table(found)))
    assert ("test splits, the mean over the search's 2 tasks" in text) == (count > 1)


def test_the_outcome_fits_80_columns_and_compares_hidden_tasks_with_several(
    record: Record, confirmation: Confirmation
) -> None:
    found = whole(record, *[moved(confirmation, 0.1)] * 4, hidden=True)
    lines = printed(outcome_table(found), width=80)
    assert max(map(len, lines)) <= 80
    words = " ".join(" ".join(lines).split())
    assert "0.100 less than on the tasks that were searched" in words
    assert "the search's tasks" in words
