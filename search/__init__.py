"""Many trials: the loop, Optuna, Ray Tune, grading, pruning, the command line.

`from search import run, load, compare` and the other names of `__all__` are the Python API, see docs/api.md.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.api import (
        Run,
        check,
        compare,
        configure,
        load,
        method,
        methods,
        run,
        train,
    )

__all__ = ["Run", "check", "compare", "configure", "load", "method", "methods", "run", "train"]


def __getattr__(name: str) -> Any:
    """A name of the API, loaded when it is first asked for: importing this package costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module 'search' has no attribute {name!r}")
    from search import api

    return getattr(api, name)


def __dir__() -> list[str]:
    """The names of the API."""
    return __all__
