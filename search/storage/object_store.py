"""A run directory in object storage: s3://bucket/run, gs://bucket/run, or any URL that fsspec supports.

The search works on a local copy, which a thread mirrors as it grows; another machine can pull it and go on.
"""

import logging
import os
import secrets
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from trainers.cache import digest
from trainers.component import Frozen
from trainers.files import DRAFT, whole_lines
from trainers.lazy import LazyModule

log = logging.getLogger(__name__)

# A run on a disk needs none of these.
arrow, fsspec = LazyModule("pyarrow.fs"), LazyModule("fsspec")
arrow_files = LazyModule("fsspec.implementations.arrow")

LOCAL_COPIES = Path("~/.cache/weak-to-strong-search/runs")
INTERVAL_S = 10.0
LEASE_S = 3 * INTERVAL_S  # a mirror without a beat for this long counts as dead
LAST_TRIES = 3
MANIFEST = ".mirror.json"
APPENDED = ("optuna.log", "ledger.jsonl")  # in the order of sending
STATES = "checkpoints/"  # of trials that have not ended
ARROW = ("s3", "gs")  # Arrow, which is installed anyway, supports these


class Manifest(Frozen):
    """What the mirror holds, and which process owns it.

    sizes: bytes of the append-only files at the same instant; readers ignore later bytes. beat: grows while
    the owner lives. released: the owner has ended.
    """

    owner: str
    beat: int
    sizes: dict[str, int]
    released: bool


def is_url(out: str) -> bool:
    """Whether a run directory is given as a URL."""
    return "://" in out


def local_copy(url: str) -> Path:
    """The local copy of the run at a URL."""
    plain = url.partition("?")[0].rstrip("/")
    return LOCAL_COPIES.expanduser() / digest(plain)[:12] / PurePosixPath(plain).name


@contextmanager
def run_path(out: str) -> Iterator[Path]:
    """The local directory of a run: `out` itself, or a copy of the URL, mirrored while the block runs.

    Raises ValueError if another process owns the URL, or if it and the local copy have diverged; OSError if
    the storage cannot be reached at the start or the last copy fails.
    """
    if not is_url(out):
        yield Path(out).expanduser()
        return
    path = local_copy(out)
    mirror = Mirror(out, path)
    mirror.take_over()
    mirror.pull()
    with mirror.running(), _known(path, mirror):
        yield path


_MIRRORS: dict[Path, "Mirror"] = {}  # of this process, by their local directory


@contextmanager
def _known(path: Path, mirror: "Mirror") -> Iterator[None]:
    _MIRRORS[path] = mirror
    try:
        yield
    finally:
        del _MIRRORS[path]


def store(path: Path) -> None:
    """Send what a run directory holds to its URL, if it has one, before the next beat would.

    Raises OSError if the storage cannot be written.
    """
    if mirror := _MIRRORS.get(path):
        try:
            mirror.sync()
        except Exception as error:  # the storage may fail in any way
            raise OSError(f"the run's storage cannot be written ({_line(error)})") from None


@contextmanager
def snapshot(out: str) -> Iterator[Path]:
    """A directory for reading: `out` itself, or a download of what the URL holds now. Claims nothing.

    Raises ValueError if the URL holds no run.
    """
    if not is_url(out):
        yield Path(out).expanduser()
        return
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / local_copy(out).name
        Mirror(out, path).pull()
        if not path.is_dir():
            raise ValueError(f"{out}: holds no run; start one with `python -m search run CONFIG --out {out}`")
        yield path


