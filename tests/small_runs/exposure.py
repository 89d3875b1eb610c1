"""Where a secret of the driver's environment comes to light: other processes, files, command lines."""

import base64
from collections.abc import Iterator
from pathlib import Path


def spellings(secret: str) -> tuple[bytes, ...]:
    """A secret as it is, and as Ray writes parts of its configuration."""
    return (secret.encode(), base64.b64encode(secret.encode()).rstrip(b"=")[:-1])


def holding(folder: Path, secret: str) -> list[Path]:
    """The files below a folder that hold a secret, in their names or in what they say."""
    found = []
    for file in folder.rglob("*"):
        if secret in file.name:
            found.append(file)
        elif file.is_file() and not file.is_symlink():
            content = file.read_bytes()
            if any(spelling in content for spelling in spellings(secret)):
                found.append(file)
    return found


def processes() -> Iterator[tuple[int, str, bytes]]:
    """Processes that can be read: number, title, and what each was given, environment and command line."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line, environment = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:  # it has ended, or is another user's
            continue
        yield (
            int(folder.name),
            line.replace(b"\0", b" ").decode("latin-1").strip(),
            line + b"\0" + environment,
        )


def shown_to(secret: str) -> list[tuple[int, str]]:
    """Number and title of the processes that were given a secret."""
    return [(pid, title) for pid, title, given in processes() if secret.encode() in given]
