"""Text from data, models and file names, made harmless for a terminal."""

import logging
from typing import Any


def printable(text: str) -> str:
    """Replace each character that could move a cursor, change colors or hide text with a question mark.

    Line ends stay.
    """
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)


def one_line(text: str) -> str:
    """A printable text without line ends, so that it cannot pass for several lines of a log."""
    return printable(" ".join(text.splitlines()))


class PrintableFormatter(logging.Formatter):
    """A message in one line, and a traceback below it, both printable whatever they quote."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: D102, N802  # logging's own
        return one_line(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: D102, N802  # logging's own
        return printable(super().formatException(ei))
