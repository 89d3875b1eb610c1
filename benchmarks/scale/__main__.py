"""The driver's cost in a campaign of ten thousand trials, and whether it grows with their number.

    python -m benchmarks.scale [--trials 10000] [--workers 8] [--quick] [--without-tune] [--profile FILE]

Everything but the training is what runs in production: proposer, director, Optuna's journal, stopping rule,
grader, ledger, findings, and Ray Tune with its workers, which answer at once
(tests/small_runs/no_training.py). --without-tune runs the director alone, one simulated worker after the
other, to tell its cost from Tune's.

Prints JSON. driver_s: the driver process's own CPU time, all its threads, for each time that a worker gets
something to do (a new trial, or one that goes on to its next rung), up to the 1,000th time and at the end.
ask_p95_ms: wall time of a `Director.next` that gave out a trial of the search; ask_cpu_p95_ms: its thread's
CPU time, which is the same on an idle machine. resume_s: the time to read the ledger and be ready to give out
the next trial, imports not counted.
"""

import argparse
import cProfile
import gc
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cluster.runtime import ray_runtime
from search.cli.output import stdout_for_json, write_json
from search.config.schema import RunConfig
from search.engine.assignment import Assignment
from search.engine.director import Director
from search.ledger.log import Ledger, read_ledger
from search.ledger.record import Record
from search.scoring.grader import Grader
from search.workers.member import Work
from search.workers.remote_grader import RemoteGrader
from search.workers.shared_arrays import SharedArrays
from search.workers.tune import run_trials
from tests.small_runs.no_training import NoTraining, rung_of
from tests.small_runs.untrained import begun, configured, labels, new_director

WINDOW = 500  # trials in each of the two windows that are compared


@dataclass
class Meter:
    """Watches a director at work: CPU seconds and asks by the number of trials of the search given out."""

    director: Director
    asks_ms: list[float] = field(default_factory=list)
    asks_cpu_ms: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._next = self.director.next
        self.director.next = self.next  # type: ignore[method-assign]  # to be timed

    def next(self) -> Assignment | None:
        """One ask, timed."""
        started, busy = time.perf_counter(), time.thread_time()
        assignment = self._next()
        if assignment is not None and assignment.purpose == "search":
            self.asks_ms.append((time.perf_counter() - started) * 1000)
            self.asks_cpu_ms.append((time.thread_time() - busy) * 1000)
            self.cpu_s.append(time.process_time())
        return assignment

    def driver_s(self, up_to: int) -> float:
        """CPU seconds a trial in the window that ends at this trial."""
        window = self.cpu_s[max(0, up_to - WINDOW) : up_to]
        return (window[-1] - window[0]) / (len(window) - 1)

    @staticmethod
    def p95(times: Sequence[float], up_to: int) -> float:
        """The 95th percentile in the window that ends at this trial."""
        return float(np.percentile(times[max(0, up_to - WINDOW) : up_to], 95))


def work_off(director: Director, workers: int) -> None:
    """Simulated workers in this process take turns until the director is done."""
    running: deque[tuple[Assignment, list[float]]] = deque()
    while not director.done:
        while len(running) < workers and (given := director.next()):
            running.append((given, list(given.rungs)))
        if not running:
            time.sleep(0.001)  # the proposer is thinking
            continue
        given, shares = running.popleft()
        if director.report(rung_of(given, shares.pop(0))) == "continue":
            running.append((given, shares))


def rss_mb() -> float:
    """Resident memory of this process."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def resume_s(config: RunConfig, out: Path, grader: Any) -> float:
    """Seconds until a new process could give out the next trial, imports not counted."""
    started = time.perf_counter()
    past = read_ledger(out / "ledger.jsonl")
    record = Record.of(past)
    ledger = Ledger(out / "ledger.jsonl", record.apply)
    director = new_director(config, out, record, ledger, grader, past)
    director.next()
    taken = time.perf_counter() - started
    director.close()
    ledger.close()
    return taken


def measure(trials: int, workers: int, tuned: bool, profile: Path | None) -> dict[str, Any]:
    """Run a campaign and return its cost."""
    config = configured(trials, workers)
    with ExitStack() as stack:
        out = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scale-")))
        if tuned:
            stack.enter_context(ray_runtime())
        grader = (RemoteGrader if tuned else Grader)(labels(), labels())
        before_mb = rss_mb()
        record, ledger = begun(out)
        director = new_director(config, out, record, ledger, grader)
        meter = Meter(director)
        profiler = cProfile.Profile() if profile else nullcontext()
        started = time.perf_counter()
        with profiler:
            if tuned:
                run_trials(
                    director,
                    Work(config=config, materials=None, shared=SharedArrays(), checkpoints=out),  # type: ignore[arg-type]  # a no-op needs none
                    workers,
                    lambda: None,
                    NoTraining,
                )
            else:
                work_off(director, workers)
        wall_s = time.perf_counter() - started
        director.close()
        ledger.close()
        if isinstance(profiler, cProfile.Profile) and profile:
            profiler.dump_stats(profile)
        gc.collect()
        late = len(meter.cpu_s)
        early = min(1000, late // 2)
        return {
            "trials": record.tally("search").started,
            "asks": late,
            "workers": workers,
            "tune": tuned,
            "branches": len(record.branches),
            "rounds": record.rounds,
            "wall_s": wall_s,
            "driver_s": {str(early): meter.driver_s(early), str(late): meter.driver_s(late)},
            "growth": meter.driver_s(late) / meter.driver_s(early),
            "ask_p95_ms": {str(at): meter.p95(meter.asks_ms, at) for at in (early, late)},
            "ask_cpu_p95_ms": {str(at): meter.p95(meter.asks_cpu_ms, at) for at in (early, late)},
            "driver_mb": rss_mb() - before_mb,
            "ledger_mb": (out / "ledger.jsonl").stat().st_size / 2**20,
            "resume_s": resume_s(config, out, grader),
        }


@stdout_for_json()
def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--quick", action="store_true", help="60 trials, two workers")
    parser.add_argument("--without-tune", action="store_true", help="the director alone")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="write cProfile's statistics there")
    options = parser.parse_args(arguments)
    trials, workers = (60, 2) if options.quick else (options.trials, options.workers)
    figures = measure(trials, workers, not options.without_tune, options.profile)
    write_json(figures, indent=2)
    return figures


if __name__ == "__main__":
    main()
