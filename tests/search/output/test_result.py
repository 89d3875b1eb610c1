import json
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from agents.findings.round_proposal import LaneReport
from agents.findings.usage import Usage
from agents.language.proposal import Branch, Proposal
from search.engine.confirmation import Confirmation, Confirmed, Finalist
from search.ledger.events import (
    EarlierOpening,
    Finished,
    Interrupted,
    LaneAnswered,
    Proposed,
    RequestReserved,
    RequestSettled,
    Resumed,
    Sources,
    TestOpened,
)
from search.ledger.record import Record
from search.output.result import outcome_table, result, write_result
from search.scoring.grader import BaselineScores
from search.scoring.pgr import Estimate, SeedVariance
from trainers.components.optim import Adamw
from trainers.method import Method

BASELINES = BaselineScores(
    weak=Estimate(value=0.61, se=0.02, df=4),
    ceiling=Estimate(value=0.91, se=0.01, df=4),
    gap=0.3,
    gap_se=0.02,
    seed_variance=SeedVariance(value=0.01, free=8),
)


@pytest.fixture
def record(events: SimpleNamespace, branch: Callable[..., Branch]) -> Record:
    """Two branches in a round, one trial of each end, a pause, a confirmation of one seed."""
    branches = (branch("one"), branch("two[red]"))
    return Record.of(
        [
            events.run_started(at=0.0),
            events.baselines(at=10.0, train_s=40.0),
            Proposed(at=10.0, round=1, proposal=Proposal(branches=branches, rationale=""), seconds=0.0),
            events.started("t1", at=10.0, branch="two-red"),
            events.reached("t1", 1 / 3, 0.3, at=12.0),  # 4 s of training and evaluation a rung
            events.reached("t1", 1.0, 0.6, at=14.0),
            events.ended("t1", at=14.0),
            events.started("t2", at=14.0),
            events.reached("t2", 1 / 4, -0.3, at=15.0),
            events.ended("t2", "pruned", "PGR -0.3", at=15.0),
            events.started("t3", at=15.0),
            events.ended("t3", "failed", "nan", at=16.0),
            Interrupted(at=20.0),
            Resumed(at=120.0),
            events.started("c1", at=120.0, purpose="confirm"),
            events.reached("c1", 1.0, None, at=125.0),
            events.ended("c1", at=125.0),
            TestOpened(at=125.0, queries=2),
            Finished(at=126.0),
        ]
    )


@pytest.fixture
def confirmation(record: Record) -> Confirmation:
    def confirmed(value: float, gain: float, lr: float) -> Confirmed:
        return Confirmed(
            method=Method(optim=Adamw(lr=lr)),
            accuracy=Estimate(value=0.61 + 0.3 * value, se=0.03, df=4),
            accuracy_gain=Estimate(value=0.3 * gain, se=0.03, df=4),
            pgr=Estimate(value=value, se=0.1, df=4),
            gain=Estimate(value=gain, se=0.1, df=4),
            seeds=5,
        )

    return Confirmation(
        naive=confirmed(0.2, 0.0, 1e-3),
        finalists=[
            (Finalist(trial=record.trials["t1"], method=Method(), search_pgr=0.6), confirmed(0.5, 0.3, 2e-3))
        ],
    )


@pytest.fixture
def outcome(record: Record, confirmation: Confirmation) -> dict[str, Any]:
    return result(record, confirmation, BASELINES)


def test_it_has_the_keys_that_tools_read(outcome: dict[str, Any]) -> None:
    one = {"method", "accuracy", "accuracy_se", "pgr", "se", "ci95", "seeds", "split"}
    assert outcome.keys() == {
        "schema",
        "run",
        "config_sha256",
        "commit",
        "baselines",
        "data",
        "naive",
        "best",
        "finalists",
        "rounds",
        "branches",
        "trials",
        "cost",
        "agent",
        "grader_queries",
        "test_openings",
        "test_split",
        "sources",
        "code",
    }
    floors = {"weak_acc", "weak_se", "ceiling_acc", "ceiling_se", "gap", "gap_se", "seeds"}
    assert outcome["baselines"].keys() == floors
    assert outcome["naive"].keys() == one
    assert outcome["best"].keys() == one | {"branch", "search_pgr", "over_naive", "beats_naive_p"}
    assert outcome["cost"].keys() == {
        "wall_s",
        "train_s",
        "saved_by_pruning_s",
        "usd",
        "unanswered_usd",
        "input_tokens",
        "output_tokens",
    }
    assert outcome["schema"] == 1


