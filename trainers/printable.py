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


def is_a_word(text: str) -> bool:
    """Whether a text is one printable word of ASCII, as every key is."""
    return text.isascii() and text.isprintable() and text != "" and " " not in text


def log_to_stderr(form: str) -> None:
    """Send warnings and errors of all packages to stderr, a printable line each. form: see logging."""
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter(form))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


class PrintableFormatter(logging.Formatter):
    """A message in one line, and a traceback below it, both printable whatever they quote."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: D102, N802  # logging's own
        return one_line(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: D102, N802  # logging's own
        return printable(super().formatException(ei))
