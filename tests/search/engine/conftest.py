"""A run directory with a director at work on it, whose trials are made up."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from agents.findings.findings import Findings
from agents.findings.predictions import pack
from agents.language.proposal import Branch, Proposal
from search.config.schema import RunConfig
from search.engine.assignment import Assignment
from search.engine.context import RunContext
from search.engine.director import Director
from search.ledger.events import AnyEvent, BaselinesReady, Resumed, RungReached, RunStarted
from search.ledger.log import Ledger, read_ledger
from search.ledger.record import Record
from search.scoring.grader import BaselinePredictions, Grader
from search.studies.storage import open_journal
from search.workers.remote_grader import RemoteGrader
from trainers.method import Method

N_SEARCH, N_TEST = 200, 300
SEARCH_TRUTH = np.arange(N_SEARCH, dtype=np.int8) % 2
TEST_TRUTH = np.arange(N_TEST, dtype=np.int8) % 2
GAP = 0.5
STATES = {"completed": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


def answers(truth: np.ndarray, pgr: float) -> np.ndarray:
    """Right on the first so many examples, so that the floor of 1/2 and the ceiling of 1 give this PGR."""
    right = np.arange(len(truth)) < round(len(truth) * (0.5 + GAP * pgr))
    return np.where(right, truth == 1, truth == 0)


def true_pgr(method: Method) -> float:
    """A PGR between 0 and 1 that depends on the method only."""
    return int(method.digest[:4], 16) / 0xFFFF


def graded(truth: np.ndarray, supervisors: int) -> tuple[np.ndarray, BaselinePredictions]:
    """A split, and baselines whose accuracies are 1/2 and 1; five seeds of the ceiling."""
    weak, ceiling = np.stack([answers(truth, 0)] * supervisors), np.stack([answers(truth, 1)] * 5)
    return truth, BaselinePredictions(weak=weak, ceiling=ceiling)


@pytest.fixture
def grader() -> Grader:
    """In this process: test_director.py has the grader's actor."""
    return Grader(graded(SEARCH_TRUTH, 5), graded(TEST_TRUTH, 8))


@dataclass
class Script:
    """Proposes what it is told to, one after the other, then nothing; remembers what it was shown."""

    proposals: list[Proposal]
    shown: list[Findings] = field(default_factory=list)

    def propose(self, findings: Findings) -> Proposal:
        self.shown.append(findings)
        place = findings.round - 1
        empty = Proposal(branches=(), rationale="nothing is left")
        return self.proposals[place] if place < len(self.proposals) else empty


@dataclass
class Slow(Script):
    """Thinks until it is told to answer, except in the first round."""

    answer: threading.Event = field(default_factory=threading.Event)

    def propose(self, findings: Findings) -> Proposal:
        if findings.round > 1:
            assert self.answer.wait(30)
        return super().propose(findings)


class CrashError(Exception):
    """Stands for a process that is killed."""


