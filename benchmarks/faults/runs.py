"""Small runs as real processes that faults can be done to, and the check that nothing was lost by them."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from search.ledger.events import TrialEnded
from search.ledger.log import read_ledger
from search.ledger.record import Record, TrialRecord
from search.storage.run_directory import RunDirectory
from search.studies.storage import open_journal

REPO = Path(__file__).parents[2]
PRETRAIN_STEPS = 250
# The offline task in a size at which a whole search takes seconds and there still is a gap to recover.
SMALL_TASK = [
    "task.splits={weak_train: 300, transfer: 300, search: 300, test: 400}",
    "weak.optim={lr: 0.01, epochs: 3, batch_size: 32}",
    f"strong.model.pretrain_steps={PRETRAIN_STEPS}",
    "strong.optim={lr: 0.002, epochs: 2, batch_size: 32}",
    "baselines.seeds=2",
]
SMALL = [
    *SMALL_TASK,
    "search.trials=8",
    "search.round_trials=4",
    "replication={methods: 2, seeds: 2}",
    "confirm={finalists: 2, seeds: 2}",
]
STATES = {"completed": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
PATIENCE_S = 400.0


@dataclass(frozen=True)
class Driver:
    """A driver's process, and all it started: those whose environment names the same folder of faults."""

    process: subprocess.Popen[str]
    faults: Path

    def wait(self, timeout_s: float = PATIENCE_S) -> tuple[int, str, str]:
        """Exit code, output and errors."""
        output, errors = self.process.communicate(timeout=timeout_s)
        return self.process.returncode, output, errors

    def others(self, title: str = "") -> list[int]:
        """Processes of the run, apart from the driver, whose title holds this text."""
        mark = f"PLANTED_FAULTS={self.faults}".encode()
        return [
            pid
            for pid, environment, line in _processes()
            if pid != self.process.pid and mark in environment.split(b"\0") and title.encode() in line
        ]

    def kill_one(self, title: str) -> None:
        """SIGKILL for one process with this text in its title, as soon as there is one."""

        def killed() -> bool:
            found = self.others(title)
            if found:
                os.kill(found[0], signal.SIGKILL)
            return bool(found)

        self.wait_for(killed)

    def wait_for(self, reached: Callable[[], bool]) -> None:
        """Until the condition holds; RuntimeError if the driver ends before."""
        deadline = time.monotonic() + PATIENCE_S
        while not reached():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the driver has ended too early: {self.wait()}")
            time.sleep(0.02)


