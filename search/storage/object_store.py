"""A run directory in object storage: s3://bucket/run, gs://bucket/run or az://container/run.

The search works on a local copy, which a thread mirrors as it grows; another machine can pull it and go on.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from search.config.schema import RunConfig
from search.storage.bucket import line
from search.storage.local_files import LEDGER
from search.storage.mirror import CONFIG, Mirror
from search.storage.run_directory import RunDirectory, check_claim
from trainers.cache import digest
from trainers.scratch import scratch_folder

OF_THE_CONFIG = (CONFIG, LEDGER)
LOCAL_COPIES = Path("~/.cache/weak-to-strong-search/runs")


def is_url(out: str) -> bool:
    """Whether a run directory is given as a URL."""
    return "://" in out


def at_work(out: str) -> bool | None:
    """Whether a process works on a run, as far as this machine can see; None where nothing tells."""
    return None if is_url(out) else RunDirectory(Path(out)).at_work()


def local_copy(url: str) -> Path:
    """The local copy of the run at a URL."""
    plain = url.partition("?")[0].rstrip("/")
    return LOCAL_COPIES.expanduser() / digest(plain)[:12] / PurePosixPath(plain).name


@contextmanager
def run_path(out: str, config: RunConfig | None = None) -> Iterator[Path]:
    """The local directory of a run: `out` itself, or a copy of the URL, mirrored while the block runs.

    config: the user's own, whose endpoints may be used. Raises ValueError if another process owns the URL, if
    it and the local copy have diverged, or if its config.yaml sets an endpoint that nothing here does.
    Raises LostRunError if another process takes the run over, OSError if the storage cannot be reached at the
    start or the last copy fails.
    """
    if not is_url(out):
        yield Path(out).expanduser()
        return
    path = local_copy(out)
    mirror = Mirror(out, path)
    path.mkdir(parents=True, exist_ok=True)
    with RunDirectory(path).locked():
        mirror.take_over()
        try:
            mirror.pull(config)
        except BaseException:
            mirror.let_go()
            raise
    with mirror.running(), _known(path, mirror):
        yield path


def check_claimable(out: str, config: RunConfig) -> None:
    """Raise ValueError where the config could not be run at `out`, a path or a URL; changes nothing there.

    Of a URL it reads what tells of the run's config. Whether a process is at work there is seen at the claim.
    Raises OSError if the storage cannot be reached.
    """
    if not is_url(out):
        check_claim(Path(out).expanduser(), config)
        return
    with scratch_folder() as scratch:
        path = scratch / local_copy(out).name
        Mirror(out, path).download(OF_THE_CONFIG)
        try:
            check_claim(path, config)
        except ValueError as error:
            raise ValueError(str(error).replace(str(path), out)) from None


_MIRRORS: dict[Path, Mirror] = {}  # of this process, by their local directory


@contextmanager
def _known(path: Path, mirror: Mirror) -> Iterator[None]:
    _MIRRORS[path] = mirror
    try:
        yield
    finally:
        del _MIRRORS[path]


def store(path: Path) -> None:
    """Send what a run directory holds to its URL, if it has one, before the next beat would.

    Raises OSError if the storage cannot be written, or if the run is another process's now.
    """
    if mirror := _MIRRORS.get(path):
        try:
            mirror.sync()
        except Exception as error:  # the storage may fail in any way
            raise OSError(f"the run's storage cannot be written ({line(error)})") from None


def bring(out: str, path: Path) -> None:
    """Bring a snapshot up to date. path: what `snapshot` gave. A directory is what it is."""
    if is_url(out):
        Mirror(out, path).download()


@contextmanager
def snapshot(out: str) -> Iterator[Path]:
    """A directory for reading: `out` itself, or a download of what the URL holds now. Claims nothing.

    Raises ValueError if the URL holds no run.
    """
    if not is_url(out):
        yield Path(out).expanduser()
        return
    with scratch_folder() as scratch:
        path = scratch / local_copy(out).name
        Mirror(out, path).download()
        if not path.is_dir():
            raise ValueError(f"{out}: holds no run; start one with `python -m search run CONFIG --out {out}`")
        yield path
