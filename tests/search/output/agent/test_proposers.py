from io import StringIO
from typing import Any

from rich.console import Console

from agents.findings.review import Review
from agents.findings.round_proposal import LaneReport, ModelRefusal, Source
from search.config.schema import RunConfig
from search.engine.confirmation import Confirmation
from search.ledger.events import LaneAnswered
from search.ledger.record import Record
from search.output.agent.proposers import agent_row, not_the_agents
from search.output.outcome_table import outcome_table
from search.output.report.facts import headline
from search.output.result import result
from tests.search.output.conftest import on_task

DECLINED = ModelRefusal(model="claude-opus-5-5", category="frontier_llm", explanation="competing models")


def answered(record: Record, number: int, lane: str, source: Source, *branches: str, **more: Any) -> None:
    report = LaneReport(lane=lane, direction="", source=source, branches=branches, **more)
    record.apply(LaneAnswered(at=126.0, round=number, lane=report))


def refused(record: Record, number: int) -> None:
    """A round in which a lane was declined twice, and the playbook proposed."""
    answered(record, number, "1", "claude", refusals=(DECLINED, DECLINED), why="every model declined")
    answered(record, number, "playbook", "playbook", "a", why="every model declined")


def test_every_round_says_who_proposed_it() -> None:
    record = Record()
    assert agent_row(record)["rounds"] == []
    refused(record, 1)
    answered(record, 2, "1", "claude", "b", model="claude-opus-4-8", refusals=(DECLINED,))
    answered(record, 2, "2", "claude", why="the budget is spent")
    answered(record, 3, "1", "claude", why="the search ended before this answer came")
    first, second, third = agent_row(record)["rounds"]
    assert (first["by"], first["models"], first["refusals"]) == (["playbook"], [], {"frontier_llm": 2})
    assert (second["by"], second["models"]) == (["claude"], ["claude-opus-4-8"])
    assert (second["refusals"], second["why"]) == ({"frontier_llm": 1}, "the budget is spent")
    assert third["by"] == []
    kept = agent_row(record)["lanes"][0]["refusals"][0]
    assert (kept["category"], kept["explanation"]) == ("frontier_llm", "competing models")


def test_draws_and_reviews_are_no_rounds_of_their_own() -> None:
    record = Record()
    said = Review(branch="a", differs=False, holds=True, refuted_by="no gain", why="I looked.")
    answered(record, 1, "1", "claude", "b", model="claude-opus-5-5")
    answered(record, 1, "critic-1", "claude", model="claude-sonnet-5-5", reviews=(said,))
    answered(record, 1, "draws-1", "claude", model="claude-haiku-5-5", refusals=(DECLINED,))
    record.agent_draws = 3
    row = agent_row(record)
    [only] = row["rounds"]
    assert (only["models"], only["refusals"]) == (["claude-opus-5-5"], {"frontier_llm": 1})
    assert row["draws"] == 3
    assert [[review["branch"] for review in lane["reviews"]] for lane in row["lanes"]] == [[], ["a"], []]


def test_a_run_without_a_round_of_the_agents_says_so_and_why() -> None:
    record = Record()
    assert not_the_agents(agent_row(record)) == ""  # no agent was asked
    refused(record, 1)
    refused(record, 2)
    said = "No round of this run was the agent's; the playbook proposed all 2: its models declined to answer"
    assert not_the_agents(agent_row(record)) == f"{said} (frontier_llm 4)."
    answered(record, 3, "1", "replay", "b")
    assert not_the_agents(agent_row(record)) == ""


def test_a_run_whose_money_was_gone_from_the_start_says_so() -> None:
    record = Record()
    answered(record, 1, "1", "claude", why="the budget is spent", budget_spent=True)
    answered(record, 1, "playbook", "playbook", "a", why="the budget is spent", budget_spent=True)
    assert not_the_agents(agent_row(record)).endswith("the playbook proposed all 1: the budget is spent.")


def test_it_is_the_first_line_of_the_outcome_and_of_the_report(
    record: Record, confirmation: Confirmation, config: RunConfig
) -> None:
    refused(record, 1)
    outcome = result(record, on_task(confirmation))
    output = StringIO()
    Console(file=output, width=200).print(outcome_table(outcome))
    first, *rest = output.getvalue().splitlines()
    assert first.startswith("No round of this run was the agent's")
    assert any("models declined to answer 2 times" in line for line in rest)
    assert headline(config, record, outcome).startswith("No round of this run was the agent's")
