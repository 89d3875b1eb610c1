from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from search.engine.confirmation import Confirmation
from search.ledger.record import Record
from search.output.outcome_table import outcome_table
from search.output.result import result
from search.scoring.pgr import Estimate
from tests.search.output.conftest import on_task


def test_the_table_shows_finalists_beside_naive(outcome: dict[str, Any], confirmation: Confirmation) -> None:
    out = StringIO()
    Console(file=out, width=160).print(outcome_table(outcome))
    shown = out.getvalue()
    [naive] = [line.split() for line in shown.splitlines() if "naive" in line.split()[:2]]
    [best] = [line.split() for line in shown.splitlines() if "two-red" in line]
    assert {"0.200", "0.100", "5"} <= set(naive)
    assert {"0.500", "0.100", "0.222", "0.778", "+0.300", "0.02", "0.600", "5"} <= set(best)
    assert {"0.760", "0.062", "-0.300", "1"} <= set(best)  # accuracy, sign-flip p, worst seed, collapses
    assert "The best: collapsed on 1 of 5 seeds (PGR below 0.10); up to 66% of seeds may collapse" in shown
    assert "the exact sign-flip p of 5 seeds is never below 0.031" in shown
    assert (
        "4 trials (3 of the search, 1 of the confirmation): 2 completed, 1 pruned, 1 failed; branches: 2, "
        in shown
    )
    assert "26 s, 56 s of training, 12 s saved by pruning" in shown
    assert "weak floor 0.6100 ± 0.0200 (the larger class 0.5500), ceiling 0.9100 ± 0.0100" in shown


def test_every_number_stands_whole_in_eighty_columns(outcome: dict[str, Any]) -> None:
    out = StringIO()
    Console(file=out, width=80).print(outcome_table(outcome))
    shown = out.getvalue()
    assert max(map(len, shown.splitlines())) <= 80
    assert "…" not in shown
    [first, rest] = [line.split() for line in shown.splitlines() if "two-red" in line]
    assert first == ["two-red", "0.760", "0.500", "0.222", "to", "0.778", "+0.300", "0.02"]
    assert rest == ["two-red", "0.100", "0.062", "0.600", "-0.300", "1", "of", "5"]


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        (0.3, "the best beats the naive baseline (p = 0.02)"),
        (-0.3, "the best is not shown to beat the naive baseline (p = 0.98): keep to naive, or search on"),
    ],
)
def test_it_says_whether_the_best_is_worth_having(
    record: Record, confirmation: Confirmation, gain: float, said: str
) -> None:
    [(finalist, confirmed)] = confirmation.finalists
    changed = replace(confirmed, gain=Estimate(value=gain, se=0.1, df=4))
    confirmation = replace(confirmation, finalists=[(finalist, changed)])
    out = StringIO()
    Console(file=out, width=160).print(outcome_table(result(record, on_task(confirmation))))
    assert said in out.getvalue()


@pytest.mark.parametrize(
    ("best", "other", "said"),
    [
        (-0.05, 0.416, True),
        (-0.05, 0.02, False),  # it is not shown to beat naive either
        (0.3, 0.416, False),  # nor does it matter where the best is
    ],
)
def test_another_finalist_that_did_better_is_said_not_to_be_chosen_beforehand(
    record: Record, confirmation: Confirmation, best: float, other: float, said: bool
) -> None:
    [(finalist, confirmed)] = confirmation.finalists
    named = replace(confirmed, gain=Estimate(value=best, se=0.1, df=4))
    another = replace(confirmed, gain=Estimate(value=other, se=0.1, df=4))
    second = replace(finalist, trial=record.trials["t3"])
    assert finalist.trial.branch != second.trial.branch
    both = replace(confirmation, finalists=[(finalist, named), (second, another)])
    out = StringIO()
    Console(file=out, width=300).print(outcome_table(result(record, on_task(both))))
    shown = out.getvalue()
    first = "the best, named on the search split, is not shown to beat the naive baseline (p = 0.68)\n"
    later = (
        f"{second.trial.branch} did better on the test split (+0.416 over naive, p = 0.0071), but was not "
        "chosen beforehand, and its p is not corrected for 2 finalists"
    )
    assert (first in shown, later in shown) == (said, said)
    assert ("keep to naive, or search on" in shown) == (best < 0 and not said)
