"""Who owns a run in object storage: a manifest that only its owner can replace.

Every write of the manifest succeeds only if it is still the one that the writer has last seen. So of two
processes that claim a run at once one gets it, and a process that slept while another took over learns so
before it sends anything. What each owner sends stands under the number of its epoch: even what was on its way
changes nothing that the next owner has sent.
"""

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError

from search.storage.bucket import Bucket, TakenError
from trainers.component import Frozen

if TYPE_CHECKING:
    from obstore import UpdateVersion

log = logging.getLogger(__name__)

MANIFEST = ".mirror.json"
LOOKS = 10  # for a sign of life of a run's owner, during a lease
REFUSED = ("wandb/settings",)  # may name another server of W&B


def safe_name(name: str) -> str:
    """A file's name in a run directory; raises ValueError for one that leads out of it."""
    path = PurePosixPath(name)
    odd = (
        path.is_absolute()
        or ".." in path.parts
        or str(path) != name
        or "\\" in name
        or not name.isprintable()
    )
    if odd or path.name in ("", MANIFEST, ".lock") or name in REFUSED:
        raise ValueError(f"it names the file {name!r}, which no run holds")
    return name


Name = Annotated[str, AfterValidator(safe_name)]


class Owner(Frozen):
    """A process. boot, namespace: of its machine's start and of its process ids; empty where unknown.

    started: when it started, in the system's ticks, since process ids are used again.
    """

    host: str
    boot: str
    namespace: str
    pid: int
    started: str
    token: str

    def __str__(self) -> str:
        return f"{self.host}, process {self.pid}"

    @property
    def has_died(self) -> bool:
        """Whether this process can see that the owner has ended. In doubt, False."""
        here = this_process()
        place = (here.host, here.boot, here.namespace)
        if (
            not (self.boot and self.namespace and self.started)
            or (self.host, self.boot, self.namespace) != place
        ):
            return False
        return _started(self.pid) != self.started


def this_process() -> Owner:
    """The process that calls, with a token of its own."""
    boot = namespace = ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    return Owner(
        host=socket.gethostname(),
        boot=boot,
        namespace=namespace,
        pid=os.getpid(),
        started=_started(os.getpid()),
        token=secrets.token_hex(8),
    )


