import heapq
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from agents.findings.findings import Findings
from agents.findings.predictions import pack
from agents.language.proposal import Branch, Proposal
from search.config.schema import ReplicationConfig, RunConfig
from search.engine.assignment import Assignment
from search.engine.confirmation import confirm, sealed_predictions
from search.engine.context import RunContext
from search.engine.director import Director, SearchFailedError
from search.engine.findings import brief
from search.engine.replication import kind_of, planned_replication
from search.ledger.events import (
    AnyEvent,
    BaselinesReady,
    Proposed,
    Resumed,
    RungReached,
    RunStarted,
    TestOpened,
)
from search.ledger.log import Ledger, read_ledger
from search.ledger.record import Record
from search.output.result import result
from search.scoring.grader import BaselinePredictions
from search.studies.storage import open_journal
from search.workers.remote_grader import RemoteGrader
from trainers.method import Method

N_SEARCH, N_TEST = 200, 300
SEARCH_TRUTH = np.arange(N_SEARCH, dtype=np.int8) % 2
TEST_TRUTH = np.arange(N_TEST, dtype=np.int8) % 2
GAP = 0.5
STATES = {"completed": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}

pytestmark = pytest.mark.usefixtures("local_ray")


def answers(truth: np.ndarray, pgr: float) -> np.ndarray:
    """Right on the first so many examples, so that the floor of 1/2 and the ceiling of 1 give this PGR."""
    right = np.arange(len(truth)) < round(len(truth) * (0.5 + GAP * pgr))
    return np.where(right, truth == 1, truth == 0)


def true_pgr(method: Method) -> float:
    """A PGR between 0 and 1 that depends on the method only."""
    return int(method.digest[:4], 16) / 0xFFFF


@pytest.fixture(scope="module")
def grader(local_ray: None) -> RemoteGrader:
    def split(truth: np.ndarray) -> tuple[np.ndarray, BaselinePredictions]:
        weak, ceiling = (np.stack([answers(truth, pgr)] * 5) for pgr in (0, 1))
        return truth, BaselinePredictions(weak=weak, ceiling=ceiling)

    return RemoteGrader(split(SEARCH_TRUTH), split(TEST_TRUTH))


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
    grader: RemoteGrader
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
        truth = SEARCH_TRUTH if assignment.purpose == "search" else TEST_TRUTH
        predictions = answers(truth, true_pgr(assignment.method) if pgr is None else pgr)
        return self.director.report(
            RungReached(
                trial=assignment.trial,
                share=share,
                predictions=pack(predictions),
                setup_s=0.1,
                train_s=1,
                eval_s=0.5,
            )
        )

    def patient_next(self) -> Assignment | None:
        """The next assignment, once a proposer that is about to answer has done so."""
        for _ in range(2000):
            assignment = self.director.next()
            asked = self.director._rounds._asked
            if asked is not None and not isinstance(self.proposer, Slow):
                asked.exception(30)  # so that a busy machine does not change which branch a trial is of
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
                    assert told.value == trial.last.pgr
                assert told.params["optim.adamw.lr"] == trial.method.optim.lr
            assert {told.state for told in trials.values()} <= {TrialState.FAIL}


@pytest.fixture
def following(
    tmp_path: Path, config: RunConfig, grader: RemoteGrader
) -> Iterator[Callable[[list[Proposal]], Run]]:
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


def test_the_whole_life_of_a_search(run: Run) -> None:
    given = run.work()
    search = [one for one in given if one.purpose == "search"]
    confirmation = [one for one in given if one.purpose == "confirm"]
    begun = [one for one in search if one.rungs == (1 / 3,)]
    assert [one.trial for one in begun] == [f"t{i:05d}" for i in range(1, 9)]
    promoted = [one for one in search if one.rungs == (1.0,)]
    assert len({one.trial for one in promoted}) == len(promoted) == 4
    assert given == search + confirmation
    assert {one.seed for one in search} == {run.config.search_seed()}
    assert len({one.method for one in begun} | {run.config.naive}) == 9
    assert run.director.done
    assert run.director.next() is None
    assert run.record.rounds == 2
    assert not run.record.unfinished()
    run.check_optuna()


