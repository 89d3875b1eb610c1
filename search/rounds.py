"""Rounds: when the next proposal is due, and asking for it while trials go on."""

from collections.abc import Container
from concurrent.futures import Future, ThreadPoolExecutor
from time import perf_counter

from agents.findings import Findings
from agents.proposal import Proposal
from agents.proposer import Proposer
from agents.validation import MAX_BRANCHES, Problem, problems
from search.briefing import brief
from search.config import RunConfig
from search.record import Record

ASK_AHEAD = 0.75  # share of a round's trials after which the next proposal is asked for


class Rounds:
    """Asks the proposer for the next round, in the background and one question at a time."""

    def __init__(self, config: RunConfig, record: Record, proposer: Proposer) -> None:
        self._config = config
        self._record = record
        self._proposer = proposer
        self._background = ThreadPoolExecutor(max_workers=1, thread_name_prefix="proposer")
        self._asked: Future[tuple[Proposal, float]] | None = None

    def close(self) -> None:
        """Stop waiting for an answer."""
        self._background.shutdown(wait=False, cancel_futures=True)

    @property
    def waiting(self) -> bool:
        """Whether a proposal was asked for and has not been taken."""
        return self._asked is not None

    def due(self, used_up: Container[str]) -> bool:
        """Whether to ask for a proposal: the round is mostly used up, or no branch has a new method.

        used_up: branches without new methods. The last round is the one that the search's trials end in.
        After a proposal that brought no branch the used-up ones stay used up.
        """
        rounds, size = self._record.rounds, self._config.search.round_trials
        started = self._record.tally("search").started
        if started >= (rounds - 1 + ASK_AHEAD) * size and rounds * size < self._config.search.trials:
            return True
        branches = self._record.branches
        brought = any(branch.round == rounds for branch in branches.values())
        return brought and all(name in used_up for name in branches)

    def take(self, used_up: Container[str]) -> tuple[Proposal, float] | None:
        """Ask if it is time to; the proposal and the seconds it took, once it is there.

        Waits for the first proposal only: until then there is nothing else to do.
        """
        if self._asked is None and self.due(used_up):
            findings = brief(self._config, self._record, used_up)
            self._asked = self._background.submit(self._propose, findings)
        if self._asked is None or not (self._asked.done() or not self._record.branches):
            return None
        asked, self._asked = self._asked, None
        return asked.result()

    def _propose(self, findings: Findings) -> tuple[Proposal, float]:
        started = perf_counter()
        return self._proposer.propose(findings), perf_counter() - started


def checked(config: RunConfig, record: Record, proposal: Proposal) -> tuple[Proposal, list[Problem]]:
    """The proposal with the branches that can run, and what is wrong with the others."""
    known_branches = list(record.branches)
    known_methods = [trial.method for trial in record.of_purpose("search")]
    wrong = problems(
        proposal,
        naive=config.naive,
        known_branches=known_branches,
        known_methods=known_methods,
        abilities=config.abilities,
    )
    at_fault = {problem.branch for problem in wrong}
    kept = tuple(branch for i, branch in enumerate(proposal.branches) if i not in at_fault)
    return proposal.model_copy(update={"branches": kept[:MAX_BRANCHES]}), wrong
