from collections.abc import Callable
from pathlib import Path

import pytest

from agents.claude.replay import Replay
from agents.claude.transcript import Concluded, Noted, Opened, Transcript
from agents.findings.findings import Findings
from agents.findings.round_proposal import Note
from agents.language.proposal import Branch, Proposal
from agents.playbook.playbook import Playbook


@pytest.fixture
def run(tmp_path: Path, branch: Callable[..., Branch]) -> Path:
    """Two lanes in round 1, the first after a crash; one that failed in round 2."""

    def write(round: int, lane: str, *entries: Opened | Noted | Concluded) -> None:
        transcript = Transcript(tmp_path / "rounds" / f"{round:03d}" / f"transcript-{lane}.jsonl", "")
        for entry in entries:
            transcript.write(entry)

    opened = Opened(model="m", effort="high", direction="west", system="s")
    one = Proposal(branches=(branch("one"),), rationale="r")
    two = Proposal(branches=(branch("two", 0.4),), rationale="r")
    done = Concluded(proposal=one, refused=("bad",), why=None)
    write(1, "1", opened, Noted(text="lost"), opened, Noted(text="kept"), done)
    write(1, "2", opened, Concluded(proposal=two, refused=(), why=None))
    write(2, "1", opened, Concluded(proposal=None, refused=(), why="refused to answer"))
    return tmp_path


def test_a_round_comes_again_as_it_was(run: Path, campaign: Callable[..., Findings]) -> None:
    answer = Replay(run, branches=4, seed=0).propose(campaign())
    assert [branch.name for branch in answer.proposal.branches] == ["one", "two"]
    assert answer.notes == (Note(round=1, lane="1", text="kept"),)
    first, second = answer.lanes
    assert (first.lane, first.source, first.direction, first.refused) == ("1", "replay", "west", ("bad",))
    assert (second.lane, second.branches, second.usage.usd) == ("2", ("two",), 0)
    assert Replay(run / "rounds", branches=4, seed=0).propose(campaign()) == answer


@pytest.mark.parametrize("number", [2, 9])
def test_the_playbook_stands_in_where_the_transcripts_end(
    run: Path, campaign: Callable[..., Findings], number: int
) -> None:
    findings = campaign(round=number)
    answer = Replay(run, branches=3, seed=5).propose(findings)
    assert answer.proposal == Playbook(branches=3, seed=5).propose(findings)
    assert answer.lanes[-1].source == "playbook"
    assert f"no branch of round {number}" in str(answer.lanes[-1].why)


def test_a_place_without_transcripts_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"agent\.path .* holds no transcript of a round"):
        Replay(tmp_path / "nowhere", branches=4, seed=0)
