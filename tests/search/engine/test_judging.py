"""Scores and findings, live and after a restart, with a grader in this process."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from agents.findings.predictions import pack
from search.config.schema import RunConfig
from search.engine.context import RunContext
from search.engine.judging import Judging
from search.ledger.events import AnyEvent, BaselinesReady, Purpose, RungReached, RunStarted, TrialStarted
from search.ledger.log import Ledger, read_ledger
from search.ledger.record import Record
from search.scoring.grader import BaselinePredictions, Grader
from tests.search.engine.conftest import GAP, N_SEARCH, SEARCH_TRUTH, answers
from trainers.method import Method


def split() -> tuple[np.ndarray, BaselinePredictions]:
    weak, ceiling = (np.stack([answers(SEARCH_TRUTH, pgr)] * 5) for pgr in (0, 1))
    return SEARCH_TRUTH, BaselinePredictions(weak=weak, ceiling=ceiling)


@pytest.fixture
def context(tmp_path: Path, config: RunConfig) -> Iterator[RunContext]:
    record = Record()
    ledger = Ledger(tmp_path / "ledger.jsonl", record.apply)
    ledger.append(RunStarted(run="unit", config_sha256="c", commit="c"))
    ledger.append(BaselinesReady(weak_acc=0.5, weak_se=0, ceiling_acc=1, ceiling_se=0, seeds=5, train_s=0))
    yield RunContext(
        config=config,
        directory=tmp_path,
        ledger=ledger,
        record=record,
        grader=Grader(split(), split()),
        gap=GAP,
        search_size=N_SEARCH,
    )
    ledger.close()


def started(trial: str, purpose: Purpose = "search") -> TrialStarted:
    return TrialStarted(trial=trial, purpose=purpose, branch="b", number=None, method=Method(), seed=1)


def rung(trial: str, pgr: float, share: float = 1 / 3) -> RungReached:
    predictions = pack(answers(SEARCH_TRUTH, pgr))
    return RungReached(
        trial=trial, share=share, predictions=predictions, pgr=pgr, setup_s=0, train_s=1, eval_s=0
    )


def search(context: RunContext, judging: Judging, pgrs: list[float]) -> None:
    """One trial after the other reaches the first rung."""
    for number, pgr in enumerate(pgrs):
        context.ledger.append(started(f"t{number}"))
        reached = rung(f"t{number}", pgr)
        assert judging.grade(reached).pgr == pytest.approx(pgr)
        context.ledger.append(reached)


def test_a_trial_far_behind_its_rivals_is_to_stop(context: RunContext) -> None:
    judging = Judging(context)
    context.ledger.listen(judging.apply)
    assert not judging.any_rung_reached
    search(context, judging, [0.9, 0.8, 0.85, 0.1])
    assert judging.any_rung_reached
    assert [judging.judgement(f"t{n}").decision for n in range(4)] == ["pause", "pause", "pause", "stop"]
    assert [judging.judgement(f"t{n}").rivals for n in range(4)] == [0, 1, 2, 3]


def test_after_a_restart_the_judgements_are_the_same(context: RunContext, tmp_path: Path) -> None:
    live = Judging(context)
    context.ledger.listen(live.apply)
    search(context, live, [0.9, 0.8, 0.85, 0.1, 0.84])
    past: list[AnyEvent] = read_ledger(tmp_path / "ledger.jsonl")
    replayed = Judging(context)
    replayed.regrade(past)
    for event in past:
        replayed.apply(event)
    assert [replayed.judgement(f"t{n}") for n in range(5)] == [live.judgement(f"t{n}") for n in range(5)]


@pytest.mark.parametrize("purpose", ["replicate", "confirm"])
def test_only_trials_of_the_search_are_judged(context: RunContext, purpose: Purpose) -> None:
    judging = Judging(context)
    context.ledger.listen(judging.apply)
    context.ledger.append(started("r1", purpose))
    reached = rung("r1", 0.5, share=1.0)
    if purpose == "replicate":
        judging.grade(reached)
    context.ledger.append(reached)
    assert not judging.any_rung_reached


def test_scores_that_the_grader_does_not_give_again_are_told(
    context: RunContext, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    live = Judging(context)
    context.ledger.listen(live.apply)
    for number, pgr in enumerate([0.9, 0.8, 0.85]):
        context.ledger.append(started(f"t{number}"))
        score = live.grade(rung(f"t{number}", pgr))
        told = {"accuracy": score.accuracy, "pgr": score.pgr, "se": score.se}
        context.ledger.append(rung(f"t{number}", pgr).model_copy(update=told))
    past: list[AnyEvent] = read_ledger(tmp_path / "ledger.jsonl")
    with caplog.at_level(logging.WARNING):
        Judging(context).regrade(past)
        assert caplog.text == ""
        last = past[-1]
        assert isinstance(last, RungReached)
        Judging(context).regrade([*past[:-1], last.model_copy(update={"pgr": 0.7})])
    [line] = caplog.messages
    assert "1 of 3 recorded scores are not what the grader gives now, the first of trial t2 at 0.33" in line
    assert "PGR 0.700000 ± " in line