def test_scores_are_those_of_the_grader(run: Run) -> None:
    assignment = run.director.next()
    assert assignment is not None
    run.report(assignment, 1 / 3, pgr=0.25)
    [rung] = run.events("rung_reached")
    # 125 of 200 are right.
    assert (rung.accuracy, rung.pgr) == (0.625, 0.25)
    assert rung.se > 0


def test_confirmation_is_naive_first_then_the_best_on_fresh_seeds(run: Run) -> None:
    confirmation = [one for one in run.work() if one.purpose == "confirm"]
    ranked = sorted(
        (trial for trial in run.record.of_purpose("search") if trial.state == "completed"),
        key=lambda trial: trial.last.pgr,
        reverse=True,
    )
    first = ranked[0].method
    unlike = next(trial.method for trial in ranked if kind_of(trial.method) != kind_of(first))
    methods = [run.config.naive, first, unlike]
    seeds = run.config.confirm_seeds()
    assert [(one.method, one.seed) for one in confirmation] == [(m, s) for m in methods for s in seeds]
    assert [one.trial for one in confirmation] == [f"c{i:05d}" for i in range(1, 10)]
    assert not set(seeds) & {trial.seed for trial in run.record.of_purpose("search")}
    assert all(len(packed) == 3 for packed in sealed_predictions(run.config, run.record).values())


def test_test_predictions_are_not_graded_before_the_end(run: Run) -> None:
    run.work()
    rungs = {event.trial: event for event in run.events("rung_reached") if event.trial.startswith("c")}
    assert {(rung.share, rung.accuracy, rung.pgr, rung.se) for rung in rungs.values()} == {
        (1.0, None, None, None)
    }
    assert not run.events("test_opened")


def test_the_confirmation_waits_for_the_last_search_trial(run: Run) -> None:
    while (running := run.patient_next()).rungs != (1.0,) or run.record.ended("completed") < 3:
        run.finish(running)
    assert run.director.next() is None  # the fourth trial that the budget lets on to the end
    assert not run.director.done
    run.finish(running)
    assert run.director.next().purpose == "confirm"


def test_the_next_round_is_asked_for_when_the_round_has_been_trained_on(run: Run) -> None:
    run.work(until="t00003")
    assert [len(findings.trials) for findings in run.proposer.shown] == [0]
    run.work(until="t00005")
    # Three of its four trials were given out before, but not half of its training: 0.8 of 1.6.
    assert [len(findings.trials) for findings in run.proposer.shown] == [0, 4]
    run.work()
    assert len(run.proposer.shown) == 2  # the trials end in the second round: no third proposal is of use


def test_a_round_leaves_its_proposal_behind(run: Run) -> None:
    run.work()
    for number in (1, 2):
        text = (run.path / "rounds" / f"{number:03d}" / "proposal.json").read_text()
        [event] = [event for event in run.events("proposed") if event.round == number]
        assert Proposal.model_validate(json.loads(text)) == event.proposal
    assert {name: found.round for name, found in run.record.branches.items()} == {
        "one": 1,
        "two": 1,
        "three": 2,
    }
    assert run.proposer.shown[1].branches[0].branch.name == "one"


def test_branches_take_turns_up_to_the_floor(run: Run) -> None:
    run.work()
    turns = [trial.branch for trial in run.record.of_purpose("search")]
    assert turns[:3] == ["one", "two", "one"]
    # The next round is asked for after the third trial and is there for the fifth; its branch catches up.
    assert turns[3:] == ["two", "three", "three", "one", "two"]


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


def test_a_trial_pauses_at_its_rung(run: Run) -> None:
    [assignment] = started(run, 0.5)
    trial = run.record.trials[assignment.trial]
    assert (trial.paused, trial.state, trial.due) == (True, None, 1 / 3)
    assert [event.trial for event in run.events("trial_paused")] == [assignment.trial]


