import json
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from agents.findings.round_proposal import LaneReport
from agents.findings.usage import Usage
from search.engine.confirmation import Confirmation
from search.ledger.events import (
    EarlierOpening,
    LaneAnswered,
    RequestReserved,
    RequestSettled,
    Resumed,
    Sources,
    TestOpened,
)
from search.ledger.record import Record
from search.ledger.steered import Steered
from search.output.openings import openings_text
from search.output.outcome_table import outcome_table
from search.output.result import result, write_result
from tests.search.output.conftest import BASELINES, on_task
from trainers.components.optim import Adamw
from trainers.method import Method


def test_it_has_the_keys_that_tools_read(outcome: dict[str, Any]) -> None:
    one = {"method", "accuracy", "accuracy_se", "pgr", "se", "ci95", "seeds", "split"}
    one |= {"per_seed", "worst_seed", "collapses"}
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
        "phases",
        "cost",
        "agent",
        "grader_queries",
        "test_openings",
        "test_split",
        "steered",
        "sources",
        "code",
        "hidden",
        "tasks",
        "objective",
        "from_runs",
    }
    floors = {"weak_acc", "weak_se", "ceiling_acc", "ceiling_se", "gap", "gap_se", "seeds", "majority"}
    assert outcome["baselines"].keys() == floors | {"weak_per_seed", "ceiling_per_seed"}
    assert outcome["naive"].keys() == one | {"search_pgr"}
    assert outcome["best"].keys() == one | {
        "branch",
        "trial",
        "search_pgr",
        "search_over_naive",
        "over_naive",
        "beats_naive_p",
        "sign_flip",
    }
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
        "majority": 0.55,
        "seeds": 5,
        "weak_per_seed": [0.6, 0.62],
        "ceiling_per_seed": [0.9, 0.92],
    }
    assert outcome["trials"] == {"completed": 2, "pruned": 1, "failed": 1}
    assert outcome["phases"] == {
        "search": {"started": 3, "completed": 1, "pruned": 1, "failed": 1},
        "replication": {"started": 0, "completed": 0, "pruned": 0, "failed": 0},
        "confirmation": {"started": 1, "completed": 1, "pruned": 0, "failed": 0},
        "hidden tasks": {"started": 0, "completed": 0, "pruned": 0, "failed": 0},
    }
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


def test_seeds_stand_beside_their_mean(outcome: dict[str, Any]) -> None:
    best = outcome["best"]
    assert (best["accuracy"], best["accuracy_se"]) == (pytest.approx(0.76), 0.03)
    assert [seed["seed"] for seed in best["per_seed"]] == [40, 41, 42, 43, 44]
    assert best["worst_seed"] == best["per_seed"][3]
    assert best["worst_seed"] == {
        "seed": 43,
        "supervisor": 6,
        "accuracy": pytest.approx(0.61 - 0.3 * 0.3),
        "pgr": pytest.approx(-0.3),
        "over_naive": pytest.approx(-0.5),
    }
    # One of five, one-sided 95%: a rate of .6574 gives at most one in 5% of all cases.
    rate = pytest.approx(0.6574, abs=1e-4)
    assert best["collapses"] == {"count": 1, "below_pgr": pytest.approx(0.1), "rate_upper95": rate}
    assert best["sign_flip"] == {"p": 0.0625, "smallest_p": 0.03125, "units": 5}
    assert "predictions" not in best


def test_predictions_stand_there_where_asked(record: Record, confirmation: Confirmation) -> None:
    naive = replace(confirmation.naive, predictions=("ff", "f0"))
    assert result(record, on_task(replace(confirmation, naive=naive)))["naive"]["predictions"] == [
        "ff",
        "f0",
    ]


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
    outcome = result(record, on_task(confirmation))
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
    outcome = result(record, on_task(confirmation))
    assert (outcome["cost"]["usd"], outcome["cost"]["unanswered_usd"]) == (0.75, 0.5)
    assert outcome["agent"]["lanes"][0]["usd"] == 0.75
    output = StringIO()
    Console(file=output, width=200).print(outcome_table(outcome))
    assert "agent: 0.7500 dollars (0.5000 of them reserved for answers that never came)" in output.getvalue()


