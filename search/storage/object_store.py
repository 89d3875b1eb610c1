"""A run directory in object storage: s3://bucket/run, gs://bucket/run, or any other URL that fsspec knows.

The search works on a local copy, which a thread mirrors as it grows; a fresh machine pulls it and goes on.
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
LEASE_S = 3 * INTERVAL_S  # a mirror that has not moved for so long is taken to be dead
LAST_TRIES = 3
MANIFEST = ".mirror.json"
APPENDED = ("optuna.log", "ledger.jsonl")  # in the order in which they are sent
STATES = "checkpoints/"  # of trials that have not ended
ARROW = ("s3", "gs")  # spoken by Arrow, which is here anyway


class Manifest(Frozen):
    """What was mirrored whole, and who is at it.

    sizes: bytes of the append-only files at one instant; what the storage holds beyond them came later and is
    not counted. beat: grows as long as the owner lives. released: the owner has ended.
    """

    owner: str
    beat: int
    sizes: dict[str, int]
    released: bool


def is_url(out: str) -> bool:
    """Whether a run directory is named by URL."""
    return "://" in out


def local_copy(url: str) -> Path:
    """Where this machine keeps its copy of the run at a URL."""
    plain = url.partition("?")[0].rstrip("/")
    return LOCAL_COPIES.expanduser() / digest(plain)[:12] / PurePosixPath(plain).name


@contextmanager
def run_path(out: str) -> Iterator[Path]:
    """The local directory of a run while the block runs: `out` itself, or the mirrored copy of a URL.

    Raises ValueError where another process is at work on the URL, or it and the local copy have gone
    different ways; OSError if the storage cannot be reached at the start, or the last copying fails.
    """
    if not is_url(out):
        yield Path(out).expanduser()
        return
    path = local_copy(out)
    mirror = Mirror(out, path)
    mirror.take_over()
    mirror.pull()
    with mirror.running():
        yield path


@contextmanager
def snapshot(out: str) -> Iterator[Path]:
    """A directory to look at: `out` itself, or what a URL holds at the moment. Takes nothing over.

    Raises ValueError where the URL holds no run.
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
    """Keeps the storage behind a URL level with a local directory."""

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

    # Before the run

    def take_over(self) -> None:
        """Claim the run; ValueError if another process is at work on it."""
        there = self._manifest()
        if there is not None and not there.released and not _dead_neighbour(there.owner):
            log.warning("%s: was not released; waiting %.0f s for a sign of life", self._url, self._lease_s)
            time.sleep(self._lease_s)
            if self._manifest() != there:
                raise ValueError(
                    f"{self._url}: another process ({there.owner}) is at work on this run; stop it first"
                )
        self._sign({} if there is None else there.sizes, released=False)

    def pull(self) -> None:
        """Bring the local copy level with the storage, unless it is ahead already.

        Raises ValueError where the two have gone different ways.
        """
        there = self._manifest()
        if there is None:
            return
        remote = self._read("ledger.jsonl", there) if "ledger.jsonl" in there.sizes else b""
        file = self._path / "ledger.jsonl"
        local = file.read_bytes() if file.is_file() else b""
        if local and local.startswith(remote):
            return
        if not remote.startswith(local):
            raise ValueError(
                f"{self._url}: has gone on elsewhere than the copy in {self._path}; remove that copy to "
                "go on with the URL's"
            )
        for name in self._remote_names():
            target = self._path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self._read(name, there))

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
        """Mirror in a thread while the block runs, and a last time when it ends, however it does."""
        thread = threading.Thread(target=self._keep_level, name="mirror", daemon=True)
        thread.start()
        try:
            yield
        except BaseException:  # passed on, an interrupt as well: the last copy is for these above all
            self._finish(thread)
            raise
        if (error := self._finish(thread)) is not None:
            raise OSError(f"{self._url}: the last copying failed ({error}); everything is in {self._path}")

    def _keep_level(self) -> None:
        late = False
        while not self._end.wait(self._interval_s):
            try:
                self.sync()
            except Exception as error:  # the storage may fail in any way; the search goes on
                if not late:
                    log.warning("%s: cannot be written (%s); trying on", self._url, _line(error))
                late = True
            else:
                late = False

    def _finish(self, thread: threading.Thread) -> str | None:
        """Copy a last time; what went wrong, if it did."""
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
        log.error("%s: the last copying failed (%s); everything is in %s", self._url, problem, self._path)
        return problem

    def sync(self, *, released: bool = False) -> None:
        """Send what has changed since the last time: files as they are, append-only ones up to an instant.

        The state of a trial that has ended goes there as it went here, once the ledger there tells of it.
        released: nobody is at work any more.
        """
        sizes = whole_sizes(self._path)
        there = _versions(self._path)
        for name, version in there.items():
            if name not in APPENDED and self._sent.get(name) != version:
                with suppress(FileNotFoundError):  # a trial that ended meanwhile took its state with it
                    self._send(name, (self._path / name).read_bytes())
                    self._sent[name] = version
        for name in APPENDED:
            if name in sizes and self._sent.get(name) != (sizes[name], 0):
                self._send(name, _head(self._path / name, sizes[name]))
                self._sent[name] = (sizes[name], 0)
        self._sign(sizes, released=released)
        for name in self._sent.keys() - there.keys():
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
        except OSError as error:  # it costs room there, no more
            log.warning("%s: %s cannot be removed (%s)", self._url, name, _line(error))

    def _send(self, name: str, content: bytes) -> None:
        self._files.pipe_file(f"{self._root}/{name}", content)


def file_system(url: str) -> tuple[Any, str]:
    """The file system behind a URL, and the path in it; ValueError where the URL is of no known kind."""
    try:
        if url.partition("://")[0] in ARROW:
            native, path = arrow.FileSystem.from_uri(url)
            return arrow_files.ArrowFSWrapper(native), path
        files, path = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise ValueError(
            f"{url}: is no URL to keep a run at ({_line(error)}); use s3://, gs:// or a path"
        ) from None
    return files, path


def whole_sizes(path: Path) -> Mapping[str, int]:
    """Bytes of the append-only files at one instant, each up to its last whole line.

    Two looks with the same answer: in between, both files had those sizes at once. So a copy is a state that
    a crash could have left, from which a run resumes.
    """
    look, again = _sizes(path), _sizes(path)
    while look != again:
        look, again = again, _sizes(path)
    return {name: len(whole_lines(_head(path / name, size))) for name, size in again.items()}


def _sizes(path: Path) -> dict[str, int]:
    return {name: (path / name).stat().st_size for name in APPENDED if (path / name).is_file()}


def _head(file: Path, size: int) -> bytes:
    with file.open("rb") as opened:
        return opened.read(size)


def _versions(path: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of every file that is worth keeping: no locks, nothing half written."""
    versions = {}
    for file in path.rglob("*"):
        with suppress(FileNotFoundError):  # gone since it was found
            if file.is_file() and file.name != ".lock" and file.suffix not in {".lock", DRAFT}:
                stat = file.stat()
                versions[file.relative_to(path).as_posix()] = (stat.st_size, stat.st_mtime_ns)
    return versions


def _dead_neighbour(owner: str) -> bool:
    """Whether the owner was a process of this machine that is gone."""
    host, process, _ = owner.split("/")
    return host == socket.gethostname() and not Path(f"/proc/{process}").exists()


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
