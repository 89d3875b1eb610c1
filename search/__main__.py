"""The command line: python -m search run configs/dev.yaml"""

import logging
import os
import signal
import sys
from collections.abc import Sequence

from rich.console import Console

from search.cli.parser import FAILED, INPUT_MISTAKE, INTERRUPTED, parser

PIPE_WIDTH = 140  # columns where the output is no terminal


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    0 success, 1 a failed run, 2 a mistake in the input, 130 interrupted with everything saved.
    """
    options = parser().parse_args(arguments)
    stream = sys.stderr if getattr(options, "json", False) else sys.stdout  # a script reads stdout
    console = Console(file=stream, width=None if stream.isatty() else PIPE_WIDTH)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    os.environ.setdefault("TQDM_DISABLE", "" if sys.stderr.isatty() else "1")
    try:
        code = options.command(options, console)
    except ValueError as error:
        return _say(f"error: {error}", INPUT_MISTAKE)
    except (RuntimeError, OSError) as error:
        return _say(f"failed: {error}", FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    return code or 0


def _say(message: str, code: int) -> int:
    Console(stderr=True).print(message, style="red", highlight=False, markup=False, soft_wrap=True)
    return code


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # before anything is under way, as Ctrl-C
    sys.exit(main())
