from collections.abc import Callable
from pathlib import Path

import pytest

from agents.claude.proposer import ClaudeProposer
from agents.claude.replay import Replay
from agents.findings.findings import BranchFinding, Findings
from agents.language.proposal import Proposal
from agents.playbook.playbook import Playbook
from agents.settings import ClaudeConfig, PlaybookConfig, ReplayConfig
from search.config.own import OwnMethod
from search.config.schema import RunConfig
from search.engine.proposers import new_proposer
from tests.servers.messages_api import ScriptedClaude, text
from trainers.data.dataset import load_task
from trainers.method import Abilities

Agent = PlaybookConfig | ReplayConfig | ClaudeConfig


@pytest.fixture
def agreed(config: RunConfig) -> Callable[[Agent], RunConfig]:
    """agreed(agent): the unit config with this agent."""
    return lambda agent: config.model_copy(update={"agent": agent})


@pytest.fixture
def nothing_yet(config: RunConfig) -> Findings:
    return Findings(
        round=1,
        weak_acc=0.6,
        weak_se=0.01,
        ceiling_acc=0.9,
        ceiling_se=0.01,
        naive=config.naive,
        abilities=Abilities(prior=False, intermediates=0),
        branches=(),
        trials=(),
        trials_left=8,
    )


def test_the_playbook_draws_by_the_run_s_seed(
    agreed: Callable[[Agent], RunConfig], nothing_yet: Findings
) -> None:
    proposer = new_proposer(agreed(PlaybookConfig(branches=3)), None)
    assert isinstance(proposer, Playbook)
    assert proposer.propose(nothing_yet) == Playbook(branches=3, seed=1).propose(nothing_yet)


def test_a_replay_needs_a_transcript(agreed: Callable[[Agent], RunConfig], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"agent.path {tmp_path}: holds no transcript"):
        new_proposer(agreed(ReplayConfig(path=str(tmp_path))), None)


def test_claude_needs_a_key(
    agreed: Callable[[Agent], RunConfig], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(ValueError, match=r"agent\.kind is claude, and there is no key"):
        new_proposer(agreed(ClaudeConfig()), tmp_path)


def test_claude_is_shown_inputs_of_the_transfer_split_alone(
    agreed: Callable[[Agent], RunConfig],
    nothing_yet: Findings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test")
    script = ScriptedClaude(answer=lambda body: text("no", stop="refusal"))
    with script.serving():
        config = agreed(ClaudeConfig(base_url=script.url, retries=0, backoff_s=(), samples=4, lanes=1))
        proposer = new_proposer(config, tmp_path)
        assert isinstance(proposer, ClaudeProposer)
        proposed = proposer.propose(nothing_yet)
    assert [lane.source for lane in proposed.lanes] == ["claude", "playbook"]
    plain, framed = script.asked
    said = "".join(str(asked["system"]) + str(asked["messages"]) for asked in (plain, framed))
    inputs = load_task(config.task).inputs
    # In quotation marks, since a short review may be the end of another.
    shown = {split: sum(f'"{line}"' in said for line in found.texts) for split, found in inputs.items()}
    assert shown["transfer"] == 4
    assert {shown[split] for split in ("weak_train", "search", "test")} == {0}
    assert (tmp_path / "rounds" / "001").is_dir()


def test_a_replay_proposes_what_was_recorded(
    agreed: Callable[[Agent], RunConfig],
    nothing_yet: Findings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    branch: Callable[..., object],
    proposal: Callable[..., object],
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test")
    said = proposal(branch("recorded")).model_dump_json()  # type: ignore[attr-defined]
    script = ScriptedClaude(answer=lambda body: text(said))
    with script.serving():
        first = new_proposer(agreed(ClaudeConfig(base_url=script.url, lanes=1)), tmp_path).propose(
            nothing_yet
        )
    again = new_proposer(agreed(ReplayConfig(path=str(tmp_path))), None)
    assert isinstance(again, Replay)
    assert again.propose(nothing_yet).proposal.branches == first.proposal.branches
    assert [found.name for found in first.proposal.branches] == ["recorded"]


def test_methods_of_the_config_are_proposed_once(config: RunConfig, nothing_yet: Findings) -> None:
    named = (OwnMethod(name="naive", slots={}), OwnMethod(name="confidence-loss", slots={}))
    proposer = new_proposer(config.model_copy(update={"methods": named}), None)
    first = proposer.propose(nothing_yet)
    assert isinstance(first, Proposal)
    assert [branch.name for branch in first.branches] == ["confidence-loss"]
    known = BranchFinding(branch=first.branches[0], round=1, live=True, importance=())
    later = proposer.propose(nothing_yet.model_copy(update={"branches": (known,)}))
    assert isinstance(later, Proposal)
    assert later.branches == ()
