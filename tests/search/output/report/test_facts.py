from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from agents.findings.round_proposal import LaneReport
from agents.findings.usage import Usage
from agents.language.proposal import Branch, Proposal
from search.config.schema import RunConfig
from search.ledger.events import (
    AnyEvent,
    Finished,
    Interrupted,
    LaneAnswered,
    Proposed,
    Resumed,
    Sources,
    TaskBaselines,
)
from search.ledger.record import Record
from search.output.report.facts import (
    LONGEST,
    costs,
    failures,
    family_tree,
    headline,
    last_at,
    lost_data,
    short,
    sources,
    tiles,
    when,
)
from trainers.data.counts import DataCounts, FileCounts


def outcome(pgr: float, p: float) -> dict[str, Any]:
    best = {"branch": "one", "pgr": pgr, "se": 0.05, "ci95": [pgr - 0.1, pgr + 0.1], "seeds": 5}
    naive = {"pgr": 0.2, "se": 0.03, "ci95": [0.1, 0.3], "seeds": 5}
    over = {"pgr": pgr - 0.2, "se": 0.04, "ci95": [pgr - 0.29, pgr - 0.11]}
    best |= {"over_naive": over, "beats_naive_p": p}
    return {"best": best, "finalists": [best], "naive": naive}


@pytest.fixture
def grown(events: SimpleNamespace, branch: Callable[..., Branch]) -> list[AnyEvent]:
    """Branch two grew from one, three from nothing known; trials of one of each end, 4 s a rung."""
    branches = (branch("one"), branch("two", parent="one"), branch("three", parent="lost"))
    return [
        events.run_started(at=0.0),
        events.baselines(at=1.0, train_s=40.0),
        Proposed(at=1.0, round=1, proposal=Proposal(branches=branches, rationale=""), seconds=0.0),
        events.started("t1", at=2.0),
        events.reached("t1", 1.0, 0.4, at=3.0),
        events.ended("t1", at=3.0),
        events.started("t2", at=3.0),
        events.reached("t2", 1 / 3, -0.1, at=4.0),
        events.ended("t2", "pruned", "PGR -0.1 at a third", at=4.0),
        events.started("t3", at=4.0, branch="two"),
        events.ended("t3", "failed", "out of\n memory", at=6.0),
        events.started("t4", at=6.0, branch="two"),
        events.ended("t4", "failed", "out of memory", at=7.0),
    ]


def test_what_was_lost_of_the_data_is_told(events: SimpleNamespace) -> None:
    counts = DataCounts(
        files=(FileCounts(path="a.csv", rows=9, duplicates=2), FileCounts(path="b.csv", rows=3))
    )
    record = Record.of([events.run_started(at=0.0), events.baselines(at=1.0, data=counts)])
    assert lost_data(record) == ["a.csv: of 9 rows left out: 2 repeat an earlier row"]
    assert lost_data(Record.of([events.run_started(at=0.0), events.baselines(at=1.0)])) == []
    assert lost_data(Record()) == []
    floors = {"weak_acc": 0.6, "weak_se": 0.0, "ceiling_acc": 0.9, "ceiling_se": 0.0, "examples": 10}
    tasks = tuple(
        TaskBaselines(name=name, data=data, **floors) for name, data in (("x", counts), ("y", None))
    )
    several = Record.of([events.run_started(at=0.0), events.baselines(at=1.0, tasks=tasks)])
    assert lost_data(several) == ["x: a.csv: of 9 rows left out: 2 repeat an earlier row"]


def test_a_method_below_the_floor_recovers_none_of_the_gap(config: RunConfig) -> None:
    text = headline(config, Record(), outcome(-0.15, 0.9))
    assert text.startswith("one recovers none of the performance gap (PGR -0.150 ± 0.050,")


def test_the_sentence_of_a_clear_win(config: RunConfig) -> None:
    text = headline(config, Record(), outcome(0.5, 0.004))
    assert text == (
        "one recovers 50.0% of the performance gap (PGR 0.500 ± 0.050, 95% interval 0.400 to 0.600, 5 fresh "
        "seeds, test split), +0.300 (95% interval +0.210 to +0.390) against naive at 0.200: better than "
        "naive (one-sided p = 0.004)."
    )


@pytest.mark.parametrize(
    ("pgr", "p", "verdict"),
    [
        (0.3, 0.2, "not clearly better than naive"),
        (0.1, 0.8, "not better than naive"),
        (0.3, 0.04, ": better"),
    ],
)
def test_a_win_is_claimed_only_where_it_is_clear(
    config: RunConfig, pgr: float, p: float, verdict: str
) -> None:
    assert verdict in headline(config, Record(), outcome(pgr, p))


def test_a_finalist_that_does_better_on_the_test_split_is_said_not_to_be_the_one_named(
    config: RunConfig,
) -> None:
    found = outcome(0.3, 0.76)
    better = outcome(0.6, 0.00027)["best"] | {"branch": "two"}
    text = headline(config, Record(), found | {"finalists": [found["best"], better]})
    assert "(one-sided p = 0.76). The best was named on the search split; two did better" in text
    assert "(+0.400 over naive, p = 0.00027), but was not chosen beforehand" in text
    found = outcome(0.3, 0.01)
    assert "two" not in headline(config, Record(), found | {"finalists": [found["best"], better]})


