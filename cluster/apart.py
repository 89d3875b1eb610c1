"""Runs a function in a process of its own, which inherits no key or password of this one."""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from cluster.environment import inherited, is_proxy

POLL_S = 0.2
ALSO = {"TQDM_DISABLE"}  # variables of this command's own
CODE = "import sys; from cluster.apart import answer; answer(int(sys.argv[1]))"


def apart(
    what: str,
    function: Callable[..., Any],
    *given: Any,
    passed_on: Collection[str] = (),
    every_poll: Callable[[], None] = lambda: None,
) -> Any:
    """What `function(*given)` returns in a new process; all of it is pickled.

    The process has the variables that workers have, proxies, and those named in passed_on. what: stands in
    errors. every_poll: called while it works. What every_poll raises, and a Ctrl-C, ends the process. Raises
    RuntimeError, on one line, if the function raises or its process ends.
    """
    ours, theirs = Pipe()
    with ours:
        with theirs, _ctrl_c_blocked():
            process = subprocess.Popen(
                [sys.executable, "-c", CODE, str(theirs.fileno())],
                env=_environment(passed_on),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        try:
            ours.send_bytes(pickle.dumps((function, given)))
            while not ours.poll(POLL_S):
                every_poll()
            returned, problem = ours.recv()
        except (EOFError, ConnectionError):
            code = process.wait()
            raise RuntimeError(f"{what} was killed (exit code {code}): is there enough memory?") from None
        finally:
            process.kill()
            process.wait()
    if problem is not None:
        raise RuntimeError(f"{what} failed: {problem}")
    return returned


@contextmanager
def _ctrl_c_blocked() -> Iterator[None]:
    """A process started in the block never sees a Ctrl-C, which is the caller's to handle: it ends it.

    A process that ignores Ctrl-C itself would meet one that comes while it still imports.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _environment(passed_on: Collection[str]) -> dict[str, str]:
    names = {*passed_on, *ALSO, *filter(is_proxy, os.environ)}
    path = [folder for folder in sys.path if folder]
    return inherited(os.environ, names) | {"PYTHONPATH": os.pathsep.join([*path, os.getcwd()])}


def answer(descriptor: int) -> None:
    """The other side: call the function that was sent and send back what it returns, or what it raises."""
    with Connection(descriptor) as caller:
        try:
            function, given = pickle.loads(caller.recv_bytes())
            said: Any = function(*given), None
        except Exception as error:  # it becomes the one line of the caller
            said = None, f"{type(error).__name__}: {' '.join(str(error).split())}"
        caller.send(said)
