"""What only a GPU can tell, in parts that each run in a process of its own.

    python -m benchmarks.gpu all --out DIR [--cpu]      all parts, most telling first, in eight minutes
    python -m benchmarks.gpu PART --out DIR [--cpu]     one part: those of `all` are layers, short, checks and
                                                        campaign; cache runs by its name only
    python -m benchmarks.gpu plan CONFIG                what a run will take on a GPU; needs none
    python -m benchmarks.gpu [shape] [--shape Qwen3-4B] [--micro-batch N] [--checkpointing] [--quick | --tiny]

A part writes PART.json into the folder, after every row, and PART.log. It is stopped at its time limit; the
rows so far stay. `--cpu`, or `--tiny`, is a dry run of the same path in sizes that a CPU can take; without it
and without a GPU every part says that there is none, and measures nothing.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

LIMITS = {"layers": 100, "short": 165, "checks": 85, "campaign": 125}  # seconds
WHOLE = 475  # seconds for all of them
ALONE = ("cache",)  # the parts that `all` leaves out


def main() -> None:
    """Run what the first argument names."""
    command, *rest = sys.argv[1:] or ["shape"]
    if command == "plan":
        from benchmarks.gpu import plan

        plan.main(rest)
        return
    if command not in (*LIMITS, *ALONE, "all"):
        from benchmarks.gpu import shape

        shape.main(rest if command == "shape" else sys.argv[1:])
        return
    parser = argparse.ArgumentParser(prog=f"benchmarks.gpu {command}")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--cpu", "--tiny", dest="tiny", action="store_true", help="a dry run in sizes that a CPU can take"
    )
    arguments = parser.parse_args(rest)
    arguments.out.mkdir(parents=True, exist_ok=True)
    if command == "all":
        run_all(arguments.out, arguments.tiny)
    else:
        run_part(command, arguments.out, arguments.tiny)


def run_all(out: Path, tiny: bool) -> None:
    """Run every part, and print its table as soon as it has ended."""
    ends = time.monotonic() + (3600 if tiny else WHOLE)
    for part, limit in LIMITS.items():
        started = time.monotonic()
        ended = in_process(part, out, tiny, min(3600 if tiny else limit, max(1.0, ends - started)))
        print(f"\n{part}: {ended} after {time.monotonic() - started:.0f} s", flush=True)
        print(summary(out / f"{part}.json", out / f"{part}.log"), flush=True)


def in_process(part: str, out: Path, tiny: bool, limit: float) -> str:
    """Run a part in a process group of its own; returns how it ended."""
    command = [sys.executable, "-m", "benchmarks.gpu", part, "--out", str(out), *(["--tiny"] if tiny else [])]
    with (out / f"{part}.log").open("w") as log:
        started = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            code = started.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()
            return "stopped at its limit"
    return "done" if code == 0 else f"failed with exit code {code}"


def run_part(part: str, out: Path, tiny: bool) -> None:
    """Run a part in this process."""
    import torch

    from benchmarks.gpu import cache, campaign, checks, layers, short, work

    rows: list[work.Row] = []

    def record(row: work.Row) -> None:
        rows.append(row)
        print(json.dumps(row), flush=True)
        about = {"part": part, "device": work.card(), "torch": torch.__version__, "tiny": tiny}
        (out / f"{part}.json").write_text(json.dumps({**about, "rows": rows}, indent=1))

    if not tiny and not torch.cuda.is_available():
        record({"skipped": "there is no GPU here: --cpu is a dry run in small sizes"})
        return
    parts = {"layers": layers, "short": short, "checks": checks, "campaign": campaign, "cache": cache}
    parts[part].run(tiny, record)  # type: ignore[attr-defined]  # every part has a run


def summary(rows: Path, log: Path) -> str:
    """The table of a part; where it left no rows, the end of its log."""
    if not rows.exists():
        return "\n".join(log.read_text().splitlines()[-15:])
    found = json.loads(rows.read_text())
    return f"{found['device']}, torch {found['torch']}\n{table(found['rows'])}"


def table(rows: list[dict[str, Any]]) -> str:
    """Rows under the names of all their columns."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([_cell(row.get(name)) for name in names] for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(names))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells
    )


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value / 1e9:.1f} G" if abs(value) >= 10**9 else f"{value:,}"
    return "–" if value is None else str(value)


if __name__ == "__main__":
    main()
