from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from rich.console import Console, Group

from search.engine.confirmation import Confirmation
from search.ledger.record import Record
from search.output.hidden import hidden_part
from search.output.hidden_table import hidden_tables, sentences
from search.output.outcome_table import outcome_table
from search.output.result import result
from tests.search.output.conftest import moved, on_task, without_gap


def whole(record: Record, confirmation: Confirmation, *there: Confirmation) -> dict[str, Any]:
    own = on_task(confirmation)
    tasks = [on_task(one, f"task{i}") for i, one in enumerate(there, start=1)]
    return result(record, own, hidden_part(record, own, tasks))


def printed(found: dict[str, Any]) -> str:
    text = StringIO()
    Console(file=text, width=140).print(Group(*hidden_tables(found)))
    return text.getvalue()


def test_the_table_has_a_column_a_task_and_what_the_search_s_own_task_said(
    record: Record, confirmation: Confirmation
) -> None:
    found = whole(record, confirmation, moved(confirmation, -0.2), without_gap(confirmation))
    lines = printed(found).splitlines()
    assert "hidden tasks" in lines[0]
    assert [word in lines[2] for word in ("task1", "task2", "mean", "over naive")] == [True] * 4
    best = next(line for line in lines if "two-red" in line).split("│")
    assert [cell.strip() for cell in best[2:6]] == ["0.500", "no gap", "0.500", "+0.100"]
    assert best[8].strip() == "+0.300"


def test_sentences_say_whether_the_best_holds_and_how_much_less_it_gains(
    record: Record, confirmation: Confirmation
) -> None:
    first, *_ = sentences(whole(record, confirmation, moved(confirmation, 0.2)))
    assert first == (
        "on the hidden task the best beats the naive baseline: +0.500 (p = 0.0037); 0.200 more than on the "
        "task that was searched"
    )
    worse = moved(confirmation, -0.3)
    assert (
        len(list(sentences(whole(record, confirmation, worse, worse, worse)))) == 1
    )  # too few for a new one
    first, second = sentences(whole(record, confirmation, *[worse] * 4))
    assert first.startswith("on 4 of 4 hidden tasks the best is not shown to beat the naive baseline: ")
    assert first.endswith("; 0.300 less than on the task that was searched")
    assert second.startswith("on a further task of the kind it would gain ")


def test_a_finalist_that_was_not_confirmed_somewhere_is_named_with_the_reason(
    record: Record, confirmation: Confirmation
) -> None:
    (first, _), *others = confirmation.finalists
    fewer = replace(confirmation, finalists=others, missing=[(first, "it needs pairs")])
    found = list(sentences(whole(record, confirmation, fewer)))
    assert found == [
        "no hidden task has both a gap and the best method: nothing is known of other tasks",
        "two-red was not confirmed on task1: it needs pairs",
    ]
    text = printed(whole(record, confirmation, fewer))
    cells = next(line for line in text.splitlines() if "two-red" in line).split("│")
    assert [cell.strip() for cell in cells[2:5]] == ["not run", "–", "–"]


@pytest.mark.parametrize("tasks", [0, 1])
def test_the_outcome_leads_with_hidden_tasks(record: Record, confirmation: Confirmation, tasks: int) -> None:
    text = StringIO()
    Console(file=text, width=140).print(outcome_table(whole(record, confirmation, *[confirmation] * tasks)))
    lead = text.getvalue().splitlines()[0]
    assert ("hidden tasks" in lead) == (tasks > 0)
