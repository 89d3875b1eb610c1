"""Rounds: decides when the next proposal is due, and requests it while trials run."""

import logging
import threading
from collections.abc import Container, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from queue import SimpleQueue
from time import perf_counter

from agents.findings.findings import Findings
from agents.findings.novelty import kept
from agents.findings.proposer import Proposer
from agents.findings.round_proposal import LaneReport, RoundProposal
from agents.language.proposal import Proposal
from agents.language.validation import MAX_BRANCHES, Problem, problems
from agents.playbook.fallback import Guarded, playbook_proposal
from agents.playbook.playbook import Playbook
from search.config.schema import RunConfig
from search.engine.findings import brief
from search.ledger.events import AnyEvent, BranchesRefused, LaneAnswered, NoteLeft
from search.ledger.record import Record

log = logging.getLogger(__name__)

ASK_AHEAD = 0.75  # share of a round's trials that start before the next proposal is requested
MIN_TRAINED = 0.5  # and share of its training, so that the proposer has results to read
FIRST_WAIT_S = 1.0  # longest wait of a call for the first proposal, so that Ctrl-C is noticed


@dataclass(frozen=True, kw_only=True)
class TimedProposal:
    """A proposer's answer and the seconds it took."""

    round_proposal: RoundProposal
    seconds: float


