from collections.abc import Callable

import numpy as np
import pytest

from agents.findings.digest import standing, trial_line
from agents.findings.findings import Findings, TaskFinding, TrialFinding
from agents.findings.notebook import Notebook
from agents.findings.tasks import on_each, rank_correlation, task_lines
from agents.findings.tree.campaign import campaign_tree
from agents.findings.tree.tables import trials_csv

Make = Callable[..., Findings]
Tried = Callable[..., TrialFinding]


def floors(*names: str) -> tuple[TaskFinding, ...]:
    return tuple(TaskFinding(name=name, weak_acc=0.6, ceiling_acc=0.9) for name in names)


def trials(tried: Tried, *rows: tuple[float, ...]) -> tuple[TrialFinding, ...]:
    """A trial for each row, of its PGRs on the tasks a, b, c."""
    return tuple(
        tried(f"t{i}", float(np.mean(row)), on_tasks=tuple(zip("abc", row, strict=False)))
        for i, row in enumerate(rows)
    )


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([1, 2, 3, 4], [10, 20, 30, 90], 1.0),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0),
        ([1, 2, 3, 4, 5], [5, 6, 7, 8, 7], 0.8207826817),  # the worked example of scipy's spearmanr
        ([1, 1, 1], [1, 2, 3], 0.0),
    ],
)
def test_the_rank_correlation_is_spearman_s(first: list[float], second: list[float], expected: float) -> None:
    assert rank_correlation(np.array(first), np.array(second)) == pytest.approx(expected)


def test_two_tasks_have_their_correlation_and_the_trial_that_is_most_apart(
    campaign: Make, tried: Tried
) -> None:
    rows = [(i / 10, i / 10) for i in range(7)]
    found = campaign(tasks=floors("a", "b"), trials=trials(tried, *rows, (0.9, -0.2)))
    about, agreement = task_lines(found)
    assert about == (
        "A trial learns 2 tasks, with weak floor and ceiling of a from 0.600 to 0.900, b from 0.600 to "
        "0.900; its PGR over all of them is the mean of its PGRs."
    )
    # Ranks on b: the last trial's is 1, the others' move up by one: 1 - 6 · (7 · 1 + 49) / (8 · 63)
    assert agreement == (
        "Over 8 trials on all tasks, the rank correlation of methods between a and b is 0.33; most apart is "
        "t7 of a, +0.53 beside the mean trial on a and -0.44 on b."
    )
    assert agreement in standing(found)


def test_of_three_tasks_the_most_and_the_least_alike_are_named(campaign: Make, tried: Tried) -> None:
    rows = [(i / 10, i / 20, -i / 10) for i in range(8)]
    *_, agreement = task_lines(campaign(tasks=floors("a", "b", "c"), trials=trials(tried, *rows)))
    assert "two tasks is -0.33 on average, highest between a and b (1.00)" in agreement
    assert "lowest between a and c (-1.00)" in agreement


def test_few_trials_or_a_single_task_say_nothing_of_agreement(campaign: Make, tried: Tried) -> None:
    rows = trials(tried, *[(i / 10, i / 10) for i in range(7)])
    partly = tried("t9", None, on_tasks=(("a", 0.5),))
    assert len(list(task_lines(campaign(tasks=floors("a", "b"), trials=(*rows, partly))))) == 1
    assert list(task_lines(campaign(trials=rows))) == []


def test_a_line_of_a_trial_has_its_pgr_on_each(campaign: Make, tried: Tried) -> None:
    [trial] = trials(tried, (0.25, -0.5))
    assert on_each(trial) == "a 0.25, b -0.50"
    found = campaign(trials=(trial,), tasks=floors("a", "b"))
    assert "a 0.25, b -0.50" in trial_line(found, trial)
    assert '"a 0.25, b -0.50"' in trials_csv(found)
    assert "A trial learns 2 tasks" in str(campaign_tree(found, Notebook((), 1)).read("tasks/search.txt"))
    alone = tried("t1", 0.5)
    assert on_each(alone) == ""
    assert ", ," not in trial_line(campaign(), alone)
