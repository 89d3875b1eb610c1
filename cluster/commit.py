"""Which commit of the code is running."""

import os
import subprocess
from pathlib import Path

COMMIT = "SEARCH_COMMIT"  # names the commit where the code is a copy without a repository


def commit() -> str:
    """The commit of the code that runs, with a plus sign if it has been changed since, or "unknown".

    A job's copy of the code has no repository: whoever submitted it says which commit it is.
    """
    if told := os.environ.get(COMMIT):
        return told
    here = Path(__file__).parent
    try:
        head = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip()
