"""The proposer that a config names."""

from dataclasses import dataclass
from pathlib import Path

from agents.claude.budget import Account
from agents.claude.replay import Replay
from agents.claude.samples import samples_of
from agents.findings.findings import Findings
from agents.findings.proposer import Proposer
from agents.language.proposal import Branch, Proposal
from agents.playbook.playbook import Playbook
from agents.settings import ClaudeConfig, PlaybookConfig, ReplayConfig
from search.config.schema import RunConfig
from search.engine.findings import earlier_runs
from search.engine.rounds import check_own_branches
from trainers.data.dataset import load_task
from trainers.data.settings import DatasetTask, ToyTask


@dataclass(frozen=True, kw_only=True)
class FixedMethods:
    """Proposes the methods of the config, once."""

    branches: tuple[Branch, ...]

    def propose(self, findings: Findings) -> Proposal:
        """All of them in the first round, nothing after it."""
        branches = () if findings.branches else self.branches
        return Proposal(branches=branches, rationale="The methods of the config; nothing is searched.")


def new_proposer(config: RunConfig, run_dir: Path | None, account: Account | None = None) -> Proposer:
    """The proposer that the config's `agent` names. run_dir: where to write transcripts, None for nowhere.

    account: where requests that cost money are written down, None for this process's memory.

    Raises ValueError if the key, the model or the transcript is unusable, or if a branch or a method of the
    config cannot run.
    """
    check_own_branches(config)
    if config.methods:
        return FixedMethods(branches=config.own_branches)
    match config.agent:
        case PlaybookConfig():
            return Playbook(branches=config.agent.branches, seed=config.seed)
        case ReplayConfig():
            return Replay(
                Path(config.agent.path).expanduser(), branches=config.agent.branches, seed=config.seed
            )
        case ClaudeConfig():
            from agents.claude.proposer import ClaudeProposer  # the SDK takes seconds to import

            return ClaudeProposer(
                config.agent,
                seed=config.seed,
                run_dir=run_dir,
                samples=_samples(config.task, config.agent.samples),
                earlier=earlier_runs(config.agent.earlier, config),
                account=account,
            )


def _samples(task: DatasetTask | ToyTask, count: int) -> tuple[str, ...]:
    """Inputs that the proposer may see: of the transfer split only, as for students."""
    return samples_of(load_task(task).inputs["transfer"], count) if count else ()
