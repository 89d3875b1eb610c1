"""How a conversation ended: well, or why not. The boundary of an agent, whose failure costs its own part."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from agents.claude.budget import AccountClosedError, BudgetSpentError
from agents.claude.conversation import NoProposalError
from agents.claude.messages import Claude

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Ending:
    """why: what it came to nothing by, None if it ended well. spent: whether the budget ran out."""

    why: str | None = None
    spent: bool = False


def ending(run: Callable[[], object], claude: Claude, about: str) -> Ending:
    """Run a conversation; what it raises is told, with the key blotted out. about: who asks, for the log."""
    try:
        run()
    except (NoProposalError, AccountClosedError) as error:
        return Ending(why=claude.plain(error))
    except BudgetSpentError as error:
        return Ending(why=str(error), spent=True)
    except Exception as error:  # the boundary of an agent: the round goes on
        log.exception("%s failed", about)
        return Ending(why=f"{type(error).__name__}: {claude.plain(error)}")
    return Ending()
