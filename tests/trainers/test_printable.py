import logging

import pytest

from trainers.printable import PrintableFormatter, is_a_word, one_line, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, größer, 比\nnext", "plain, größer, 比\nnext"),
        ("\x1b[31mred\x1b[0m", "?[31mred?[0m"),
        ("\x1b]0;title\x07", "?]0;title?"),
        ("\x9b2J", "?2J"),  # the one-byte CSI
        ("back\b\b\rover", "back???over"),
        ("right\u202eleft", "right?left"),
        ("half\udcff", "half?"),
        ("no\u2028line", "no?line"),
    ],
)
def test_what_a_terminal_would_obey_is_replaced(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_text_of_several_lines_is_one_line_of_a_log() -> None:
    assert one_line("a\nWARNING b\r\n\x1b[2Kc") == "a WARNING b ?[2Kc"


def test_a_log_line_and_its_traceback_are_printable() -> None:
    record = logging.LogRecord("data", logging.WARNING, "", 1, "column %s", ("\x1b[2J\nERROR x",), None)
    try:
        raise KeyError("\x1b]0;title\x07") from ValueError("\x9b1m")
    except KeyError as error:
        record.exc_info = (type(error), error, error.__traceback__)
    shown = PrintableFormatter("%(levelname)s %(message)s").format(record)
    first, *rest = shown.splitlines()
    assert first == "WARNING column ?[2J ERROR x"
    assert len(rest) > 5
    assert all(line.isprintable() for line in rest)


@pytest.mark.parametrize(
    ("text", "is_one"), [("sk-ant-1", True), ("", False), ("a b", False), ("a\nb", False), ("é", False)]
)
def test_a_key_is_one_word(text: str, is_one: bool) -> None:
    assert is_a_word(text) is is_one
