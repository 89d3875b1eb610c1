"""The commit of the running code."""

import os
import subprocess
from pathlib import Path

COMMIT = "SEARCH_COMMIT"  # the commit, for a copy of the code without a repository


def commit() -> str:
    """The commit of the running code, with a plus sign if it has local changes, or "unknown".

    A job's copy of the code has no repository: its submitter passes the commit in SEARCH_COMMIT.
    """
    if passed := os.environ.get(COMMIT):
        return passed
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
