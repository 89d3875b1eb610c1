"""Where commands write: people read the console, scripts read JSON on stdout.

Text from data, a proposal or a file's name never moves a terminal's cursor: what leaves through here is
printable.
"""

import json
import logging
import sys
import traceback
from collections.abc import Iterable
from types import TracebackType
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from trainers.printable import PrintableFormatter, one_line, printable

FAILED, INPUT_MISTAKE = 1, 2
PIPE_WIDTH = 140  # columns where the output is no terminal


class PrintableConsole(Console):
    """A console whose own styles are the only escape sequences; it reads no markup in a text."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(markup=False, emoji=False, **settings)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Rich's segments; those of text are printable."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


def console(*, as_json: bool = False) -> Console:
    """The console for people: stdout, unless a script reads its answer there."""
    stream = sys.stderr if as_json else sys.stdout
    return PrintableConsole(file=stream, width=None if stream.isatty() else PIPE_WIDTH)


def write(text: str) -> None:
    """Plain text on stdout."""
    sys.stdout.write(printable(text.expandtabs()))
    sys.stdout.flush()


def write_json(values: dict[str, Any]) -> None:
    """One line on stdout."""
    sys.stdout.write(json.dumps(values) + "\n")


def complain(message: str, code: int) -> int:
    """One red line on stderr; returns the exit code."""
    PrintableConsole(stderr=True).print(one_line(message), style="red", highlight=False, soft_wrap=True)
    return code


def log_to_stderr() -> None:
    """Warnings and errors of all packages, Python's own included, a printable line each."""
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.captureWarnings(True)
    sys.excepthook = _show


def _show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A traceback of what nobody expected."""
    sys.stderr.write(printable("".join(traceback.format_exception(kind, error, trace))))
