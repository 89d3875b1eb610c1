from types import SimpleNamespace

from search.ledger.earlier import EarlierScore, EarlierScored, EarlierTask
from search.ledger.events import EarlierOpening, TestOpened
from search.ledger.record import Record
from search.output.openings import from_runs_rows, opened_test_row, openings_text
from trainers.method import Method

BEFORE = EarlierOpening(run="before", at=1.0, shared=7)


def test_a_search_says_whether_runs_it_began_with_had_opened_its_test_examples(
    events: SimpleNamespace,
) -> None:
    opened = TestOpened(at=2.0, queries=2, digest="d", examples=9, earlier=(BEFORE,))
    score = EarlierScore(method=Method(), share=1.0, pgr=0.3)
    tasks = (EarlierTask(run="before", scores=(score,) * 2), EarlierTask(run="other", scores=()))
    record = Record.of([events.run_started(run="mine"), EarlierScored(tasks=tasks), opened])
    rows = from_runs_rows(record, ("runs/before/", "s3://bucket/other?region=x"))
    assert rows == [
        {"run": "before", "opened_test": True, "scores": 2},
        {"run": "other", "opened_test": False, "scores": 0},
    ]
    known_by_name = Record.of([events.run_started(run="mine"), opened])
    assert [
        row["opened_test"] for row in from_runs_rows(known_by_name, ("runs/before/", "s3://b/other?a=b"))
    ] == [
        True,
        False,
    ]
    outcome = {"test_split": opened_test_row(record, opened), "from_runs": rows}
    assert openings_text(outcome) == (
        "the test split has been opened 2 times, by before, mine; the search began with methods of runs that "
        "had opened test examples: before"
    )
    assert openings_text(outcome | {"from_runs": rows[1:]}).endswith("by before, mine")


def test_a_run_is_known_by_its_id_under_any_name(events: SimpleNamespace) -> None:
    before = EarlierOpening(run="before", id="1a", at=1.0, shared=7)
    opened = TestOpened(at=2.0, queries=2, digest="d", examples=9, earlier=(before,))
    tasks = (
        EarlierTask(run="renamed", id="1a", task="a", scores=()),
        EarlierTask(run="renamed", id="1a", task="b", scores=()),
        EarlierTask(run="before", id="2b", scores=()),
    )
    record = Record.of([events.run_started(run="mine"), EarlierScored(tasks=tasks), opened])
    rows = from_runs_rows(record, ("runs/renamed", "runs/before"))
    assert [(row["run"], row["opened_test"]) for row in rows] == [("renamed", True), ("before", False)]


def test_openings_of_the_test_splits_of_hidden_tasks_count(events: SimpleNamespace) -> None:
    own = TestOpened(at=2.0, queries=2, digest="d", examples=9)
    hidden = TestOpened(at=2.0, queries=2, digest="h", examples=9, task="there", earlier=(BEFORE,))
    record = Record.of([events.run_started(), own, hidden])
    assert [row["opened_test"] for row in from_runs_rows(record, ("before",))] == [True]
    assert from_runs_rows(record, ()) == []


def test_a_result_of_an_earlier_version_names_none() -> None:
    assert openings_text({}) == ""
