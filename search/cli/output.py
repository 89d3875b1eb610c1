"""Where commands write: people read the console, scripts read JSON on stdout.

Text from data, a proposal or a file's name never moves a terminal's cursor: what leaves through here is
printable.
"""

import json
import logging
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from types import TracebackType
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from trainers.printable import log_to_stderr, one_line, printable

FAILED, INPUT_MISTAKE = 1, 2
PIPE_WIDTH = 140  # columns where the output is no terminal

_kept: list[TextIO] = []  # stdout, innermost last, while it is kept for `write_json`


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


@contextmanager
def stdout_for_json(*, wanted: bool = True) -> Iterator[None]:
    """Keep stdout for `write_json` while the block runs; whatever else is written there goes to stderr.

    Libraries print on stdout, some only if a variable of the environment says so, and so may the processes
    that this one starts: both the stream of this process and its file descriptor are led away.
    """
    if not wanted:
        yield
        return
    with _descriptor_led_away() as stdout, redirect_stdout(sys.stderr):
        _kept.append(stdout)
        try:
            yield
        finally:
            _kept.pop()
            stdout.flush()


@contextmanager
def _descriptor_led_away() -> Iterator[TextIO]:
    """The real stdout, while file descriptor 1 leads to stderr; sys.stdout itself if it is another file."""
    sys.stdout.flush()
    try:
        os.fstat(2)
        real = os.dup(1)
    except OSError:  # started without a stdout or a stderr
        yield sys.stdout
        return
    try:
        with open(real, "w", encoding="utf-8", closefd=False) as stdout:
            os.dup2(2, 1)
            yield stdout if _is_descriptor_1(sys.stdout) else sys.stdout
    finally:
        os.dup2(real, 1)
        os.close(real)


def _is_descriptor_1(stream: TextIO) -> bool:
    """Whether a stream is the process's stdout; that of a test that captures it is not."""
    with suppress(OSError, ValueError, AttributeError):
        return stream.fileno() == 1
    return False


def stdout_is_done() -> None:
    """Lead what libraries print at the end of the process to stderr: the answer is written."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        os.dup2(2, 1)


def write_json(values: Any, *, indent: int | None = None) -> None:
    """JSON on stdout, in one line unless indented."""
    stream = _kept[-1] if _kept else sys.stdout
    stream.write(json.dumps(values, indent=indent) + "\n")
    stream.flush()


def complain(message: str, code: int) -> int:
    """One red line on stderr; returns the exit code."""
    PrintableConsole(stderr=True).print(one_line(message), style="red", highlight=False, soft_wrap=True)
    return code


def show_warnings() -> None:
    """Show warnings and errors of all packages, Python's own included, on stderr, a printable line each."""
    log_to_stderr("%(levelname)s %(name)s: %(message)s")
    logging.captureWarnings(True)
    sys.excepthook = _show


def _show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A traceback of what nobody expected."""
    sys.stderr.write(printable("".join(traceback.format_exception(kind, error, trace))))
