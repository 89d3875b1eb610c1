"""The command line: python -m search run configs/dev.yaml"""

import os
import signal
import sys
from collections.abc import Sequence

from typer import TyperException

from cluster.keys import read_keys
from search.cli.app import PROGRAM, command_line
from search.cli.commands.completion import VARIABLE
from search.cli.output import FAILED, INPUT_MISTAKE, complain, show_warnings, stdout_is_done


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    0 success, 1 a failed run, 2 a mistake in the input, 130 interrupted with everything saved.
    """
    show_warnings()
    os.environ.setdefault("TQDM_DISABLE", "" if sys.stderr.isatty() else "1")
    try:
        read_keys()
        code = command_line().main(arguments, prog_name=PROGRAM, complete_var=VARIABLE, standalone_mode=False)
    except TyperException as error:
        return complain(f"error: {_line(error)}", INPUT_MISTAKE)
    except ValueError as error:
        return complain(f"error: {error}", INPUT_MISTAKE)
    except (RuntimeError, OSError) as error:
        return complain(f"failed: {error}", FAILED)
    return code or 0  # that of an interruption, 130, comes from typer


def _line(error: TyperException) -> str:
    """A mistake in the command line, with the command that explains more."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else PROGRAM
    message = " ".join(error.format_message().split()).removeprefix("Invalid value: ")
    return f"{message.rstrip('.')}; see {command} --help"


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # before anything is under way, as Ctrl-C
    code = main()
    stdout_is_done()
    sys.exit(code)
