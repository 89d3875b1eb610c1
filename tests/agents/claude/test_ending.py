from types import SimpleNamespace
from typing import Any

import pytest

from agents.claude.budget import AccountClosedError, BudgetSpentError
from agents.claude.conversation import NoProposalError
from agents.claude.ending import Ending, ending

CLAUDE: Any = SimpleNamespace(plain=lambda error: str(error).replace("the key", "…"))


def raising(error: Exception) -> Any:
    def run() -> None:
        raise error

    return run


def test_a_conversation_that_ends_well_has_nothing_to_tell() -> None:
    done: list[int] = []
    assert ending(lambda: done.append(1), CLAUDE, "a lane") == Ending(why=None, spent=False)
    assert done == [1]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (NoProposalError("the key is wrong"), Ending(why="… is wrong")),
        (AccountClosedError("the run has ended"), Ending(why="the run has ended")),
        (BudgetSpentError("the budget is spent"), Ending(why="the budget is spent", spent=True)),
        (KeyError("the key"), Ending(why="KeyError: '…'")),
    ],
)
def test_what_it_raises_is_told_without_the_key(error: Exception, told: Ending) -> None:
    assert ending(raising(error), CLAUDE, "a lane") == told


def test_what_nobody_foresaw_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    ending(raising(ZeroDivisionError("0")), CLAUDE, "lane 2")
    assert "lane 2 failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_who_interrupts_the_process_is_not_in_the_way() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ending(interrupted, CLAUDE, "a lane")