def _processes() -> Iterator[tuple[int, bytes, bytes]]:
    """Every readable process: its number, environment and command line."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                yield int(folder.name), (folder / "environ").read_bytes(), (folder / "cmdline").read_bytes()
            except OSError:  # it has ended, or is another user's
                continue


@dataclass(frozen=True)
class Site:
    """One run: its directory, the cache that runs share, and what is planted in its trials."""

    out: Path
    cache: Path
    settings: Sequence[str] = ()

    @property
    def faults(self) -> Path:
        """The folder of faults that wait to be met; see benchmarks/faults/planted."""
        return self.out.parent / f"{self.out.name}-faults"

    @property
    def ledger(self) -> Path:
        """The run's ledger."""
        return self.out / "ledger.jsonl"

    def plant(self, *names: str) -> None:
        """Have trials meet these faults, in the order of their names."""
        self.faults.mkdir(exist_ok=True)
        for name in names:
            (self.faults / name).touch()

    def baselines(self) -> Driver:
        """Fill the cache: without models and baselines in it, they would meet the faults."""
        return self._start("baselines", "configs/dev.yaml", *self._set())

    def run(self) -> Driver:
        """Start the run."""
        return self._start("run", "configs/dev.yaml", "--out", str(self.out), *self._set())

    def _set(self) -> list[str]:
        settings = [*SMALL, f"cache={self.cache}", *self.settings]
        return [part for one in settings for part in ("--set", one)]

    def resume(self) -> Driver:
        """Go on with it."""
        return self._start("resume", str(self.out))

    def _start(self, *arguments: str) -> Driver:
        self.plant()
        places = [
            str(REPO / "benchmarks" / "faults" / "planted"),
            str(REPO),
            os.environ.get("PYTHONPATH", ""),
        ]
        process = subprocess.Popen(
            [sys.executable, "-m", "search", *arguments],
            cwd=REPO,
            env=os.environ | {"PYTHONPATH": ":".join(places), "PLANTED_FAULTS": str(self.faults)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return Driver(process, self.faults)

    def lines(self) -> int:
        """Whole lines of the ledger."""
        return self.ledger.read_bytes().count(b"\n") if self.ledger.is_file() else 0

    def count(self, event: str) -> int:
        """How many events of a kind the ledger holds."""
        return self.ledger.read_text().count(f'"event":"{event}"') if self.ledger.is_file() else 0


def problems(out: Path) -> list[str]:
    """What is wrong with a finished run, a line each; [] if every trial is there exactly once everywhere."""
    _, record = RunDirectory(out).load()
    events = read_ledger(out / "ledger.jsonl")
    outcome = json.loads((out / "result.json").read_text())
    return [
        *_ledger_problems(record, [event for event in events if isinstance(event, TrialEnded)]),
        *_optuna_problems(record, out / "optuna.log"),
        *_outcome_problems(record, outcome),
    ]


def _ledger_problems(record: Record, ends: Sequence[TrialEnded]) -> Iterator[str]:
    if not record.finished:
        yield "the ledger has no end"
    for trial, times in Counter(end.trial for end in ends).items():
        if times != 1:
            yield f"{trial} ends {times} times in the ledger"
    for trial in record.unfinished():
        yield f"{trial.trial} never ends in the ledger"
    for one in record.trials.values():
        if one.state == "completed" and 1.0 not in one.rungs:
            yield f"{one.trial} completed without its last rung"
    methods = Counter(trial.method.digest for trial in record.of_purpose("search"))
    if methods and max(methods.values()) > 1:
        yield "a method was searched twice"


def _optuna_problems(record: Record, journal: Path) -> Iterator[str]:
    storage = open_journal(journal)
    for branch in record.branches:
        told = {trial.number: trial for trial in optuna.load_study(study_name=branch, storage=storage).trials}
        for trial in record.of_purpose("search"):
            if trial.branch == branch and trial.number is not None:
                yield from _told_problems(trial, told.pop(trial.number, None))
        for number, trial_told in told.items():  # draws that were refused, or that a crash came between
            if trial_told.state != TrialState.FAIL:
                yield f"study {branch} has a trial {number} that the ledger does not know: {trial_told.state}"


def _told_problems(trial: TrialRecord, told: optuna.trial.FrozenTrial | None) -> Iterator[str]:
    if told is None:
        yield f"{trial.trial} is not in its study"
        return
    if trial.state is None or told.state != STATES[trial.state]:
        yield f"{trial.trial} is {trial.state} in the ledger, {told.state} in its study"
    if trial.state == "completed" and told.value != trial.final_pgr:
        yield f"{trial.trial} has PGR {trial.final_pgr} in the ledger, {told.value} in its study"


def _outcome_problems(record: Record, outcome: dict[str, Any]) -> Iterator[str]:
    counts = Counter(trial.state for trial in record.trials.values() if trial.purpose != "confirm")
    if outcome["trials"] != {state: counts[state] for state in STATES}:
        yield f"result.json counts {outcome['trials']}, the ledger {dict(counts)}"
    if outcome["grader_queries"] != dict(record.grader_queries):
        yield f"result.json has {outcome['grader_queries']} queries, the ledger {dict(record.grader_queries)}"
    if outcome["finalists"][0] != outcome["best"]:
        yield "the best is not the first finalist"
    confirmed = {trial.method.digest for trial in record.of_purpose("confirm")}
    if len(confirmed) < 1 + len(outcome["finalists"]):
        yield "there are more finalists than methods in the confirmation"
    for one in (outcome["naive"], *outcome["finalists"]):
        low, high = one["ci95"]
        if not (math.isfinite(one["pgr"]) and one["se"] >= 0 and low <= one["pgr"] <= high):
            yield f"no PGR with its error: {one}"
