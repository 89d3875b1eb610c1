"""A small real run that holds still while it is attacked; its driver has keys in its environment."""

import contextlib
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.small_runs.exposure import processes
from tests.small_runs.settings import ONE_CPU
from tests.small_runs.site import Driver, Site

NAMES = (
    "ANTHROPIC_API_KEY",
    "WANDB_API_KEY",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "OPTUNA_PASSWORD",
    "GITHUB_TOKEN",
    "DATABASE_URL",
)
OF_TRACKING = "WANDB_API_KEY"  # W&B's own process has its key


@contextlib.contextmanager
def set_secrets() -> Iterator[dict[str, str]]:
    """Set a random value for each name in this process's environment, which a driver inherits."""
    values = {name: secrets.token_hex(20) for name in NAMES}
    before = {name: os.environ.get(name) for name in NAMES}
    os.environ.update(values)
    try:
        yield values
    finally:
        for name, value in before.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value


@dataclass
class Victim:
    """A run whose first trial hangs.

    exposed: for each secret, the titles of the processes other than the driver that were given it so far.
    """

    site: Site
    driver: Driver
    secrets: dict[str, str]
    exposed: dict[str, set[str]] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        """Where the run's Ray listens."""
        for pid in self.driver.others("--gcs-address="):
            line = Path(f"/proc/{pid}/cmdline").read_text()
            if found := re.search(r"--gcs-address=([\d.]+:\d+)", line):
                return found[1]
        raise RuntimeError("the run's Ray cannot be found")

    @property
    def token(self) -> str | None:
        """What Ray asks its clients for, as a process of the same user can read it; None if for nothing."""
        for pid in self.driver.others():
            with contextlib.suppress(OSError):
                environ = Path(f"/proc/{pid}/environ").read_text("latin-1").split("\0")
                given = dict(line.partition("=")[::2] for line in environ)
                if given.get("RAY_AUTH_MODE") == "token":
                    return given.get("RAY_AUTH_TOKEN")
        return None

    @property
    def session(self) -> Path:
        """The folder of Ray's own files."""
        for pid in self.driver.others("--session-dir="):
            if found := re.search(r"--session-dir=([^\0]+)", Path(f"/proc/{pid}/cmdline").read_text()):
                return Path(found[1])
        raise RuntimeError("the run's Ray has no folder")

    def watch(self) -> None:
        """Note which processes are given a secret, until the end.

        A process that the driver is starting is the driver's own copy until it becomes another program; it
        counts if it is still a copy a moment later.
        """
        copies: set[int] = set()
        while not self._over.wait(0.2):
            found = {pid: (title, given) for pid, title, given in processes() if pid != os.getpid()}
            itself, _ = found.pop(self.driver.process.pid, ("", b""))
            before, copies = copies, {pid for pid, (title, _) in found.items() if title == itself}
            for pid, (title, given) in found.items():
                if pid not in copies or pid in before:
                    for name, value in self.secrets.items():
                        if value.encode() in given:
                            self.exposed.setdefault(name, set()).add(title)


@contextlib.contextmanager
def hanging_run(place: Path, cache: Path) -> Iterator[Victim]:
    """A run up to where its first trial hangs, baselines trained; the end of the block interrupts it."""
    settings = ["seed=7", "faults={step_limit_s: 600}"]  # a seed of its own: its baselines are not cached
    site = Site(place / "run", cache, settings, (ONE_CPU,))  # so no second trial trains on
    with set_secrets() as values:
        victim = Victim(site, site.run(), values)
    watcher = threading.Thread(target=victim.watch)
    watcher.start()
    try:
        victim.driver.wait_for(lambda: site.count("baselines_ready") == 1)
        site.plant("hang")
        victim.driver.wait_for(lambda: not any(site.faults.iterdir()))
        time.sleep(1)  # the grader and W&B's process are there as well
        yield victim
    finally:
        victim.driver.process.terminate()
        time.sleep(0.5)
        victim.driver.process.terminate()
        victim.driver.process.communicate()
        victim._over.set()
        watcher.join()