def test_an_unfinished_run_says_so(config: RunConfig, grown: list[AnyEvent]) -> None:
    assert headline(config, Record(), None).startswith("Not finished: 0 of 18 trials")
    text = headline(config, Record.of(grown), None)
    assert "4 of 18 trials" in text
    assert "of one, has a PGR of 0.400 ± 0.100 on the search split" in text
    assert "not confirmed yet" in text


def test_a_branch_stands_under_the_one_it_grew_from(grown: list[AnyEvent]) -> None:
    one, three = family_tree(Record.of(grown))
    assert (one.branch.name, three.branch.name) == ("one", "three")
    assert [child.branch.name for child in one.children] == ["two"]
    assert one.result == "best PGR 0.400 ± 0.100"
    assert (one.counts, one.pruned) == ("1 completed, 1 pruned", "PGR -0.1 at a third")
    assert (three.counts, three.result, three.pruned) == ("no trial yet", "no trial has a score", "")


def test_a_branch_that_names_itself_as_parent_ends_no_recursion(branch: Callable[..., Branch]) -> None:
    proposal = Proposal(branches=(branch("loop", parent="loop"),), rationale="")
    [node] = family_tree(Record.of([Proposed(round=1, proposal=proposal, seconds=0.0)]))
    assert node.children == []


def test_failures_are_gathered_by_cause(grown: list[AnyEvent]) -> None:
    assert failures(Record.of(grown)) == [("out of memory", ["t3 (two)", "t4 (two)"])]


def test_a_long_cause_is_cut() -> None:
    assert short("x" * LONGEST) == "x" * LONGEST
    assert short("x" * 10_000) == "x" * (LONGEST - 1) + "…"
    assert short(None) == "no cause was recorded"


def test_the_cost_adds_up(grown: list[AnyEvent]) -> None:
    # 40 s of baselines and 2 rungs of 4 s; the pruned trial's other two thirds would have taken 8 s.
    usage = Usage(requests=1, input_tokens=1_000, cache_read_tokens=10, output_tokens=20, usd=1.25)
    lane = LaneReport(lane="1", direction="", source="claude", branches=(), usage=usage)
    asked = [LaneAnswered(at=7.0, round=number, lane=lane) for number in (1, 2)]
    rows = dict(costs(Record.of([*grown, *asked])))
    assert rows["training and evaluation, baselines included"] == "48 s"
    assert rows["saved by pruning"] == "8 s, 14% of what it would have been"
    assert rows["wall time, while a process was at work"] == "7 s"
    assert rows["proposer"] == "2.5000 USD; tokens: 2,020 in, 40 out"


def test_the_state_is_that_of_the_last_event(config: RunConfig, grown: list[AnyEvent]) -> None:
    def state(*more: AnyEvent) -> str:
        return {label: value for label, value, _ in tiles(config, Record.of([*grown, *more]), None)}["state"]

    assert state() == "in progress"
    assert state(Interrupted()) == "interrupted"
    assert state(Finished()) == "finished"


def test_the_last_event_in_utc(grown: list[AnyEvent]) -> None:
    assert last_at(Record.of(grown)) == 7.0
    assert when(last_at(Record.of(grown))) == "1970-01-01 00:00 UTC"
    assert when(last_at(Record())) == "never"


def test_without_a_gap_on_the_test_split_the_sentence_compares_accuracies(config: RunConfig) -> None:
    none = dict.fromkeys(("pgr", "se", "ci95"))
    over = none | {"accuracy": 0.09, "accuracy_se": 0.03}
    best = none | {"branch": "one", "accuracy": 0.76, "accuracy_se": 0.02, "seeds": 5, "over_naive": over}
    best |= {"beats_naive_p": 0.02}
    found = {
        "best": best,
        "finalists": [best],
        "naive": none | {"accuracy": 0.67, "accuracy_se": 0.02},
        "baselines": {"weak_acc": 0.8, "weak_se": 0.01, "ceiling_acc": 0.79, "ceiling_se": 0.02},
    }
    assert headline(config, Record(), found) == (
        "The test split has no gap to recover: the ceiling's accuracy is 0.7900 ± 0.0200, the weak floor's "
        "0.8000 ± 0.0100. one reaches 0.7600 ± 0.0200 (5 fresh seeds), +0.0900 against naive at 0.6700: "
        "better than naive (one-sided p = 0.02)."
    )
    assert tiles(config, Record(), found)[0] == ("best accuracy", "0.760", "± 0.020, test split")


def test_sources_are_digests_commits_other_code_and_openings_without_the_salt(
    events: SimpleNamespace,
) -> None:
    found = Sources(salt="5a17", digests={"test.truth": "d1"}, commits={"task": "c1"})
    record = Record.of(
        [
            events.run_started(sources=found, code={"torch": "1"}),
            Resumed(code={"torch": "1"}),
            Resumed(code={"torch": "2"}),
        ]
    )
    opened = {"opened": 1, "by": [{"run": "unit", "at": 1.0, "shared": 3}]}
    assert sources(record, {"test_split": opened}) == [
        ("digest: test.truth", "d1"),
        ("hub commit: task", "c1"),
        ("went on with other code", "torch 1 → 2"),
        ("test split", "the test split has been opened once, by unit"),
    ]
    assert sources(Record.of([events.run_started()]), None) == []