class Rounds:
    """Requests the next round from the proposer, in the background and one at a time.

    If the proposer fails, the playbook proposes instead, so a failure does not end the search. If it does not
    answer at all, the playbook proposes from then on.
    """

    def __init__(
        self, config: RunConfig, record: Record, proposer: Proposer, *, at_once: bool = False
    ) -> None:
        """at_once: the proposer answers before `take` returns, as in a simulation its time does not count."""
        self._config = config
        self._at_once = at_once
        self._record = record
        self._proposer = proposer
        self._requests: SimpleQueue[tuple[Findings, Future[TimedProposal]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._request: Future[TimedProposal] | None = None
        self._asked_at = 0.0

    def close(self) -> None:
        """Stop waiting for a proposal; the thread ends after its present request."""
        self._request = None
        self._requests.put(None)

    def go_by(self, config: RunConfig) -> None:
        """Follow a config with other settings from now on."""
        self._config = config

    @property
    def pending(self) -> bool:
        """Whether a proposal has been requested and not yet taken."""
        return self._request is not None

    def due(self, used_up: Container[str], trained: float) -> bool:
        """Whether to request a proposal: the round is mostly used up, or no branch has a new method.

        used_up: branches without new methods. trained: the share of the search's training so far; before half
        of the round's training, a proposer has few results to learn from. The last round is the round in
        which the search's trials run out. After a proposal without branches, used-up branches alone do not
        cause a request.
        """
        rounds, size = self._record.rounds, self._config.search.round_trials
        started = self._record.tally("search").started
        round_share = size / self._config.search.trials
        mostly_started = started >= (rounds - 1 + ASK_AHEAD) * size
        half_trained = trained >= (rounds - 1 + MIN_TRAINED) * round_share
        if mostly_started and half_trained and rounds * size < self._config.search.trials:
            return True
        branches = self._record.branches
        has_branches = any(branch.round == rounds for branch in branches.values())
        return has_branches and all(name in used_up for name in branches)

    def take(self, used_up: Container[str], trained: float) -> TimedProposal | None:
        """The requested proposal once it is there, else None. Requests it first if `due` says so.

        Waits, for a second at most, only for the first proposal, as nothing else can run before it.
        """
        if self._request is None:
            if not self.due(used_up, trained):
                return None
            self._asked_at = perf_counter()
            self._request = self._send(brief(self._config, self._record, used_up))
        if not self._record.branches:
            wait([self._request], timeout=FIRST_WAIT_S)
        if not self._request.done():
            return self._instead(used_up) if perf_counter() - self._asked_at > self._limit_s else None
        request, self._request = self._request, None
        return request.result()

    @property
    def _limit_s(self) -> float:
        return self._config.faults.proposer_limit_s

    def _instead(self, used_up: Container[str]) -> TimedProposal:
        """The playbook's proposal, for a proposer that does not answer: its thread is left to itself."""
        why = f"the proposer did not answer within faults.proposer_limit_s ({self._limit_s:g} s)"
        log.warning("%s: the playbook proposes for the rest of this run", why)
        playbook = Playbook(branches=self._config.agent.branches, seed=self._config.seed)
        self.close()
        self._proposer, self._requests, self._thread = playbook, SimpleQueue(), None
        proposed = playbook_proposal(playbook, brief(self._config, self._record, used_up), why)
        return TimedProposal(round_proposal=proposed, seconds=self._limit_s)

    def _send(self, findings: Findings) -> Future[TimedProposal]:
        """Send a request to the proposer's thread.

        It is a daemon, unlike the threads of an executor, so a process that stops does not wait for the
        network.
        """
        request: Future[TimedProposal] = Future()
        if self._at_once:
            self._answer(self._proposer, findings, request)
            return request
        self._requests.put((findings, request))
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="proposer", daemon=True)
            self._thread.start()
        return request

    def _serve(self) -> None:
        requests, proposer = self._requests, self._proposer  # a thread that is given up keeps its own
        while item := requests.get():
            self._answer(proposer, *item)

    def _answer(self, proposer: Proposer, findings: Findings, request: Future[TimedProposal]) -> None:
        started = perf_counter()
        try:
            proposed = ask(self._config, proposer, findings)
            seconds = perf_counter() - started
            request.set_result(TimedProposal(round_proposal=proposed, seconds=seconds))
        except BaseException as error:  # the playbook itself failed: `take` raises it
            request.set_exception(error)


def ask(config: RunConfig, proposer: Proposer, findings: Findings) -> RoundProposal:
    """The proposer's answer, or the playbook's if it fails."""
    return Guarded(proposer, Playbook(branches=config.agent.branches, seed=config.seed)).propose(findings)


def check_own_branches(config: RunConfig) -> None:
    """Raise ValueError, on one line, if a branch or method of the config cannot run."""
    own = config.own_branches
    if not own:
        return
    found = problems(
        Proposal(branches=own, rationale=""),
        naive=config.naive,
        known_branches=(),
        known_methods=(),
        abilities=config.abilities,
    )
    for problem in found:
        if config.methods and problem.branch is not None:
            raise ValueError(f"methods: {own[problem.branch].name}: {problem.text}")
        raise ValueError(str(problem))


def checked(config: RunConfig, record: Record, proposal: Proposal) -> tuple[Proposal, list[Problem]]:
    """The proposal with only the branches that can run, and the problems of the others.

    The first round begins with the config's own branches.
    """
    if config.branches and not record.branches:
        together = (*config.branches, *proposal.branches)[:MAX_BRANCHES]
        proposal = proposal.model_copy(update={"branches": together})
    known_branches = list(record.branches)
    known_methods = [trial.method for trial in record.of_purpose("search")]
    found = problems(
        proposal,
        naive=config.naive,
        known_branches=known_branches,
        known_methods=known_methods,
        abilities=config.abilities,
    )
    return proposal.model_copy(update={"branches": kept(proposal, found, MAX_BRANCHES)}), found


def late_lanes(record: Record) -> Iterator[AnyEvent]:
    """Events for lanes whose answer came too late: what they cost, their requests in flight included."""
    for (number, lane), usage in record.bill.by_lane().items():
        if (number, lane) not in record.lanes:
            report = LaneReport(
                lane=lane,
                direction="",
                source="claude",
                branches=(),
                why="the search ended before this answer came",
                usage=usage,
            )
            yield LaneAnswered(round=number, lane=report)


def round_events(round: int, proposed: RoundProposal, problems: Sequence[Problem]) -> Iterator[AnyEvent]:
    """The ledger's events of a round besides its proposal: lanes, notes and rejected branches."""
    for lane in proposed.lanes:
        yield LaneAnswered(round=round, lane=lane)
    for note in proposed.notes:
        yield NoteLeft(note=note)
    reasons = [reason for lane in proposed.lanes for reason in lane.refused]
    reasons += [str(problem) for problem in problems]
    if reasons:
        yield BranchesRefused(round=round, reasons=tuple(dict.fromkeys(reasons)))
