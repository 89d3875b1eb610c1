import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from agents.language.proposal import Branch, Proposal
from search.config.schema import RunConfig
from search.ledger.events import Interrupted, Proposed
from search.ledger.log import Ledger
from search.storage.run_directory import RunDirectory, new_run

REPO = Path(__file__).parents[3]
SLOWER = 2  # times as long as it should take, on a machine that is busy with something else
# A process reports what it took itself: what its parent can see starts with the parent's own memory.
REPORTING = """
import json, sys, time
from search.__main__ import main
code = main()
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
heavy = sorted({"ray", "torch", "transformers", "datasets", "deepspeed"} & sys.modules.keys())
print(json.dumps([code, time.process_time(), int(peak) / 1024, heavy]), file=sys.stderr)
"""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A command in a process of its own: its exit code, its texts, and what it took."""

    code: int
    output: str
    errors: str
    cpu_s: float
    peak_mb: float
    heavy: list[str]


@pytest.fixture(scope="session")
def measured() -> Callable[..., Measured]:
    """measured(word, ...): run a command, without any warm-up."""

    def run(*words: str, **environment: str) -> Measured:
        ran = subprocess.run(
            [sys.executable, "-c", REPORTING, *words],
            cwd=REPO,
            env={**os.environ, "PYTHONPATH": str(REPO), **environment},
            capture_output=True,
            text=True,
        )
        *errors, last = ran.stderr.splitlines()
        code, cpu_s, peak_mb, heavy = json.loads(last)
        return Measured(
            code=code,
            output=ran.stdout,
            errors="\n".join(errors),
            cpu_s=cpu_s,
            peak_mb=peak_mb,
            heavy=heavy,
        )

    return run


@pytest.fixture
def stopped(
    tmp_path: Path, config: RunConfig, events: SimpleNamespace, branch: Callable[..., Branch]
) -> RunDirectory:
    """A run of one completed trial that was interrupted."""
    run = new_run(tmp_path / "run", config)
    ledger = Ledger(run.ledger)
    proposal = Proposal(branches=(branch("one"),), rationale="")
    for event in (
        events.run_started(),
        Proposed(round=1, proposal=proposal, seconds=0),
        events.started("t1"),
        events.reached("t1", 1.0, 0.5),
        events.ended("t1"),
        Interrupted(),
    ):
        ledger.append(event)
    ledger.close()
    return run
