"""Evidence that the component under test must not ask for."""

from typing import NoReturn


def unasked() -> NoReturn:
    """Fail: the evidence was computed."""
    raise AssertionError("this component has no need of it")