def test_a_paused_trial_goes_on_as_itself(run: Run) -> None:
    begun: dict[str, Assignment] = {}
    while (assignment := run.patient_next()).rungs == (1 / 3,):
        begun[assignment.trial] = assignment
        run.finish(assignment)
    assert assignment == begun[assignment.trial].model_copy(update={"rungs": (1.0,)})
    assert not run.record.trials[assignment.trial].paused
    run.finish(assignment)
    trial = run.record.trials[assignment.trial]
    assert (trial.state, list(trial.rungs)) == ("completed", [1 / 3, 1.0])


def test_a_hopeless_trial_is_pruned_and_told_so(alone: Run) -> None:
    *_, hopeless = started(alone, 0.9, 0.8, 0.7, -0.5)
    trial = alone.record.trials[hopeless.trial]
    why = "unlikely to be among the best of its branch there (of 4)"
    assert (trial.state, trial.cause) == ("pruned", f"PGR -0.500 at 0.33 of its training: {why}")
    study = optuna.load_study(study_name=trial.branch, storage=open_journal(alone.path / "optuna.log"))
    told = study.get_trials()[trial.number]
    assert (told.state, told.intermediate_values) == (TrialState.PRUNED, {0: -0.5})
    assert alone.record.ended("pruned") == 1


def test_a_trial_far_behind_those_of_another_branch_waits(run: Run) -> None:
    new = started(run, 0.9, -0.5, 0.8, -0.6)
    assert [run.record.trials[one.trial].branch for one in new] == ["one", "two", "one", "two"]
    assert [run.record.trials[one.trial].state for one in new] == [None] * 4


def test_how_seeds_of_floor_and_ceiling_differ_decides_who_is_hopeless(run: Run) -> None:
    assert run.ledger is not None
    told = run.record.baselines.model_copy(update={"seed_variance": 4.0, "seed_free": 1000})
    run.ledger.append(told)  # by luck alone two trials differ by 2 * sqrt(2) PGR, one standard deviation
    *_, behind = started(run, 0.9, 0.8, 0.7, -0.5)
    assert run.record.trials[behind.trial].state is None
    run.restart()
    [behind] = started(run, -0.4)
    assert run.record.trials[behind.trial].state is None


def test_who_waits_behind_too_many_better_ones_is_pruned(alone: Run) -> None:
    promotion = alone.config.search.promotion.model_copy(update={"waiting": 2, "first": 50})
    search = alone.config.search.model_copy(update={"promotion": promotion})
    alone.config = alone.config.model_copy(update={"search": search})
    alone.restart()
    first, second, third = started(alone, 0.8, 0.7, 0.9)
    states = [alone.record.trials[one.trial].state for one in (first, second, third)]
    assert states == [None, "pruned", None]
    cause = alone.record.trials[second.trial].cause
    assert cause == "PGR 0.700 at 0.33 of its training: the 2 places there went to others"


def test_what_still_waits_at_the_end_of_the_search_is_pruned(run: Run) -> None:
    while (assignment := run.patient_next()).purpose == "search":
        run.report(assignment, assignment.rungs[0], pgr=0.5)
    pruned = [trial for trial in run.record.of_purpose("search") if trial.state == "pruned"]
    why = "PGR 0.500 at 0.33 of its training: the search ended before its turn came"
    assert [trial.cause for trial in pruned] == [why] * 4
    assert run.record.ended("completed") == 4


def test_the_state_of_a_trial_that_has_ended_is_removed(run: Run) -> None:
    while assignment := run.patient_next():
        if assignment.purpose == "search":
            (run.path / "checkpoints" / assignment.trial).mkdir(parents=True, exist_ok=True)
        run.finish(assignment)
        left = {folder.name for folder in (run.path / "checkpoints").iterdir()}
        assert left == {trial.trial for trial in run.record.unfinished()}


def test_nobody_is_pruned_at_the_last_rung(run: Run) -> None:
    promoted: list[Assignment] = []
    while len(promoted) < 3:
        assignment = run.patient_next()
        if assignment.rungs == (1.0,):
            promoted.append(assignment)
            run.report(assignment, 1.0, pgr=-1.0)
        else:
            run.report(assignment, 1 / 3, pgr=0.9)
    assert {run.record.trials[one.trial].state for one in promoted} == {"completed"}


