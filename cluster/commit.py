"""The running code: its commit, its sources and the libraries that it computes with."""

import hashlib
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from cluster.environment import inherited

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
            env=inherited(os.environ),  # a repository's settings may run programs
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip()


LIBRARIES = ("deepspeed", "numpy", "optuna", "peft", "ray", "torch", "transformers")
PACKAGES = ("agents", "cluster", "search", "trainers")


def running_code() -> dict[str, str]:
    """What the numbers of a run depend on beside its config: commit, sources, Python and libraries.

    sources: a digest of this project's Python files, which tells local changes apart that a commit does not.
    """
    versions = {name: _version(name) for name in LIBRARIES}
    return {"commit": commit(), "sources": _sources(), "python": platform.python_version()} | versions


def _sources() -> str:
    root, sha = Path(__file__).parent.parent, hashlib.sha256()
    for file in sorted(file for package in PACKAGES for file in (root / package).rglob("*.py")):
        sha.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return sha.hexdigest()[:16]


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "unknown"


def other_code(then: dict[str, str], now: dict[str, str]) -> str:
    """What of the code has changed, such as "torch 2.11.0 → 2.13.0"; "" if nothing has."""
    return ", ".join(
        f"{name} {_short(then[name])} → {_short(now[name])}"
        for name in then
        if name in now and then[name] != now[name]
    )


def _short(value: str) -> str:
    return value if len(value) <= 16 else f"{value[:10]}{'+' if value.endswith('+') else ''}"