def test_it_says_what_happened(outcome: dict[str, Any]) -> None:
    assert (outcome["run"], outcome["config_sha256"], outcome["commit"]) == ("unit", "c0", "abc")
    assert outcome["baselines"] == {
        "weak_acc": 0.61,
        "weak_se": 0.02,
        "ceiling_acc": 0.91,
        "ceiling_se": 0.01,
        "gap": 0.3,
        "gap_se": 0.02,
        "seeds": 5,
    }
    assert outcome["trials"] == {"completed": 1, "pruned": 1, "failed": 1}
    assert (outcome["rounds"], outcome["branches"]) == (1, 2)
    assert outcome["grader_queries"] == {"search": 3, "test": 2}


def test_best_is_the_first_finalist(outcome: dict[str, Any]) -> None:
    best = outcome["best"]
    assert best == outcome["finalists"][0]
    assert (best["pgr"], best["se"], best["seeds"], best["split"]) == (0.5, 0.1, 5, "test")
    assert (best["branch"], best["search_pgr"]) == ("two-red", 0.6)
    # Student's t with 4 degrees of freedom: 97.5% at 2.776; above 3, 0.01997.
    assert best["ci95"] == pytest.approx([0.5 - 0.2776, 0.5 + 0.2776], abs=1e-4)
    assert (best["over_naive"]["pgr"], best["over_naive"]["se"]) == (0.3, 0.1)
    assert best["over_naive"]["ci95"] == pytest.approx([0.3 - 0.2776, 0.3 + 0.2776], abs=1e-4)
    assert best["beats_naive_p"] == pytest.approx(0.01997, abs=1e-4)
    assert Method.model_validate(best["method"]) == Method(optim=Adamw(lr=2e-3))


def test_the_cost_counts_all_training_and_no_pause(outcome: dict[str, Any]) -> None:
    assert outcome["cost"]["wall_s"] == 20 + 6
    assert outcome["cost"]["train_s"] == 40 + 2 * 4 + 4 + 0 + 4
    # The pruned trial took 4 s for a quarter of its training; the other three quarters were saved.
    assert outcome["cost"]["saved_by_pruning_s"] == pytest.approx(12)


