import errno
import os

import pytest
from rich.console import Console

from search import campaign
from search.cli.outcome import reach_outcome
from search.storage.run_directory import RunDirectory


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*given: object) -> None:
        raise error

    monkeypatch.setattr(campaign, "run_campaign", fail)


def test_a_full_disk_says_what_to_do(stopped: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    with pytest.raises(RuntimeError, match=r"No space left .* go on with: python -m search resume s3://b/r$"):
        reach_outcome(stopped, Console(), out="s3://b/r", as_json=False)


def test_another_error_of_the_machine_is_left_alone(
    stopped: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, OSError(errno.ENETDOWN, "down"))
    with pytest.raises(OSError, match="down"):
        reach_outcome(stopped, Console(), out="runs/x", as_json=False)


def test_an_interruption_says_how_to_go_on(
    stopped: RunDirectory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        reach_outcome(stopped, Console(), out="runs/x", as_json=True)
    assert "everything is saved. Go on with: python -m search resume runs/x" in capsys.readouterr().out
