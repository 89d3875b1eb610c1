"""Who may use a Ray that starts here: whoever holds its token."""

import contextlib
import logging
import os
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

log = logging.getLogger(__name__)

MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"


@contextlib.contextmanager
def with_token() -> Iterator[None]:
    """Give every Ray that starts in this block a random token, without which it refuses a client.

    Ray listens on every interface, so its ports are no secret. The token stands in the environment of the
    processes that Ray starts, and in no file, log or command line. What the user has set stays.
    """
    ours = chosen(os.environ)
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    _read_again()
    try:
        yield
    finally:
        for name, value in before.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value
        _read_again()


def chosen(environment: Mapping[str, str]) -> dict[str, str]:
    """What a Ray that asks for a token wants set; nothing where the user turned that off."""
    mode = environment.get(MODE, "").lower()
    if mode not in ("", "token"):
        log.warning("%s=%s: whoever reaches this machine's ports can run commands as you", MODE, mode)
        return {}
    has_token = environment.get(TOKEN) or environment.get(TOKEN_PATH)
    return {MODE: "token"} | ({} if has_token else {TOKEN: secrets.token_hex(32)})


def _read_again() -> None:
    """Have Ray read mode and token from the environment: it reads them once, when it is imported."""
    from ray import _raylet  # where Ray was not imported before, the token comes first

    raylet: Any = _raylet
    raylet.Config.initialize("")
    raylet.AuthenticationTokenLoader.instance().reset_cache()