def test_it_is_plain_json_that_every_reader_takes(outcome: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("an older one")
    write_result(path, outcome)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    assert json.loads(path.read_text(), parse_constant=refuse) == json.loads(json.dumps(outcome))
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


def test_the_table_shows_finalists_beside_naive(outcome: dict[str, Any], confirmation: Confirmation) -> None:
    out = StringIO()
    Console(file=out, width=160).print(outcome_table(outcome))
    shown = out.getvalue()
    [naive] = [line.split() for line in shown.splitlines() if "naive" in line.split()[:2]]
    [best] = [line.split() for line in shown.splitlines() if "two-red" in line]
    assert {"0.200", "0.100", "5"} <= set(naive)
    assert {"0.500", "0.100", "0.222", "0.778", "+0.300", "0.02", "0.600", "5"} <= set(best)
    assert "3 trials (1 completed, 1 pruned, 1 failed) of 2 branches in 1 rounds" in shown
    assert "26 s, 56 s of training, 12 s saved by pruning" in shown


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
    Console(file=out, width=160).print(outcome_table(result(record, confirmation, BASELINES)))
    assert said in out.getvalue()


def test_it_says_what_the_agent_cost_by_round_and_lane(record: Record, confirmation: Confirmation) -> None:
    usage = Usage(requests=1, input_tokens=10, cache_write_tokens=20, cache_read_tokens=70, output_tokens=5)
    for number, lane, usd, spent in ((1, "1", 0.25, False), (1, "2", 0.5, False), (2, "playbook", 0.0, True)):
        report = LaneReport(
            lane=lane,
            direction="west",
            source="playbook" if spent else "claude",
            branches=("one",),
            refused=("no",),
            usage=usage.model_copy(update={"usd": usd}) if usd else Usage(),
            budget_spent=spent,
        )
        record.apply(LaneAnswered(at=126.0, round=number, lane=report))
    outcome = result(record, confirmation, BASELINES)
    cost = outcome["cost"]
    assert (cost["usd"], cost["input_tokens"], cost["output_tokens"]) == (0.75, 200, 10)
    agent = outcome["agent"]
    assert agent["families"] == {"loss": 1.0}
    assert (agent["entropy_bits"], agent["budget_spent"]) == (0.0, True)
    assert [(row["round"], row["lane"], row["usd"]) for row in agent["lanes"]] == [
        (1, "1", 0.25),
        (1, "2", 0.5),
        (2, "playbook", 0.0),
    ]
    assert (agent["lanes"][0]["cache_read_tokens"], agent["lanes"][0]["refused"]) == (70, 1)
    output = StringIO()
    Console(file=output, width=200).print(outcome_table(outcome))
    assert "agent: 0.7500 dollars, 200 tokens in, 10 out" in output.getvalue()
    assert "the playbook stood in for 1 rounds (the budget was spent)" in output.getvalue()


def test_it_counts_requests_that_were_never_answered(record: Record, confirmation: Confirmation) -> None:
    lane = LaneReport(lane="1", direction="", source="claude", branches=("one",), usage=Usage(usd=0.25))
    record.apply(LaneAnswered(at=126.0, round=1, lane=lane))
    for request in (1, 2):
        record.apply(RequestReserved(at=126.0, request=request, round=1, lane="1", usd=0.5))
    record.apply(RequestSettled(at=126.0, request=1, usage=Usage(requests=1, output_tokens=7, usd=0.25)))
    outcome = result(record, confirmation, BASELINES)
    assert (outcome["cost"]["usd"], outcome["cost"]["unanswered_usd"]) == (0.75, 0.5)
    assert outcome["agent"]["lanes"][0]["usd"] == 0.75
    output = StringIO()
    Console(file=output, width=200).print(outcome_table(outcome))
    assert "agent: 0.7500 dollars (0.5000 of them reserved for answers that never came)" in output.getvalue()


def test_without_a_gap_there_is_no_pgr_and_the_table_says_so(
    record: Record, confirmation: Confirmation
) -> None:
    [(finalist, best)] = confirmation.finalists
    without = {"pgr": None, "gain": None}
    outcome = result(
        record,
        Confirmation(
            naive=replace(confirmation.naive, **without), finalists=[(finalist, replace(best, **without))]
        ),
        replace(BASELINES, gap=-0.1),
    )
    assert json.loads(json.dumps(outcome))["best"]["over_naive"] == {
        "accuracy": pytest.approx(0.09),
        "accuracy_se": 0.03,
        **dict.fromkeys(("pgr", "se", "ci95")),
    }
    # Student's t with 4 degrees of freedom: above 3, 0.01997.
    assert outcome["best"]["beats_naive_p"] == pytest.approx(0.01997, abs=1e-4)
    out = StringIO()
    Console(file=out, width=160).print(outcome_table(outcome))
    shown = out.getvalue()
    assert "there is no gap to recover on the test split, so no PGR: accuracies are compared" in shown
    [row] = [line.split() for line in shown.splitlines() if "two-red" in line]
    assert {"0.7600", "0.0300", "+0.0900", "0.02", "0.600", "5"} <= set(row)


def test_it_names_data_weights_code_and_openings_and_keeps_the_salt(
    record: Record, confirmation: Confirmation, events: SimpleNamespace
) -> None:
    assert result(record, confirmation, BASELINES)["sources"] is None  # of an earlier version
    found = Sources(salt="5a17", digests={"test.truth": "d1"}, commits={"task": "c1"})
    code = {"commit": "abc", "torch": "1"}
    earlier = (EarlierOpening(run="before", at=1.0, shared=7), EarlierOpening(run="unit", at=2.0, shared=9))
    record.apply(events.run_started(sources=found, code=code))
    record.apply(Resumed(code=code))
    record.apply(Resumed(code=code | {"torch": "2"}))
    record.apply(TestOpened(at=125.0, queries=2, digest="d2", examples=9, earlier=earlier))
    outcome = result(record, confirmation, BASELINES)
    assert outcome["sources"] == {"digests": {"test.truth": "d1"}, "commits": {"task": "c1"}}
    assert "5a17" not in json.dumps(outcome)
    assert outcome["code"] == [code, code | {"torch": "2"}]
    assert outcome["test_split"] == {
        "digest": "d2",
        "opened": 3,
        "by": [
            {"run": "before", "at": 1.0, "shared": 7},
            {"run": "unit", "at": 2.0, "shared": 9},
            {"run": "unit", "at": 125.0, "shared": 9},
        ],
    }
    out = StringIO()
    Console(file=out, width=160).print(outcome_table(outcome))
    assert "the test split has been opened 3 times, by before, unit (2 times)" in out.getvalue()