class Mirror:
    """Mirrors a local directory to the storage behind a URL."""

    def __init__(
        self, url: str, path: Path, *, interval_s: float = INTERVAL_S, lease_s: float = LEASE_S
    ) -> None:
        self._url = url
        self._path = path
        self._interval_s = interval_s
        self._lease_s = lease_s
        self._files, root = file_system(url)
        self._root = root.rstrip("/")
        self._owner = f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"
        self._beat = 0
        self._sent: dict[str, tuple[int, int]] = {}
        self._end = threading.Event()
        self._syncing = threading.Lock()

    # Before the run

    def take_over(self) -> None:
        """Claim the run; raises ValueError if another process owns it."""
        manifest = self._manifest()
        if manifest is not None and not manifest.released and not _dead_neighbour(manifest.owner):
            log.warning("%s: was not released; waiting %.0f s for a sign of life", self._url, self._lease_s)
            time.sleep(self._lease_s)
            if self._manifest() != manifest:
                raise ValueError(
                    f"{self._url}: another process ({manifest.owner}) is at work on this run; stop it first"
                )
        self._sign({} if manifest is None else manifest.sizes, released=False)

    def pull(self) -> None:
        """Update the local copy from the storage, unless it is ahead.

        Raises ValueError if the two have diverged.
        """
        manifest = self._manifest()
        if manifest is None:
            return
        remote = self._read("ledger.jsonl", manifest) if "ledger.jsonl" in manifest.sizes else b""
        file = self._path / "ledger.jsonl"
        local = file.read_bytes() if file.is_file() else b""
        if local and local.startswith(remote):
            return
        if not remote.startswith(local):
            raise ValueError(
                f"{self._url}: has diverged from the local copy in {self._path}; remove that copy to "
                "go on with the URL's"
            )
        for name in self._remote_names():
            target = self._path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self._read(name, manifest))

    def _read(self, name: str, manifest: Manifest) -> bytes:
        content: bytes = self._files.cat_file(f"{self._root}/{name}")
        return content[: manifest.sizes.get(name, 0)] if name in APPENDED else content

    def _remote_names(self) -> list[str]:
        found = [PurePosixPath(file).relative_to(self._root) for file in self._files.find(self._root)]
        return [str(name) for name in found if name.name != MANIFEST]

    def _manifest(self) -> Manifest | None:
        try:
            return Manifest.model_validate_json(self._files.cat_file(f"{self._root}/{MANIFEST}"))
        except FileNotFoundError:
            return None

    # While it runs

    @contextmanager
    def running(self) -> Iterator[None]:
        """Mirror in a thread while the block runs, and once more when it ends, however it ends."""
        thread = threading.Thread(target=self._keep_level, name="mirror", daemon=True)
        thread.start()
        try:
            yield
        except BaseException:  # interrupts included: then the last copy matters most
            self._finish(thread)
            raise
        if (error := self._finish(thread)) is not None:
            raise OSError(f"{self._url}: the last copy failed ({error}); everything is in {self._path}")

    def _keep_level(self) -> None:
        late = False
        while not self._end.wait(self._interval_s):
            try:
                self.sync()
            except Exception as error:  # the storage may fail in any way; the search goes on
                if not late:
                    log.warning("%s: cannot be written (%s); still trying", self._url, _line(error))
                late = True
            else:
                late = False

    def _finish(self, thread: threading.Thread) -> str | None:
        """Copy once more; returns the problem, or None."""
        self._end.set()
        thread.join()
        for attempt in range(LAST_TRIES):
            try:
                self.sync(released=True)
            except Exception as error:
                problem = _line(error)
                time.sleep(attempt)
            else:
                return None
        log.error("%s: the last copy failed (%s); everything is in %s", self._url, problem, self._path)
        return problem

    def sync(self, *, released: bool = False) -> None:
        """Send what has changed since the last sync: whole files, append-only files up to an instant.

        Removes the checkpoints of ended trials from the storage once the ledger there records their end.
        released: this process has ended its work.
        """
        with self._syncing:
            self._sync(released=released)

    def _sync(self, *, released: bool) -> None:
        sizes = whole_sizes(self._path)
        versions = _versions(self._path)
        for name, version in versions.items():
            if name not in APPENDED and self._sent.get(name) != version:
                with suppress(FileNotFoundError):  # a trial ended meanwhile and removed its checkpoint
                    self._send(name, (self._path / name).read_bytes())
                    self._sent[name] = version
        for name in APPENDED:
            if name in sizes and self._sent.get(name) != (sizes[name], 0):
                self._send(name, _head(self._path / name, sizes[name]))
                self._sent[name] = (sizes[name], 0)
        self._sign(sizes, released=released)
        for name in self._sent.keys() - versions.keys():
            if name.startswith(STATES):
                del self._sent[name]
                self._remove(name)

    def _sign(self, sizes: Mapping[str, int], *, released: bool) -> None:
        self._beat += 1
        manifest = Manifest(owner=self._owner, beat=self._beat, sizes=dict(sizes), released=released)
        self._send(MANIFEST, manifest.model_dump_json().encode())

    def _remove(self, name: str) -> None:
        try:
            self._files.rm_file(f"{self._root}/{name}")
        except OSError as error:  # a leftover only costs disk space
            log.warning("%s: %s cannot be removed (%s)", self._url, name, _line(error))

    def _send(self, name: str, content: bytes) -> None:
        self._files.pipe_file(f"{self._root}/{name}", content)


def file_system(url: str) -> tuple[Any, str]:
    """The file system behind a URL and the path in it; ValueError for one unsupported or with a key."""
    if "@" in urlsplit(url).netloc:
        raise ValueError(
            "--out: a key in the URL would be printed and kept; set it in the environment, as "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    try:
        if url.partition("://")[0] in ARROW:
            native, path = arrow.FileSystem.from_uri(url)
            return arrow_files.ArrowFSWrapper(native), path
        files, path = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise ValueError(f"{url}: cannot hold a run ({_line(error)}); use s3://, gs:// or a path") from None
    return files, path


def whole_sizes(path: Path) -> Mapping[str, int]:
    """Bytes of the append-only files at the same instant, each up to its last whole line.

    Reads the sizes until two readings agree: both files had these sizes at once. So a copy is a state that a
    crash could have left, from which a run can resume.
    """
    sizes, again = _sizes(path), _sizes(path)
    while sizes != again:
        sizes, again = again, _sizes(path)
    return {name: len(whole_lines(_head(path / name, size))) for name, size in again.items()}


def _sizes(path: Path) -> dict[str, int]:
    return {name: (path / name).stat().st_size for name in APPENDED if (path / name).is_file()}


def _head(file: Path, size: int) -> bytes:
    with file.open("rb") as opened:
        return opened.read(size)


def _versions(path: Path) -> dict[str, tuple[int, int]]:
    """Size and modification time of every file to mirror: no locks, no unfinished files."""
    versions = {}
    for file in path.rglob("*"):
        with suppress(FileNotFoundError):  # removed since it was listed
            if file.is_file() and file.name != ".lock" and file.suffix not in {".lock", DRAFT}:
                stat = file.stat()
                versions[file.relative_to(path).as_posix()] = (stat.st_size, stat.st_mtime_ns)
    return versions


def _dead_neighbour(owner: str) -> bool:
    """Whether the owner was a process of this machine that has ended."""
    host, process, _ = owner.split("/")
    return host == socket.gethostname() and not Path(f"/proc/{process}").exists()


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
