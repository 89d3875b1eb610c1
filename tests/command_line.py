"""What a line of the documentation asks of the command line, without doing it."""

from collections.abc import Sequence
from typing import Any

from search.cli.app import PROGRAM, command_line


def parse(words: Sequence[str]) -> dict[str, Any]:
    """The values of a command's arguments and options; TyperException where typer refuses the line."""
    group = command_line()
    context = group.make_context(PROGRAM, list(words))
    name, command, rest = group.resolve_command(context, list(words))
    assert command is not None
    values: dict[str, Any] = command.make_context(name, rest, parent=context).params
    return values
