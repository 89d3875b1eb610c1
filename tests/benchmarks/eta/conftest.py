from tests.search.conftest import config, events

__all__ = ["config", "events"]