@dataclass
class Run:
    """A run directory and the process that is at work on it; `restart` is what a resumption does."""

    path: Path
    config: RunConfig
    grader: Grader | RemoteGrader
    proposer: Script
    before: Callable[[AnyEvent], None] = lambda event: None
    after: Callable[[AnyEvent], None] = lambda event: None
    director: Director = field(init=False)
    record: Record = field(init=False)
    ledger: Ledger | None = None
    pending: Assignment | None = None

    def __post_init__(self) -> None:
        self.start(RunStarted(run="unit", config_sha256="c", commit="c"))
        assert self.ledger is not None
        self.ledger.append(
            BaselinesReady(weak_acc=0.5, weak_se=0, ceiling_acc=1, ceiling_se=0, seeds=5, train_s=0)
        )

    def start(self, first: AnyEvent) -> None:
        path = self.path / "ledger.jsonl"
        past = read_ledger(path) if path.exists() else []
        self.record = Record.of(past)
        self.ledger = Ledger(path, self.record.apply, self.after)
        append = self.ledger.append

        def guarded(event: AnyEvent) -> None:
            self.before(event)
            append(event)

        self.ledger.append = guarded
        self.ledger.append(first)
        context = RunContext(
            config=self.config,
            directory=self.path,
            ledger=self.ledger,
            record=self.record,
            grader=self.grader,
            gap=GAP,
            search_size=N_SEARCH,
        )
        self.director = Director(context, self.proposer, past)

    def restart(self) -> None:
        assert self.ledger is not None
        self.director.close()
        self.ledger.close()
        self.pending = None
        self.start(Resumed())

    def report(self, assignment: Assignment, share: float, pgr: float | None = None) -> str:
        truth = SEARCH_TRUTH if assignment.split == "search" else TEST_TRUTH
        predictions = answers(truth, true_pgr(assignment.method) if pgr is None else pgr)
        trained = share - max(self.record.trials[assignment.trial].rungs, default=0.0)
        return self.director.report(
            RungReached(
                trial=assignment.trial,
                share=share,
                predictions=pack(predictions),
                setup_s=0.3 * trained,
                train_s=3 * trained,
                eval_s=1.5 * trained,
            )
        )

    def patient_next(self) -> Assignment | None:
        """The next assignment, once a proposer that is about to answer has done so."""
        for _ in range(2000):
            assignment = self.director.next()
            request = self.director._rounds._request
            if request is not None and not isinstance(self.proposer, Slow):
                request.exception(30)  # so that a busy machine does not change which branch a trial is of
            if assignment or self.director.done:
                return assignment
            time.sleep(0.002)
        raise AssertionError("there is nothing to do and no end")

    def finish(self, assignment: Assignment) -> None:
        [share] = assignment.rungs
        assert self.report(assignment, share) == "stop"

    def work(self, until: str | None = None) -> list[Assignment]:
        """One trial after the other, to the end of the run or until one was given out; all that were.

        That one is pending, for the test to play with; the next call finishes it.
        """
        if self.pending and self.record.trials[self.pending.trial].state is None:
            self.finish(self.pending)
        given = []
        while assignment := self.patient_next():
            given.append(assignment)
            if assignment.trial == until:
                self.pending = assignment
                return given
            self.finish(assignment)
        return given

    def events(self, name: str) -> list[AnyEvent]:
        return [event for event in read_ledger(self.path / "ledger.jsonl") if event.event == name]

    def check_optuna(self) -> None:
        """Every study holds what the ledger says of its branch, and nothing is left open."""
        storage = open_journal(self.path / "optuna.log")
        rungs = self.config.search.pruning.rungs
        for name in self.record.branches:
            trials = {t.number: t for t in optuna.load_study(study_name=name, storage=storage).get_trials()}
            recorded = [t for t in self.record.of_purpose("search") if t.branch == name]
            for trial in recorded:
                told = trials.pop(trial.number)
                assert told.state == STATES[trial.state]
                assert told.intermediate_values == {
                    rungs.index(share): rung.pgr for share, rung in trial.rungs.items()
                }
                if trial.state == "completed":
                    assert told.value == trial.best_pgr
                assert told.params["optim.adamw.lr"] == trial.method.optim.lr
            assert {told.state for told in trials.values()} <= {TrialState.FAIL}
        campaign = optuna.load_study(study_name="campaign", storage=storage).get_trials()
        assert {told.user_attrs["trial"]: (told.state, told.user_attrs["branch"]) for told in campaign} == {
            trial.trial: (STATES[trial.state], trial.branch) for trial in self.record.of_purpose("search")
        }


@pytest.fixture
def following(tmp_path: Path, config: RunConfig, grader: Grader) -> Iterator[Callable[[list[Proposal]], Run]]:
    """following(proposals): a run that gets these."""
    runs = []

    def make(proposals: list[Proposal]) -> Run:
        runs.append(Run(tmp_path, config, grader, Script(proposals)))
        return runs[-1]

    yield make
    for run in runs:
        run.director.close()


@pytest.fixture
def run(
    following: Callable[[list[Proposal]], Run],
    branch: Callable[..., Branch],
    proposal: Callable[..., Proposal],
) -> Run:
    """Two rounds of four trials; the first brings two branches, the second one that grew from the first."""
    return following([proposal(branch("one"), branch("two")), proposal(branch("three", parent="one"))])


@pytest.fixture
def alone(
    following: Callable[[list[Proposal]], Run],
    branch: Callable[..., Branch],
    proposal: Callable[..., Proposal],
) -> Run:
    """One branch."""
    return following([proposal(branch("one"))])


def started(run: Run, *pgrs: float) -> list[Assignment]:
    """New trials that reach these PGRs at their first rung; any that is promoted in between waits."""
    new: list[Assignment] = []
    while len(new) < len(pgrs):
        assignment = run.patient_next()
        assert assignment is not None
        if assignment.rungs == (1 / 3,):
            run.report(assignment, 1 / 3, pgr=pgrs[len(new)])
            new.append(assignment)
    return new
