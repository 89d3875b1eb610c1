"""The interface of whoever names draws within a round."""

from typing import Protocol, runtime_checkable

from agents.advice.beliefs import Beliefs
from agents.advice.suggestions import Advice
from agents.findings.findings import Findings


@runtime_checkable
class Adviser(Protocol):
    """Names draws of the branches that there are. A proposer that is no adviser is never asked."""

    def advise(self, findings: Findings, beliefs: Beliefs, most: int, request: int) -> Advice:
        """At most so many draws. request: the number of the request in this round, from 1.

        It may take minutes: the search goes on meanwhile.
        """
        ...
