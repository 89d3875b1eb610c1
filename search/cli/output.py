"""Where commands write: people read the console, scripts read JSON on stdout."""

import json
import sys
from typing import Any

from rich.console import Console

FAILED, INPUT_MISTAKE = 1, 2
PIPE_WIDTH = 140  # columns where the output is no terminal


def console(*, as_json: bool = False) -> Console:
    """The console for people: stdout, unless a script reads its answer there."""
    stream = sys.stderr if as_json else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else PIPE_WIDTH)


def write_json(values: dict[str, Any]) -> None:
    """One line on stdout."""
    sys.stdout.write(json.dumps(values) + "\n")


def complain(message: str, code: int) -> int:
    """One red line on stderr; returns the exit code."""
    Console(stderr=True).print(message, style="red", highlight=False, markup=False, soft_wrap=True)
    return code
