"""Mirrors a local run directory to object storage as it grows, and brings it from there."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from search.config.schema import RunConfig
from search.interrupt import end_run
from search.storage import local_files
from search.storage.bucket import Bucket, TakenError, line
from search.storage.endpoints import check_endpoints
from search.storage.lease import Lease, LostRunError, Manifest, epoch_of, object_name
from search.storage.local_files import APPENDED, LEDGER, ORDER, POINTERS, STATES
from trainers.files import replacing, sync
from trainers.scratch import scratch_folder

log = logging.getLogger(__name__)

INTERVAL_S = 10.0
LEASE_S = 3 * INTERVAL_S  # a mirror without a beat for this long counts as dead
LAST_TRIES_AFTER_S = (0.0, 1.0, 2.0)  # the pauses before each attempt at the last copy
CONFIG = "config.yaml"
# Also kept under their own names when a process ends, for people and tools; a resume never reads these.
FOR_PEOPLE = (CONFIG, LEDGER, "result.json", "report.html")


class Mirror:
    """Mirrors a local directory to the storage behind a URL."""

    def __init__(
        self, url: str, path: Path, *, interval_s: float = INTERVAL_S, lease_s: float = LEASE_S
    ) -> None:
        self._url = url
        self._path = path
        self._interval_s = interval_s
        self._bucket = Bucket(url)
        self._lease = Lease(url, self._bucket, lease_s)
        self._sent: dict[str, tuple[int, int]] = {}
        self._swept = False  # whether the objects of earlier epochs are gone
        self._lost: LostRunError | None = None
        self._end, self._over = threading.Event(), threading.Event()  # of the run, and of its last copy
        self._syncing = threading.Lock()

    # Before the run

    def take_over(self) -> None:
        """Claim the run; raises ValueError if another process owns it."""
        self._lease.claim()

    def let_go(self) -> None:
        """Leave the run to others, as it is."""
        self._lease.release()

    def download(self, only: Collection[str] | None = None) -> None:
        """Bring the directory to what the storage holds, if it holds a run. only: these files; None: all."""
        if manifest := self._lease.look():
            names = [name for name in manifest.files if only is None or name in only]
            self._fetch(manifest.model_copy(update={"files": tuple(names)}))

    def pull(self, config: RunConfig | None = None) -> None:
        """Update the local copy from the storage, unless it is ahead.

        Raises ValueError if the two have diverged, or if the storage's config.yaml sets an endpoint that
        neither `config` nor this machine does.
        """
        manifest = self._lease.look()
        if manifest is None or not manifest.held:
            return
        remote = self._read(LEDGER, manifest) if LEDGER in manifest.sizes else b""
        file = self._path / LEDGER
        local = file.read_bytes() if file.is_file() else b""
        if local and local.startswith(remote):
            return
        if not remote.startswith(local):
            raise ValueError(
                f"{self._url}: has diverged from the local copy in {self._path}; remove that copy to "
                "go on with the URL's"
            )

        def check(fetched: Path) -> None:
            check_endpoints(self._url, fetched / CONFIG, self._path / CONFIG, config)

        self._fetch(manifest, check)

    def _fetch(self, manifest: Manifest, check: Callable[[Path], None] = lambda fetched: None) -> None:
        """Download all files, then put each in its place, the ledger last: without it nothing counts.

        check: raises an exception for files that must not get there.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(self._path.parent) as scratch:
            fetched = [name for name in manifest.files if self._downloaded(name, manifest, scratch)]
            check(scratch)
            for name in sorted(fetched, key=lambda name: name == LEDGER):
                (self._path / name).parent.mkdir(parents=True, exist_ok=True)
                (scratch / name).replace(self._path / name)

    def _downloaded(self, name: str, manifest: Manifest, folder: Path) -> bool:
        """Download a file; returns False for a state that is missing: its trial starts anew."""
        try:
            content = self._read(name, manifest)
        except FileNotFoundError:
            if not name.startswith(STATES):
                raise ValueError(f"{self._url}: {manifest.object(name)} is missing; restore it") from None
            log.warning("%s: %s is missing: its trial starts anew", self._url, name)
            return False
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        sync(folder / name)
        return True

    def _read(self, name: str, manifest: Manifest) -> bytes:
        content = self._bucket.read(manifest.object(name))
        return content[: manifest.sizes.get(name, 0)] if name in APPENDED else content

    # While it runs

    @contextmanager
    def running(self) -> Iterator[None]:
        """Mirror in a thread while the block runs, and once more when it ends, however it ends.

        Raises LostRunError if another process takes the run over; the run is told to end at once.
        """
        threads = [
            threading.Thread(target=target, name="mirror", daemon=True)
            for target in (self._keep_level, self._stay_alive)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        except BaseException:  # interrupts included: then the last copy matters most
            self._finish(*threads)
            raise
        if (error := self._finish(*threads)) is not None:
            raise OSError(f"{self._url}: the last copy failed ({error}); everything is in {self._path}")

    def _keep_level(self) -> None:
        late = False
        while not self._end.wait(self._interval_s):
            try:
                self.sync()
            except LostRunError as error:
                self._lost = error
                break
            except Exception as error:  # the storage may fail in any way; the search goes on
                if not late:
                    log.warning("%s: cannot be written (%s); still trying", self._url, line(error))
                late = True
            else:
                late = False
                self._bring_order()
        while self._lost and not self._end.wait(0.1):  # the run may not be far enough to be told
            end_run(self._lost)

    def _bring_order(self) -> None:
        """Bring an order that a person left in the storage, unless another waits here.

        An empty object takes its place, and only if nobody has added to it meanwhile.
        """
        try:
            found = self._bucket.read_version(ORDER)
            if found is None or not found[0] or (self._path / ORDER).exists():
                return
            with replacing(self._path / ORDER) as file:
                file.write(found[0])
                self._bucket.write_if(ORDER, b"", found[1])
        except TakenError:  # with what was added at the next beat
            return
        except OSError as error:  # tried again at the next beat
            log.warning("%s: an order cannot be brought (%s)", self._url, line(error))

    def _stay_alive(self) -> None:
        """Show that this process lives also while a large file is on its way."""
        while not self._over.wait(self._interval_s):
            try:
                self._lease.beat_if_silent(self._interval_s)
            except LostRunError as error:
                self._lost = error
                return
            except OSError:
                continue  # whoever sends says so

    def _finish(self, mirror: threading.Thread, alive: threading.Thread) -> str | None:
        """Copy once more; returns the problem, or None. Raises LostRunError if the run is another's."""
        self._end.set()
        mirror.join()
        try:
            return self._last_copy()
        finally:
            self._over.set()
            alive.join()

    def _last_copy(self) -> str | None:
        if self._lost:
            raise self._lost
        for pause_s in LAST_TRIES_AFTER_S:
            time.sleep(pause_s)
            try:
                self.sync(released=True)
            except LostRunError:
                raise
            except Exception as error:
                problem = line(error)
            else:
                return None
        log.error("%s: the last copy failed (%s); everything is in %s", self._url, problem, self._path)
        return problem

    def sync(self, *, released: bool = False) -> None:
        """Send what has changed since the last sync: whole files, append-only files up to an instant.

        Removes the checkpoints of ended trials from the storage once the ledger there records their end.
        released: this process has ended its work. Raises LostRunError, and sends nothing, if the run is
        another process's now. Any thread may call it.
        """
        with self._syncing:
            self._sync(released=released)

    def _sync(self, *, released: bool) -> None:
        sizes = local_files.whole_sizes(self._path)
        pointers = local_files.pointers(self._path)  # first: a state that is named later may not be listed
        versions = local_files.versions(self._path)
        appended = {name: (size, 0) for name, size in sizes.items()}
        whole = {name: version for name, version in versions.items() if name not in APPENDED}
        if any(self._sent.get(name) != version for name, version in (whole | appended).items()):
            self._lease.beat()
        for name in sorted(whole, key=lambda name: PurePosixPath(name).name in POINTERS):
            if self._sent.get(name) != whole[name]:
                if self._sent_whole(name, pointers):
                    self._sent[name] = whole[name]
                else:
                    del versions[name]
        for name in APPENDED:
            if name in sizes and self._sent.get(name) != appended[name]:
                self._send(name, local_files.head(self._path / name, sizes[name]))
                self._sent[name] = appended[name]
        gone = [name for name in self._sent.keys() - versions.keys() if name.startswith(STATES)]
        self._lease.sign(tuple(sorted(self._sent.keys() - set(gone))), sizes, released=False)
        self._tidy(gone)
        if released:
            self._release(sizes)

    def _sent_whole(self, name: str, pointers: Mapping[str, bytes]) -> bool:
        """Send a file; returns False if it has vanished here: a trial ended and removed its checkpoint."""
        if name in pointers:
            self._send(name, pointers[name])
            return True
        try:
            content = (self._path / name).read_bytes()
        except FileNotFoundError:
            return False
        self._send(name, content)
        return True

    def _release(self, sizes: Mapping[str, int]) -> None:
        for name in FOR_PEOPLE:
            file = self._path / name
            if name in self._sent and file.is_file():
                content = local_files.head(file, sizes[name]) if name in sizes else file.read_bytes()
                self._bucket.write(name, content)
        self._lease.sign(tuple(sorted(self._sent)), sizes, released=True)

    def _tidy(self, gone: list[str]) -> None:
        """Remove states of ended trials, and, once, what earlier epochs have sent."""
        objects = [object_name(self._lease.epoch, name) for name in gone]
        for name in gone:
            del self._sent[name]
        try:
            if not self._swept:
                objects += [name for name in self._bucket.names() if _before(name, self._lease.epoch)]
            self._bucket.remove(objects)
            self._swept = True
        except Exception as error:  # a leftover only costs disk space
            log.warning("%s: leftovers cannot be removed (%s)", self._url, line(error))

    def _send(self, name: str, content: bytes) -> None:
        self._bucket.write(object_name(self._lease.epoch, name), content)


def _before(name: str, epoch: int) -> bool:
    found = epoch_of(name)
    return found is not None and found < epoch
