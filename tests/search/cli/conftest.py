import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

REPO = Path(__file__).parents[3]
SLOWER = 2  # times as long as it should take, on a machine that is busy with something else
# A process reports what it took itself: what its parent can see starts with the parent's own memory.
REPORTING = """
import json, sys, time
from search.__main__ import main
try:
    code = main()
except SystemExit as error:  # the end of a completion
    code = error.code
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
heavy = sorted({"ray", "torch", "transformers", "datasets", "deepspeed"} & sys.modules.keys())
print(json.dumps([code, time.process_time(), int(peak) / 1024, heavy]), file=sys.stderr)
"""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A command in a process of its own: its exit code, its texts, and what it took."""

    code: int | None
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
