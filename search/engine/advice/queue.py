"""The draws that the agent named and that have not started, and whose turn it is."""

from collections.abc import Container, Iterator

from agents.advice.suggestions import NamedDraw


def may_name(share: float, *, named: int, started: int) -> bool:
    """Whether the next draw may be the agent's: of all draws with it, at most this share are the agent's.

    named: those that started before. started: all that did.
    """
    return named + 1 <= share * (started + 1)


class NamedQueue:
    """Named draws in the order of their naming; each is handed out until its method starts."""

    def __init__(self) -> None:
        self._waiting: dict[str, NamedDraw] = {}  # by the digest of the plainest method

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, draw: NamedDraw) -> None:
        """Take a draw in; of two that compute the same, the first stays."""
        self._waiting.setdefault(draw.method.plainest.digest, draw)

    def started(self, digest: str) -> None:
        """A trial of this method, whoever named it, has started."""
        self._waiting.pop(digest, None)

    def ready(self, used_up: Container[str]) -> Iterator[NamedDraw]:
        """The draws of live branches, the oldest first."""
        return (draw for draw in list(self._waiting.values()) if draw.branch not in used_up)
