"""The URL of a database: which parts of it must come from the environment, and how they get there.

A config is copied to config.yaml, to the report and to colleagues: a password in it would be everybody's. And
a config from elsewhere must not send a key of this machine to another host. So a secret part is written
${OPTUNA_NAME}, and no other variable is filled in.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

EXAMPLE = "postgresql://me:${OPTUNA_PASSWORD}@host/db"
_VARIABLE = re.compile(r"\$\{(OPTUNA_\w+)\}")
_SECRET_OPTION = re.compile(r"pass(?!file)|pwd|secret|token|credential|api_?key|auth", re.IGNORECASE)
_NESTED = re.compile(r"\b(?:password|passwd|pwd)\s*[=:]", re.IGNORECASE)  # a connection string as an option


def checked(url: str) -> "URL":
    """A database's URL in its parts, variables as they are written.

    Raises ValueError, which repeats no part of the URL, if it is none, holds a password, or names a variable
    that does not begin with OPTUNA_.
    """
    from sqlalchemy.engine import make_url  # takes a moment to import, and few configs name a database
    from sqlalchemy.exc import ArgumentError

    try:
        parts = make_url(url)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        raise ValueError(f"storage must be a database's URL, such as {EXAMPLE}") from None
    if "$" in _VARIABLE.sub("", url):
        raise ValueError(
            "storage may name only variables that begin with OPTUNA_, written ${OPTUNA_NAME}, as in "
            f"{EXAMPLE}"
        )
    for text in (parts.password, *_secret_options(parts)):
        if text and not _VARIABLE.fullmatch(str(text)):
            raise ValueError(f"storage must name its password's variable, as in {EXAMPLE}")
    return parts


def _secret_options(parts: "URL") -> list[str]:
    """The values after the question mark that hold a password or the like."""
    return [
        value
        for name, values in parts.normalized_query.items()
        for value in values
        if _SECRET_OPTION.search(name) or _NESTED.search(value)
    ]


def filled(url: str, environment: Mapping[str, str]) -> tuple["URL", list[str]]:
    """A checked URL with its variables filled in, and the values that came from the environment.

    A value may hold any character: it is put into its part of the URL, not into the text. Raises ValueError
    if a variable is not set.
    """
    parts, used = checked(url), list[str]()

    def fill(text: str) -> str:
        def value(found: re.Match[str]) -> str:
            if not (value := environment.get(found[1])):
                raise ValueError(
                    f"optuna.storage: the environment has no {found[1]}; set it, then start again"
                )
            used.append(value)
            return value

        return _VARIABLE.sub(value, text)

    named = {"username": parts.username, "host": parts.host, "database": parts.database}
    changed = {name: fill(text) for name, text in named.items() if text and "$" in text}
    if parts.password:
        changed["password"] = fill(str(parts.password))
    query = {
        name: fill(value) if isinstance(value, str) else tuple(map(fill, value))
        for name, value in parts.query.items()
    }
    return parts.set(**changed, query=query), used


def without(text: str, secrets: list[str]) -> str:
    """A text in which three stars stand for each of the secrets."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
