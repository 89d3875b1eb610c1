"""A cache by content: the key is a digest of everything the value depends on."""

import hashlib
import json
import secrets
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers.files import replacing

Arrays = dict[str, NDArray[Any]]


def digest(*parts: object) -> str:
    """A digest of 32 hex digits: arrays and bytes by content, other values by their JSON."""
    sha = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            sha.update(f"{part.dtype}{part.shape}".encode())
            sha.update(np.ascontiguousarray(part).tobytes())
        elif isinstance(part, bytes):
            sha.update(part)
        else:
            sha.update(json.dumps(part, sort_keys=True).encode())
        sha.update(b"\0")
    return sha.hexdigest()[:32]


def check_writable(cache: Path) -> None:
    """Raise ValueError, on one line, if nothing can be written below a folder; makes the folder."""
    probe = cache / f".probe.{secrets.token_hex(4)}"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        raise ValueError(
            f"cache {str(cache)!r} cannot be written ({error.strerror}): set `cache` to a folder that can be"
        ) from None


def load_arrays(path: Path) -> Arrays | None:
    """The arrays stored at `path`, or None if the file is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return dict(stored)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays so that a reader sees all of them or none, even if two processes write at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # its stub takes the names for allow_pickle