def test_without_a_gap_there_is_no_pgr_and_the_table_says_so(
    record: Record, confirmation: Confirmation
) -> None:
    [(finalist, best)] = confirmation.finalists
    without = {"pgr": None, "gain": None, "collapses": None}
    found = Confirmation(
        naive=replace(confirmation.naive, **without), finalists=[(finalist, replace(best, **without))]
    )
    outcome = result(record, on_task(found, baselines=replace(BASELINES, gap=-0.1)))
    assert json.loads(json.dumps(outcome))["best"]["over_naive"] == {
        "accuracy": pytest.approx(0.09),
        "accuracy_se": 0.03,
        **dict.fromkeys(("pgr", "se", "ci95")),
    }
    assert outcome["best"]["collapses"] is None
    # Student's t with 4 degrees of freedom: above 3, 0.01997.
    assert outcome["best"]["beats_naive_p"] == pytest.approx(0.01997, abs=1e-4)
    out = StringIO()
    Console(file=out, width=160).print(outcome_table(outcome))
    shown = out.getvalue()
    assert "there is no gap to recover on the test split, so no PGR: accuracies are compared" in shown
    [row] = [line.split() for line in shown.splitlines() if "two-red" in line]
    assert {"0.7600", "0.0300", "+0.0900", "0.02", "0.062", "0.600", "5"} <= set(row)
    assert "The best: the exact sign-flip p of 5 seeds is never below 0.031" in shown


def test_it_names_data_weights_code_and_openings_and_keeps_the_salt(
    record: Record, confirmation: Confirmation, events: SimpleNamespace
) -> None:
    assert result(record, on_task(confirmation))["sources"] is None  # of an earlier version
    found = Sources(salt="5a17", digests={"test.truth": "d1"}, commits={"task": "c1"})
    code = {"commit": "abc", "torch": "1"}
    record.apply(events.run_started(sources=found, code=code))
    assert record.started is not None
    own = record.started.id
    earlier = (
        EarlierOpening(run="before", id="b", at=1.0, shared=7),
        EarlierOpening(run="unit", id=own, at=2.0, shared=9),
    )
    record.apply(Resumed(code=code))
    record.apply(Resumed(code=code | {"torch": "2"}))
    record.apply(TestOpened(at=125.0, queries=2, digest="d2", examples=9, earlier=earlier))
    outcome = result(record, on_task(confirmation))
    assert outcome["sources"] == {"digests": {"test.truth": "d1"}, "commits": {"task": "c1"}}
    assert "5a17" not in json.dumps(outcome)
    assert outcome["code"] == [code, code | {"torch": "2"}]
    assert outcome["test_split"] == {
        "digest": "d2",
        "opened": 3,
        "by": [
            {"run": "before", "id": "b", "at": 1.0, "shared": 7},
            {"run": "unit", "id": own, "at": 2.0, "shared": 9},
            {"run": "unit", "id": own, "at": 125.0, "shared": 9},
        ],
    }
    out = StringIO()
    Console(file=out, width=160).print(outcome_table(outcome))
    assert "the test split has been opened 3 times, by before, unit (2 times)" in out.getvalue()


def test_runs_in_folders_of_one_name_are_told_apart() -> None:
    by = [{"run": "demo", "id": one} for one in ("a", "b", "a")]
    text = openings_text({"test_split": {"opened": 3, "by": by}})
    assert text == "the test split has been opened 3 times, by demo [a] (2 times), demo [b]"
    earlier = [{"run": "demo"}, {"run": "demo", "id": "a"}]  # an earlier version named no id
    assert openings_text({"test_split": {"opened": 2, "by": earlier}}).endswith("by demo (2 times)")


def test_an_extension_after_the_test_split_was_opened_is_said_everywhere(
    record: Record, confirmation: Confirmation
) -> None:
    active_s = record.active_s
    record.apply(
        Steered(
            at=900.0,
            by="resume",
            settings={"search.trials": 20, "confirm.supervisors": 5},
            implied=("confirm.supervisors",),
            config_sha256="c1",
        )
    )
    earlier = (EarlierOpening(run="unit", at=125.0, shared=9),)
    for event in (Resumed(at=901.0), TestOpened(at=902.0, queries=2, examples=9, earlier=earlier)):
        record.apply(event)
    outcome = result(record, on_task(confirmation))
    assert outcome["steered"] == [
        {
            "at": 900.0,
            "by": "resume",
            "settings": {"search.trials": 20, "confirm.supervisors": 5},
            "implied": ["confirm.supervisors"],
            "said": ["search.trials is now 20"],
            "after_opening": True,
        }
    ]
    assert (outcome["config_sha256"], outcome["test_openings"]) == ("c1", 2)
    assert outcome["cost"]["wall_s"] == active_s + 1.0  # nobody worked on it in between
    out = StringIO()
    Console(file=out, width=200).print(outcome_table(outcome))
    assert "opened 2 times, by unit (2 times); the run was extended (search.trials)" in out.getvalue()
