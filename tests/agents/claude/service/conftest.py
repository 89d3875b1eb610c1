"""A proposer whose model is a script, as in the tests beside this folder."""

from tests.agents.claude.conftest import proposer

__all__ = ["proposer"]