def test_a_failed_trial_is_recorded_with_its_cause_and_stays_failed(run: Run) -> None:
    assignment = run.director.next()
    run.director.failed(assignment.trial, "Diverged: the loss is nan")
    assert run.report(assignment, 1 / 3) == "stop"  # a report that was on its way
    run.director.failed(assignment.trial, "and once more")
    trial = run.record.trials[assignment.trial]
    assert (trial.state, trial.cause, list(trial.rungs)) == ("failed", "Diverged: the loss is nan", [])
    assert len(run.events("trial_ended")) == 1
    run.work()
    assert run.record.ended("failed") == 1
    run.check_optuna()


def test_the_death_of_a_worker_that_has_left_its_trial_waiting_is_no_failure(run: Run) -> None:
    [assignment] = started(run, 0.5)
    run.director.failed(assignment.trial, "the worker died")
    assert run.report(assignment, 1 / 3, pgr=0.9) == "stop"
    trial = run.record.trials[assignment.trial]
    assert (trial.state, trial.paused, trial.last.pgr) == (None, True, 0.5)


def test_when_the_first_eight_trials_fail_the_search_is_given_up(run: Run) -> None:
    for _ in range(7):
        run.director.failed(run.patient_next().trial, "out of memory")
    with pytest.raises(SearchFailedError, match=r"the first 8 trials all failed, .* because: out of memory"):
        run.director.failed(run.patient_next().trial, "out of memory")


def test_a_failed_confirmation_trial_ends_the_run_all_the_same(run: Run) -> None:
    given = run.work(until="c00005")
    run.director.failed(given[-1].trial, "out of memory")
    run.work()
    assert run.director.done
    assert len(sealed_predictions(run.config, run.record)) == 2


def test_a_confirmation_that_failed_is_tried_again_when_the_run_is_resumed(run: Run) -> None:
    """Or a run whose naive baseline failed once would never come to an outcome."""
    given = run.work(until="c00001")
    run.director.failed(given[-1].trial, "the node's clock was wrong")
    run.work()
    assert run.director.done
    with pytest.raises(RuntimeError, match=r"naive baseline did not .* the node's clock was wrong\."):
        sealed_predictions(run.config, run.record)
    run.restart()
    [again] = run.work(until="c00001-2")
    assert (again.method, again.seed) == (given[-1].method, given[-1].seed)
    run.director.failed(again.trial, "the node's clock was wrong")
    run.restart()
    assert [one.trial for one in run.work()] == ["c00001-3"]
    assert len(sealed_predictions(run.config, run.record)) == 3
    run.restart()
    assert run.work() == []


def test_once_the_test_split_was_opened_nobody_is_confirmed_any_more(run: Run) -> None:
    given = run.work(until="c00005")
    run.director.failed(given[-1].trial, "out of memory")
    run.work()
    run.ledger.append(TestOpened(queries=2))
    run.restart()
    assert run.work() == []


def test_a_rung_that_was_passed_says_nothing_new(run: Run) -> None:
    """A trial whose state was lost trains from its beginning again: its first score stands."""
    while (assignment := run.patient_next()).rungs == (1 / 3,):
        run.finish(assignment)
    queries = run.record.grader_queries["search"]
    before = run.record.trials[assignment.trial].last.pgr
    assert run.report(assignment, 1 / 3, pgr=0.01) == "continue"
    assert run.record.trials[assignment.trial].last.pgr == before
    assert run.record.grader_queries["search"] == queries
    assert run.report(assignment, 1.0) == "stop"
    run.work()
    run.check_optuna()


def test_a_rung_that_was_left_out_is_judged_at_its_own(run: Run) -> None:
    assignment = run.director.next()
    assert run.report(assignment, 1.0, pgr=0.4) == "stop"
    trial = run.record.trials[assignment.trial]
    assert (trial.state, list(trial.rungs), trial.last.pgr) == ("completed", [1.0], pytest.approx(0.4))


