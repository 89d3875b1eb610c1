"""The driver's keys in a file: on a cluster, Ray's own processes on the head must not hold them."""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

VARIABLE, DEFAULT = "KEYS", "~/.weak-to-strong-keys"
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)")


def keys_of(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of a file, a line NAME=value each, as far as the environment lacks them.

    KEYS names the file, else it is ~/.weak-to-strong-keys; it need not be there. Raises ValueError, which
    repeats no value, if it cannot be read, everybody may read it, or a line is no NAME=value.
    """
    file = Path(environment.get(VARIABLE) or DEFAULT).expanduser()
    try:
        status = file.stat()
        if status.st_mode & stat.S_IROTH and status.st_uid == os.getuid():  # a secret of Kubernetes is root's
            raise ValueError(f"{file}: everybody on this machine may read these keys; chmod 600 {file}")
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ValueError(f"{file}: the keys cannot be read ({reason})") from None
    found = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise ValueError(f"{file}, line {number}: must be NAME=value")
        found[match[1]] = _unquoted(match[2])
    return {name: value for name, value in found.items() if name not in environment}


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if quoted else value


def read_keys() -> None:
    """Add the file's variables to this process's environment."""
    os.environ.update(keys_of(os.environ))
