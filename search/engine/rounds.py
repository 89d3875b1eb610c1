"""Rounds: when the next proposal is due, and asking for it while trials go on."""

import threading
from collections.abc import Container, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from time import perf_counter

from agents.claude.transcript import read_transcript, rounds_folder, total_usage, transcript_name
from agents.findings.findings import Findings
from agents.findings.novelty import kept
from agents.findings.proposer import Proposer
from agents.findings.round_proposal import LaneReport, RoundProposal
from agents.language.proposal import Proposal
from agents.language.validation import MAX_BRANCHES, Problem, problems
from agents.playbook.fallback import Guarded
from agents.playbook.playbook import Playbook
from search.config.schema import RunConfig
from search.engine.findings import brief
from search.ledger.events import AnyEvent, BranchesRefused, LaneAnswered, NoteLeft
from search.ledger.record import Record

ASK_AHEAD = 0.75  # share of a round's trials after which the next proposal is asked for
ENOUGH = 0.5  # and share of its training, so that there are results to read
FIRST_S = 1.0  # at a time that the first proposal is waited for: a run that is told to stop must not hang


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A proposer's answer and the seconds it took."""

    answer: RoundProposal
    seconds: float


class Rounds:
    """Asks the proposer for the next round, in the background and one question at a time.

    The playbook answers for a proposer that fails: no question ends the search.
    """

    def __init__(self, config: RunConfig, record: Record, proposer: Proposer) -> None:
        self._config = config
        self._record = record
        self._proposer = proposer
        self._questions: SimpleQueue[tuple[Findings, Future[Answered]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._asked: Future[Answered] | None = None

    def close(self) -> None:
        """Stop waiting for an answer."""
        self._asked = None
        self._questions.put(None)

    @property
    def waiting(self) -> bool:
        """Whether a proposal was asked for and has not been taken."""
        return self._asked is not None

    def due(self, used_up: Container[str], trained: float) -> bool:
        """Whether to ask for a proposal: the round is mostly used up, or no branch has a new method.

        used_up: branches without new methods. trained: full trainings so far; a proposal made before half of
        the round's were done would know little of what came of it. The last round is the one that the
        search's trials end in.
        After a proposal that brought no branch the used-up ones stay used up.
        """
        rounds, size = self._record.rounds, self._config.search.round_trials
        started = self._record.tally("search").started
        effort = size * self._config.search.effort
        used = started >= (rounds - 1 + ASK_AHEAD) * size and trained >= (rounds - 1 + ENOUGH) * effort
        if used and rounds * size < self._config.search.trials:
            return True
        branches = self._record.branches
        brought = any(branch.round == rounds for branch in branches.values())
        return brought and all(name in used_up for name in branches)

    def take(self, used_up: Container[str], trained: float) -> Answered | None:
        """Ask if it is time to, see `due`; the answer, once it is there.

        Waits, for a second at most, only where there is nothing else to do: for the first proposal.
        """
        if self._asked is None:
            if not self.due(used_up, trained):
                return None
            self._asked = self._ask(brief(self._config, self._record, used_up))
        if not self._record.branches:
            wait([self._asked], timeout=FIRST_S)
        if not self._asked.done():
            return None
        asked, self._asked = self._asked, None
        return asked.result()

    def _ask(self, findings: Findings) -> Future[Answered]:
        """Hand the question to the thread that asks. It is a daemon, unlike those of an executor.

        So a process that was told to stop does not wait for an answer from the network.
        """
        asked: Future[Answered] = Future()
        self._questions.put((findings, asked))
        if self._thread is None:
            self._thread = threading.Thread(target=self._answer, name="proposer", daemon=True)
            self._thread.start()
        return asked

    def _answer(self) -> None:
        while question := self._questions.get():
            findings, asked = question
            started = perf_counter()
            try:
                answer = ask(self._config, self._proposer, findings)
                asked.set_result(Answered(answer=answer, seconds=perf_counter() - started))
            except BaseException as error:  # the playbook itself failed: whoever takes the answer hears of it
                asked.set_exception(error)


def ask(config: RunConfig, proposer: Proposer, findings: Findings) -> RoundProposal:
    """The proposer's answer, or the playbook's where it fails."""
    return Guarded(proposer, Playbook(branches=config.agent.branches, seed=config.seed)).propose(findings)


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
    return proposal.model_copy(update={"branches": kept(proposal, wrong, MAX_BRANCHES)}), wrong


def untold(run_dir: Path, record: Record) -> Iterator[AnyEvent]:
    """Lanes whose answer the search did not wait for: what they cost, from their transcripts."""
    for path in sorted(rounds_folder(run_dir).glob("[0-9]*/" + transcript_name("*"))):
        number, lane = int(path.parent.name), path.stem.removeprefix("transcript-")
        if (number, lane) not in record.lanes:
            report = LaneReport(
                lane=lane,
                direction="",
                source="claude",
                branches=(),
                why="the search ended before this answer came",
                usage=total_usage(read_transcript(path)),
            )
            yield LaneAnswered(round=number, lane=report)


def told(round: int, answer: RoundProposal, wrong: Sequence[Problem]) -> Iterator[AnyEvent]:
    """What the ledger is told of a round besides its proposal: lanes, notes, and branches left out."""
    for lane in answer.lanes:
        yield LaneAnswered(round=round, lane=lane)
    for note in answer.notes:
        yield NoteLeft(note=note)
    reasons = [reason for lane in answer.lanes for reason in lane.refused] + [str(one) for one in wrong]
    if reasons:
        yield BranchesRefused(round=round, reasons=tuple(dict.fromkeys(reasons)))