def test_two_trials_at_once(run: Run) -> None:
    running: deque[Assignment] = deque()
    while not run.director.done:
        while len(running) < 2 and (assignment := run.director.next()):
            assert assignment.trial not in [one.trial for one in running]
            running.append(assignment)
        if not running:
            time.sleep(0.002)
            continue
        run.finish(running.popleft())
    assert sum(1 for _ in run.record.of_purpose("search")) == 8
    run.check_optuna()


def test_a_slow_proposer_holds_nobody_up(
    tmp_path: Path,
    config: RunConfig,
    grader: RemoteGrader,
    branch: Callable[..., Branch],
    proposal: Callable[..., Proposal],
) -> None:
    slow = Slow([proposal(branch("one")), proposal(branch("two"))])
    run = Run(tmp_path, config, grader, slow)
    given = run.work(until="t00006")
    assert {run.record.trials[one.trial].branch for one in given} == {"one"}
    assert run.record.rounds == 1
    slow.answer.set()
    run.finish(given[-1])
    deadline = time.monotonic() + 30
    while len(slow.shown) < 2 and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(0.05)
    assert run.record.trials[run.director.next().trial].branch == "two"
    assert run.record.rounds == 2
    assert len(slow.shown[1].trials) == 4  # what was known when it was asked
    run.director.close()


def test_workers_stay_busy_while_a_slow_proposer_thinks(
    tmp_path: Path,
    config: RunConfig,
    grader: RemoteGrader,
    branch: Callable[..., Branch],
    proposal: Callable[..., Proposal],
) -> None:
    """Four workers in virtual time: 30 s a full training, 60 s for an answer, longer than a round takes."""
    search = config.search.model_copy(update={"trials": 60, "round_trials": 15})
    slow = Slow([proposal(branch(f"{i}-a"), branch(f"{i}-b")) for i in range(4)])
    run = Run(tmp_path, config.model_copy(update={"search": search}), grader, slow)
    running: list[tuple[float, str, Assignment]] = []
    now, busy, asked_at = 0.0, 0.0, None
    while True:
        while len(running) < 4 and (assignment := run.director.next()) and assignment.purpose == "search":
            seconds = 30 * (assignment.rungs[0] - (1 / 3 if assignment.rungs == (1.0,) else 0))
            heapq.heappush(running, (now + seconds, assignment.trial, assignment))
            busy += seconds
        if not running:
            break
        now, _, ended = heapq.heappop(running)
        run.finish(ended)
        asked = run.director._rounds._asked
        asked_at = None if asked is None else now if asked_at is None else asked_at
        if asked_at is not None and now >= asked_at + 60:
            slow.answer.set()
            asked.result(30)
            slow.answer.clear()
    assert run.record.rounds > 1
    assert busy / (4 * now) > 0.95
    slow.answer.set()
    run.director.close()


def test_the_confirmation_does_not_wait_for_a_proposal_without_trials_to_give(
    tmp_path: Path,
    config: RunConfig,
    grader: RemoteGrader,
    branch: Callable[..., Branch],
    proposal: Callable[..., Proposal],
) -> None:
    slow = Slow([proposal(branch("one")), proposal(branch("two"))])
    run = Run(tmp_path, config, grader, slow)
    given = run.work()
    assert [one.purpose for one in given] == ["search"] * (8 + 4) + ["confirm"] * 9
    assert run.record.rounds == 1
    slow.answer.set()
    run.director.close()


def test_used_up_branches_bring_the_next_round_forward(
    tmp_path: Path,
    config: RunConfig,
    grader: RemoteGrader,
    branch: Callable[..., Branch],
    proposal: Callable[..., Proposal],
) -> None:
    small = [proposal(branch(f"small-{i}", lrs=(i * 1e-3 + 1e-4, i * 1e-3 + 2e-4))) for i in range(4)]
    run = Run(tmp_path, config, grader, Script(small))
    run.work()
    assert run.record.rounds == 4
    assert sum(1 for _ in run.record.of_purpose("search")) == 8
    assert [one.live for one in run.proposer.shown[2].branches] == [False, False]
    run.check_optuna()
    run.director.close()


