"""A proposer whose model is a script."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from agents.claude.budget import MemoryAccount
from agents.claude.proposer import ClaudeProposer
from agents.findings.tree.campaign import EarlierRun
from agents.language.proposal import Branch
from agents.settings import ClaudeConfig
from tests.servers.messages_api import Scripted, ScriptedClaude, in_turn, use

Propose = Callable[..., ClaudeProposer]
NOTES = use("read_notes", {"round": None})


@pytest.fixture
def proposer(claude: ScriptedClaude, tmp_path: Path) -> Propose:
    """proposer(answers..., setting=...): one lane whose model gives these answers, without waits.

    All proposers of a test share an account, as the processes of a run share its ledger.
    """
    account = MemoryAccount()

    def make(*answers: Scripted, earlier_runs: Sequence[EarlierRun] = (), **settings: Any) -> ClaudeProposer:
        claude.answer = in_turn(*answers) if answers else claude.answer
        values = {"base_url": claude.url, "retries": 0, "backoff_s": (), "timeout_s": 5.0, "lanes": 1}
        config = ClaudeConfig(**(values | settings))
        return ClaudeProposer(config, seed=0, run_dir=tmp_path, earlier=earlier_runs, account=account)

    return make


def written(folder: Path) -> list[str]:
    return [path.read_text() for path in folder.rglob("*") if path.is_file()]


def names(branches: tuple[Branch, ...]) -> list[str]:
    return [branch.name for branch in branches]