def _started(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


class Manifest(Frozen):
    """What a run in object storage consists of, and which process owns it.

    epoch: grows with every owner. beat: grows while the owner lives. released: the owner has ended.
    held: the epoch that the files were sent in, 0 for none. sizes: bytes of the append-only files at the same
    instant; readers ignore later bytes.
    """

    version: Literal[2] = 2
    owner: Owner
    epoch: Annotated[int, Field(ge=1)]
    beat: Annotated[int, Field(ge=0)]
    released: bool
    held: Annotated[int, Field(ge=0)]
    files: tuple[Name, ...]
    sizes: Mapping[Name, int]

    def object(self, name: str) -> str:
        """The object that holds a file."""
        return object_name(self.held, name)


def object_name(epoch: int, name: str) -> str:
    """Where an epoch keeps a file."""
    return f"epoch-{epoch:06d}/{name}"


def epoch_of(name: str) -> int | None:
    """The epoch of an object, None for another object."""
    prefix, _, number = name.partition("/")[0].partition("-")
    return int(number) if prefix == "epoch" and number.isdecimal() else None


class LostRunError(RuntimeError):
    """Another process has taken over the run."""


class Lease:
    """The ownership of the run at a URL. Any thread may use it."""

    def __init__(self, url: str, bucket: Bucket, lease_s: float) -> None:
        self._url, self._bucket, self._lease_s = url, bucket, lease_s
        self._owner = this_process()
        self._version: UpdateVersion | None = None
        self._manifest: Manifest | None = None
        self._lock = threading.RLock()
        self._written_at = time.monotonic()

    def look(self) -> Manifest | None:
        """The manifest, None if there is none; raises ValueError if it cannot be read."""
        found = self._bucket.read_version(MANIFEST)
        return None if found is None else self._parsed(found[0])

    def _parsed(self, content: bytes) -> Manifest:
        try:
            return Manifest.model_validate_json(content)
        except ValidationError as error:
            found = error.errors()[0]
            if found["type"] == "value_error":
                reason = found["msg"].removeprefix("Value error, ")
                raise ValueError(f"{self._url}: {MANIFEST} is refused: {reason}") from None
            raise ValueError(
                f"{self._url}: {MANIFEST} is damaged, or of another version: use that version, or another URL"
            ) from None

    def claim(self) -> Manifest:
        """Own the run from now on.

        Raises ValueError if another process owns it, or if the storage cannot refuse another one.
        """
        found = self._bucket.read_version(MANIFEST)
        past = None if found is None else self._parsed(found[0])
        if past is not None and not past.released and not past.owner.has_died:
            log.warning("%s: was not released; waiting %.0f s for a sign of life", self._url, self._lease_s)
            for _ in range(LOOKS):
                time.sleep(self._lease_s / LOOKS)
                if self._bucket.read_version(MANIFEST) != found:
                    raise self._at_work(past.owner)
        self._version = None if found is None else found[1]
        try:
            claimed = self._write(
                Manifest(
                    owner=self._owner,
                    epoch=1 if past is None else past.epoch + 1,
                    beat=0,
                    released=False,
                    held=0 if past is None else past.held,
                    files=() if past is None else past.files,
                    sizes={} if past is None else past.sizes,
                )
            )
        except TakenError:
            now = self.look()
            raise self._at_work(now.owner if now else self._owner) from None
        if not self._bucket.honours_conditions(MANIFEST, claimed.model_dump_json().encode()):
            raise ValueError(
                f"{self._url}: this storage has no conditional writes (If-Match), so two processes could "
                "overwrite each other's run; use another one, or a path"
            )
        return claimed

    def _at_work(self, owner: Owner) -> ValueError:
        return ValueError(f"{self._url}: another process ({owner}) is at work on this run; stop it first")

    @property
    def epoch(self) -> int:
        """The number of this ownership."""
        assert self._manifest is not None, "the run is not claimed"
        return self._manifest.epoch

    def beat_if_silent(self, seconds: float) -> None:
        """Beat if this process has written no manifest for so long, unless the run is released."""
        with self._lock:
            silent = time.monotonic() - self._written_at >= seconds
            if silent and self._manifest is not None and not self._manifest.released:
                self.beat()

    def beat(self) -> None:
        """Show that this process lives; raises LostRunError if the run is another's."""
        self._sign({})

    def sign(self, files: tuple[str, ...], sizes: Mapping[str, int], *, released: bool) -> None:
        """Say that this epoch has sent these files; raises LostRunError if the run is another's."""
        self._sign({"held": self.epoch, "files": files, "sizes": sizes, "released": released})

    def release(self) -> None:
        """Own the run no longer, if the storage can be told; what it holds stays as it is."""
        with suppress(OSError, LostRunError):  # then the next owner waits for a sign of life
            self._sign({"released": True})

    def _sign(self, changes: Mapping[str, object]) -> None:
        with self._lock:
            assert self._manifest is not None, "the run is not claimed"
            update = {"beat": self._manifest.beat + 1, **changes}
            self._replace(self._manifest.model_copy(update=update))

    def _replace(self, manifest: Manifest) -> None:
        try:
            self._write(manifest)
        except TakenError:
            now = self.look()
            taken = f"another process ({now.owner}) has taken over this run" if now else f"{MANIFEST} is gone"
            raise LostRunError(f"{self._url}: {taken}; this one stops") from None

    def _write(self, manifest: Manifest) -> Manifest:
        self._version = self._bucket.write_if(MANIFEST, manifest.model_dump_json().encode(), self._version)
        self._manifest, self._written_at = manifest, time.monotonic()
        return manifest
