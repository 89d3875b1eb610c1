"""What the figures are drawn from, by their sentences and the marks' own."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from search.config.schema import RunConfig
from search.ledger.record import Record
from search.output.report.charts import (
    BEST_BRANCHES,
    charts,
    losses_of,
    mean_losses,
    scored_trials,
)
from search.output.report.drawing import Figure
from tests.small_runs.synthetic import synthetic_run
from trainers.components.losses import LogConf
from trainers.components.optim import Adamw
from trainers.method import Method


def confirmed(pgr: float, low: float, high: float, **more: Any) -> dict[str, Any]:
    return {"pgr": pgr, "ci95": [low, high], "method": {}, "seeds": 2} | more


OUTCOME = {
    "naive": confirmed(0.2, 0.0, 0.4),
    "finalists": [
        confirmed(0.5, 0.3, 0.7, branch="one", over_naive=confirmed(0.3, 0.1, 0.5)),
        confirmed(0.1, -0.2, 0.4, branch="two", over_naive=confirmed(-0.1, -0.4, 0.2)),
    ],
}


def drawn(config: RunConfig, record: Record, outcome: Any = None) -> dict[str, Figure | None]:
    return charts(config, record, outcome, scored_trials(record))


def said(figure: Figure | None) -> list[str]:
    """What the marks of a figure say, in the order in which they are drawn."""
    assert figure is not None
    return re.findall(r'aria-label="(t\d[^"]*|r\d[^"]*|c\d[^"]*)"', figure.wide)


@pytest.fixture
def record(events: SimpleNamespace) -> Record:
    """Trials that completed, were pruned, failed and run, a replicate and a confirmation."""
    others = {"number": None, "seed": 10_001}
    return Record.of(
        [
            events.started("t1"),
            events.reached("t1", 1 / 3, 0.1),
            events.reached("t1", 1.0, 0.3),
            events.ended("t1"),
            events.started("t2", branch="two"),
            events.reached("t2", 1 / 3, -0.2),
            events.ended("t2", "pruned", "behind"),
            events.started("t3"),
            events.reached("t3", 1 / 3, 0.4),
            events.ended("t3", "failed", "Diverged"),
            events.started("t4"),
            events.started("t5"),
            events.reached("t5", 1.0, 0.5),
            events.ended("t5"),
            events.started("r1", purpose="replicate", **others),
            events.reached("r1", 1.0, 0.7),
            events.ended("r1"),
            events.started("c1", purpose="confirm", **others),
            events.reached("c1", 1.0, None),
            events.ended("c1"),
        ]
    )


def test_a_run_without_scores_has_no_figure(config: RunConfig, events: SimpleNamespace) -> None:
    assert set(drawn(config, Record.of([events.run_started()])).values()) == {None}
    assert set(drawn(config, Record.of([events.started("t1")])).values()) == {None}


def test_scored_are_the_trials_of_the_search_with_a_rung(record: Record) -> None:
    scored = [(trial.trial, pgr) for trial, pgr in scored_trials(record)]
    assert scored == [("t1", 0.3), ("t2", -0.2), ("t3", 0.4), ("t5", 0.5)]


def test_every_graded_trial_is_a_point_at_its_best_rung(config: RunConfig, record: Record) -> None:
    figure = drawn(config, record)["trials"]
    assert figure is not None
    assert (
        figure.alt
        == "PGR of 5 trials, each at its best rung, in the order they started; the best reaches 0.500"
    )
    assert said(figure) == [
        "t1, one: PGR 0.300 ± 0.100, completed",
        "t2, two: PGR -0.200 ± 0.100, pruned",
        "t3, one: PGR 0.400 ± 0.100, failed",
        "t5, one: PGR 0.500 ± 0.100, completed",
        "r1, one: PGR 0.700 ± 0.100, completed",
    ]
    with_outcome = drawn(config, record, OUTCOME)["trials"]
    assert with_outcome is not None
    assert (
        "naive (test split)" not in with_outcome.wide
    )  # its PGR on the test split has no place on this axis


@pytest.mark.parametrize("name", ["trials", "rungs"])
def test_naive_has_a_line_where_it_was_trained_for_the_search_split(
    config: RunConfig, events: SimpleNamespace, name: str
) -> None:
    told = [
        events.started("t1", method=Method(optim=Adamw(lr=1e-4))),
        events.reached("t1", 1.0, 0.3),
        events.started("r1", purpose="replicate", method=config.naive),
        events.reached("r1", 1.0, 0.2),
    ]
    figure = drawn(config, Record.of(told))[name]
    assert figure is not None
    assert "naive (search split)" in figure.wide
    assert "naive (search split)" in figure.narrow
    figure = drawn(config, Record.of(told[:2]))[name]
    assert figure is not None
    assert "naive (search split)" not in figure.wide


def test_without_a_trial_of_the_search_there_is_no_best(config: RunConfig, events: SimpleNamespace) -> None:
    told = [events.started("r1", purpose="replicate"), events.reached("r1", 1.0, 0.1)]
    figure = drawn(config, Record.of(told))["trials"]
    assert figure is not None
    assert figure.alt.endswith("in the order they started; none of the search has a score")


def test_a_failed_trial_has_no_curve(config: RunConfig, record: Record) -> None:
    figure = drawn(config, record)["rungs"]
    assert figure is not None
    assert figure.alt == (
        "PGR by share of training, a line a trial: 3 trials, 1 of them stopped early; "
        "1. the best so far stopped at 100%: t5, PGR 0.500 ± 0.100"
    )
    assert {text.partition(",")[0] for text in said(figure)} == {"t1", "t2", "t5"}


def test_parameters_that_differ_are_axes_of_the_best_branches(
    config: RunConfig, events: SimpleNamespace
) -> None:
    told = []
    for n in range(BEST_BRANCHES + 2):
        method = Method(loss=LogConf(aux=n / 10), optim=Adamw(lr=1e-3))
        told += [
            events.started(f"t{n}", branch=f"b{n}", method=method),
            events.reached(f"t{n}", 1.0, n / 10),
            events.ended(f"t{n}"),
        ]
    figure = drawn(config, Record.of(told))["parallel"]
    assert figure is not None
    assert figure.alt == "4 completed trials of the branches b5, b4, b3, b2, PGR 0.200 to 0.500"
    assert {text.partition(",")[0] for text in said(figure)} == {"t5", "t4", "t3", "t2"}
    assert ">loss.logconf.aux<" in figure.wide
    assert "optim.adamw.lr" not in figure.wide  # the same for all


def test_methods_that_do_not_differ_have_no_axes(config: RunConfig, record: Record) -> None:
    assert drawn(config, record)["parallel"] is None


@pytest.mark.slow
def test_importance_waits_for_enough_trials(tmp_path: Path) -> None:
    config, few = synthetic_run(tmp_path / "few", 24).load()
    assert drawn(config, few)["importance"] is None
    config, many = synthetic_run(tmp_path / "many", 60).load()
    figure = drawn(config, many)["importance"]
    assert figure is not None
    shares = [int(share) for share in re.findall(r"(\d+)% \(\d+% to \d+%\)", figure.alt)]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=len(shares))


def test_confirmed_methods_have_their_intervals_and_gains(config: RunConfig, record: Record) -> None:
    assert drawn(config, record)["finalists"] is None
    found = drawn(config, record, OUTCOME)
    finalists, gains = found["finalists"], found["gains"]
    assert finalists is not None
    assert finalists.alt == (
        "naive: PGR 0.200, 95% interval 0.000 to 0.400; "
        "1. one: PGR 0.500, 95% interval 0.300 to 0.700; "
        "2. two: PGR 0.100, 95% interval -0.200 to 0.400"
    )
    assert gains is not None
    assert gains.alt == (
        "1. one: over naive +0.300, 95% interval +0.100 to +0.500; "
        "2. two: over naive -0.100, 95% interval -0.400 to +0.200"
    )


def test_without_a_gap_on_the_test_split_there_is_no_figure_of_finalists(
    config: RunConfig, record: Record
) -> None:
    figures = drawn(config, record, {"naive": {"pgr": None}, "finalists": [{"pgr": None, "branch": "one"}]})
    assert figures["finalists"] is figures["gains"] is None
    assert figures["trials"] is not None


def test_losses_stand_in_the_middle_of_the_parts_they_are_means_of(events: SimpleNamespace) -> None:
    told = [
        events.started("t1"),
        events.reached("t1", 0.5, 0.1).model_copy(update={"losses": (0.8, 0.6)}),
        events.reached("t1", 1.0, 0.3).model_copy(update={"losses": (0.4,)}),
        events.started("t2"),
        events.reached("t2", 0.5, 0.1).model_copy(update={"losses": (1.0, 0.8)}),
    ]
    record = Record.of(told)
    assert list(losses_of(record.trials["t1"])) == [(0.125, 0.8), (0.375, 0.6), (0.75, 0.4)]
    both = mean_losses("naive", list(record.trials.values()))
    assert [(row["share"], row["loss"]) for row in both] == [(0.125, 0.9), (0.375, pytest.approx(0.7))]
    assert mean_losses("naive", []) == []


def test_the_losses_of_the_best_branches_are_drawn_and_those_of_finalists_in_the_end(
    config: RunConfig, events: SimpleNamespace
) -> None:
    best = Method(optim=Adamw(lr=1e-4))
    told = [events.started("t1", branch="one"), events.reached("t1", 1.0, 0.1, losses=(0.5, 0.4))]
    for name, method in (("c1", config.naive), ("c2", best)):
        told += [
            events.started(name, purpose="confirm", method=method),
            events.reached(name, 1.0, None, losses=(0.5, 0.4)),
        ]
    during = drawn(config, Record.of(told))["losses"]
    assert during is not None
    assert during.alt == "training loss of one"
    finalist = confirmed(0.5, 0.3, 0.7, branch="two", over_naive=confirmed(0.3, 0.1, 0.5))
    outcome = OUTCOME | {"finalists": [finalist | {"method": best.model_dump()}]}
    after = drawn(config, Record.of(told), outcome)["losses"]
    assert after is not None
    assert after.alt == "training loss of naive, 1. two"
    assert drawn(config, Record.of([told[0]]))["losses"] is None