def test_when_nothing_new_is_proposed_what_there_is_goes_to_confirmation(
    tmp_path: Path,
    config: RunConfig,
    grader: RemoteGrader,
    branch: Callable[..., Branch],
    proposal: Callable[..., Proposal],
) -> None:
    run = Run(tmp_path, config, grader, Script([proposal(branch("small", lrs=(1e-4, 2e-4, 3e-4)))]))
    given = run.work()
    # Naive and one finalist on three seeds: the other methods are its near-twins.
    assert [one.purpose for one in given] == ["search"] * 6 + ["confirm"] * 6
    run.director.close()


def test_whoever_takes_a_confirmation_over_does_not_go_back_to_the_search(
    tmp_path: Path,
    config: RunConfig,
    grader: RemoteGrader,
    branch: Callable[..., Branch],
    proposal: Callable[..., Proposal],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The finalists are fixed by then, though a new process may find methods where the last one gave up."""
    script = Script([proposal(branch("small", lrs=tuple(i * 1e-4 for i in range(1, 13))))])
    run = Run(tmp_path, config, grader, script)
    with monkeypatch.context() as patch:
        patch.setattr("search.studies.branch_sampler.ATTEMPTS", 1)
        run.work(until="c00004")
    assert run.record.ended("completed") + run.record.ended("pruned") < 8
    run.restart()
    assert [one.trial for one in run.work()] == [f"c{i:05d}" for i in range(4, 7)]
    run.director.close()


def test_no_method_is_tried_twice_also_by_two_branches_and_two_processes(
    tmp_path: Path,
    config: RunConfig,
    grader: RemoteGrader,
    branch: Callable[..., Branch],
    proposal: Callable[..., Proposal],
) -> None:
    overlapping = proposal(branch("a", lrs=(1e-4, 2e-4, 3e-4)), branch("b", lrs=(2e-4, 3e-4, 4e-4)))
    run = Run(tmp_path, config, grader, Script([overlapping]))
    run.work(until="t00003")
    run.restart()
    run.work()
    tried = [trial.method.optim.lr for trial in run.record.of_purpose("search")]
    assert sorted(tried) == [1e-4, 2e-4, 3e-4, 4e-4]
    run.director.close()


def test_a_first_proposal_that_cannot_run_ends_the_run(
    tmp_path: Path, config: RunConfig, grader: RemoteGrader, branch: Callable[..., Branch]
) -> None:
    bad = branch("bad", lrs=(5.0,))
    run = Run(tmp_path, config, grader, Script([Proposal(branches=(bad,), rationale="")]))
    with pytest.raises(SearchFailedError, match="first proposal has no branch that can run"):
        run.director.next()
    assert not run.events("proposed")
    run.director.close()


def test_only_the_branches_that_pass_the_checks_start(
    tmp_path: Path,
    config: RunConfig,
    grader: RemoteGrader,
    branch: Callable[..., Branch],
    proposal: Callable[..., Proposal],
    caplog: pytest.LogCaptureFixture,
) -> None:
    mixed = proposal(branch("bad", lrs=(5.0, 6.0)), branch("good"))
    run = Run(tmp_path, config, grader, Script([mixed]))
    assert run.director.next() is not None
    assert list(run.record.branches) == ["good"]
    assert "round 1: branches[0]" in caplog.text
    run.director.close()


# Memory


def test_a_trial_that_ran_out_of_memory_starts_again_with_a_smaller_micro_batch(run: Run) -> None:
    while (first := run.patient_next()).rungs == (1 / 3,):
        run.finish(first)
    assert first.micro_batch is None
    run.director.out_of_memory(first.trial, 16)
    again = run.patient_next()
    assert again == first.model_copy(update={"micro_batch": 16})
    run.restart()
    assert run.patient_next() == again
    run.report(again, 1.0, pgr=0.5)
    assert run.record.trials[first.trial].state == "completed"
    assert [event.micro_batch for event in run.events("micro_batch_halved")] == [16]


def test_a_micro_batch_that_was_halved_on_the_way_is_in_the_ledger(run: Run) -> None:
    given = run.director.next()
    rung = RungReached(
        trial=given.trial,
        share=1 / 3,
        predictions=pack(answers(SEARCH_TRUTH, 0.5)),
        setup_s=0,
        train_s=1,
        eval_s=1,
    )
    run.director.report(rung, [8, 4])
    assert [event.micro_batch for event in run.events("micro_batch_halved")] == [8, 4]
    assert run.record.trials[given.trial].micro_batch == 4


# Lost workers


GONE = "its worker was lost: the node died"


def lose(run: Run, assignment: Assignment, *, begun: bool = True) -> None:
    run.director.lost(assignment.trial, GONE, "10.0.0.1", begun=begun)


def test_a_trial_whose_worker_is_lost_starts_again_before_any_other(run: Run) -> None:
    given = run.director.next()
    for _ in range(run.config.faults.retries):
        lose(run, given)
        assert run.director.next() == given
    assert run.director.next().trial == "t00002"
    run.finish(given)
    lose(run, given)  # told late: it waits at its rung, and nothing of it is lost
    assert [(event.trial, event.node) for event in run.events("worker_lost")] == [("t00001", "10.0.0.1")] * 2


def test_a_trial_out_of_retries_has_failed_and_takes_its_share_of_the_budget(run: Run) -> None:
    """What it trained again is not charged to the search, and nobody takes its place."""
    given, unlucky = 0.0, None
    while (assignment := run.patient_next()).purpose == "search":
        given += 1 / 3 if assignment.rungs == (1 / 3,) else 2 / 3
        if assignment.rungs == (1.0,) and unlucky is None:
            unlucky = assignment
            for _ in range(2):
                lose(run, unlucky)
                assert run.director.next() == unlucky
            lose(run, unlucky)
        else:
            run.finish(assignment)
    run.finish(assignment)
    run.work()
    assert given == pytest.approx(8 / 3 + 4 * 2 / 3)  # as without any loss
    trial = run.record.trials[unlucky.trial]
    assert (trial.state, trial.cause, list(trial.rungs)) == ("failed", GONE, [1 / 3])
    assert run.report(unlucky, 1.0, pgr=1.0) == "stop"
    run.check_optuna()
    [found] = [one for one in brief(run.config, run.record).trials if one.trial == unlucky.trial]
    assert (found.state, found.cause, found.pgr) == ("failed", GONE, trial.rungs[1 / 3].pgr)
    answers = run.grader.open_test(sealed_predictions(run.config, run.record))
    outcome = result(run.record, confirm(run.config, run.record, answers), answers.baseline_scores)
    # Eight started and four went on, of whom one failed.
    assert outcome["trials"] == {"completed": 3, "pruned": 4, "failed": 1}
    assert outcome["grader_queries"]["search"] == 8 + 3
    assert unlucky.method.model_dump() not in [one["method"] for one in outcome["finalists"]]


def test_workers_that_were_gone_before_a_trial_began_cost_it_no_retry_but_end_the_run_at_last(
    run: Run,
) -> None:
    given = run.director.next()
    for _ in range(run.config.faults.workers):
        lose(run, given, begun=False)
        assert run.director.next() == given
    with pytest.raises(SearchFailedError, match=r"11 workers were lost in 1 trials, .* on node 10\.0\.0\.1"):
        lose(run, given, begun=False)
    assert run.record.trials[given.trial].state is None  # a resumed run starts it again


def test_a_resumed_run_counts_retries_from_zero(run: Run) -> None:
    given = run.director.next()
    for _ in range(2):
        for _ in range(run.config.faults.retries):
            lose(run, given)
            assert run.director.next() == given
        run.restart()
        assert run.director.next() == given
    assert run.record.trials[given.trial].state is None


# Restarts


def key_of(event: AnyEvent) -> tuple[object, ...]:
    return (
        event.event,
        getattr(event, "trial", None),
        getattr(event, "share", None),
        getattr(event, "round", None),
    )


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_at_every_event_loses_nothing_and_repeats_nothing(run: Run, moment: str) -> None:
    """Each event kills the process the first time that it comes up, before or after it is written."""
    killed: set[tuple[object, ...]] = set()
    armed = True

    def crash(event: AnyEvent) -> None:
        if armed and not isinstance(event, Resumed) and key_of(event) not in killed:
            killed.add(key_of(event))
            raise CrashError

    def revive() -> None:
        while True:
            with suppress(CrashError):
                run.restart()
                return

    setattr(run, moment, crash)
    revive()
    finished: set[str] = set()
    while not run.director.done:
        try:
            assignment = run.patient_next()
            if assignment is None:
                break
            assert assignment.trial not in finished
            run.finish(assignment)
        except CrashError:
            revive()
        finished = {event.trial for event in run.events("trial_ended")}
    armed = False
    check_whole(run)
    in_ledger = {key_of(event) for event in read_ledger(run.path / "ledger.jsonl")}
    assert killed == {key for key in in_ledger if key[1] or key[0] == "proposed"}
    assert len(run.events("resumed")) == len(killed) + 1


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_new_process_after_every_call_loses_nothing_and_repeats_nothing(run: Run, seeds: int) -> None:
    """Between calls, when the ledger and Optuna both know of the last one; without replicates and with."""
    replication = ReplicationConfig(methods=4, seeds=seeds)
    run.config = run.config.model_copy(update={"replication": replication})
    run.restart()
    while assignment := run.patient_next():
        run.restart()
        assert run.patient_next() == assignment  # it had not ended: it is given out again, and as it was
        run.finish(assignment)
        run.restart()
    check_whole(run)


def test_seeds_are_earned_in_stages_and_every_answer_is_counted(run: Run) -> None:
    run.config = run.config.model_copy(update={"replication": ReplicationConfig(methods=4, seeds=3)})
    run.restart()
    run.work()
    replicates = list(run.record.of_purpose("replicate"))
    *first, second, third = replicates
    assert [trial.trial for trial in replicates] == [f"r{i:05d}" for i in range(1, len(replicates) + 1)]
    assert [trial.seed for trial in replicates] == [10_001] * len(first) + [10_002] * 2
    assert {second.method, third.method} < {trial.method for trial in first}
    graded = sum(len(t.rungs) for t in run.record.trials.values() if t.purpose != "confirm")
    assert run.record.grader_queries == {"search": graded}


def check_whole(run: Run) -> None:
    """All that was planned is done once, and Optuna agrees."""
    ended = Counter(event.trial for event in run.events("trial_ended"))
    replicates = len(planned_replication(run.config, run.record))
    planned = [f"{c}{i + 1:05d}" for c, n in (("t", 8), ("r", replicates), ("c", 9)) for i in range(n)]
    assert ended == Counter(planned)
    assert len({trial.method for trial in run.record.of_purpose("search")}) == 8
    assert [event.round for event in run.events("proposed")] == [1, 2]
    assert all(isinstance(event, Proposed) for event in run.events("proposed"))
    assert len(sealed_predictions(run.config, run.record)) == 3
    run.check_optuna()


def test_after_a_restart_trials_are_judged_against_those_from_before(alone: Run) -> None:
    started(alone, 0.9, 0.8, 0.7)
    alone.restart()
    [hopeless] = started(alone, -0.5)
    assert hopeless.trial == "t00004"
    assert alone.record.trials[hopeless.trial].state == "pruned"


def test_after_a_restart_paused_trials_wait_as_before(run: Run) -> None:
    first, second = started(run, 0.9, 0.8)
    run.restart()
    assert [trial.trial for trial in run.record.unfinished()] == [first.trial, second.trial]
    assert {run.patient_next().trial for _ in range(2)} == {"t00003", "t00004"}


def test_the_budget_is_not_spent_twice_over_restarts(run: Run) -> None:
    given = 0.0
    while (assignment := run.patient_next()) and assignment.purpose == "search":
        given += 1 / 3 if assignment.rungs == (1 / 3,) else 2 / 3
        run.finish(assignment)
        run.restart()
    assert given == pytest.approx(8 / 3 + 4 * 2 / 3)


def test_restarted_trials_come_first_in_their_order(run: Run) -> None:
    running = [run.patient_next() for _ in range(3)]
    run.finish(running[1])
    run.restart()
    assert [run.patient_next() for _ in range(2)] == [running[0], running[2]]
    assert run.patient_next().trial == "t00004"
