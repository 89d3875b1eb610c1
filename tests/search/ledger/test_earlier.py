from pathlib import Path

from search.ledger.earlier import EarlierScore, EarlierScored, EarlierTask
from search.ledger.log import Ledger, read_ledger
from trainers.method import Method


def test_tasks_without_a_score_are_kept_and_told_apart(tmp_path: Path) -> None:
    scored = EarlierTask(run="one", id="1a", scores=(EarlierScore(method=Method(), share=1.0, pgr=0.5),))
    event = EarlierScored(tasks=(scored, EarlierTask(run="two", id="2b", scores=())))
    Ledger(tmp_path / "ledger.jsonl").append(event)
    [read] = read_ledger(tmp_path / "ledger.jsonl")
    assert read == event
    assert event.with_scores == (scored,)
