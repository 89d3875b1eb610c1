import os
import signal
import time
from pathlib import Path

import pytest

from cluster.apart import apart


def own_environment() -> str:
    """All that this process began with, whatever Python has made of it since."""
    return Path("/proc/self/environ").read_text(errors="replace") + repr(os.environ)


def ctrl_c_is_blocked() -> bool:
    """Whether the main thread of this process has SIGINT blocked, which its own code never does."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return bool(int(fields["SigBlk"], 16) & 1 << (signal.SIGINT - 1))


def failing(text: str) -> None:
    raise KeyError(text)


def test_a_process_of_its_own_has_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "MY_OWN"):
        monkeypatch.setenv(name, f"marked-{name}")
    monkeypatch.setenv("HF_TOKEN", "passed")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:word@proxy")
    found = apart("it", own_environment, passed_on=["HF_TOKEN"])
    assert "marked" not in found
    assert "passed" in found
    assert "proxy" in found


@pytest.mark.parametrize(
    ("function", "given", "problem"),
    [
        (failing, "two\nlines", "it failed: KeyError: 'two\\\\nlines'"),
        (os._exit, 9, r"it was killed \(exit code 9\)"),
    ],
)
def test_a_process_that_fails_or_dies_is_one_line(function: object, given: object, problem: str) -> None:
    with pytest.raises(RuntimeError, match=problem):
        apart("it", function, given)  # type: ignore[arg-type]


def test_a_ctrl_c_is_for_the_caller_alone_from_the_start_of_the_process() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert apart("it", ctrl_c_is_blocked)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_what_the_caller_raises_ends_the_process() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        apart("it", time.sleep, 60, every_poll=interrupted)
