"""Small runs as real processes that faults can be done to."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tests.small_runs.settings import REPO, SMALL

PATIENCE_S = 400.0


@dataclass(frozen=True)
class Driver:
    """A driver's process, and all it started: those whose environment names the same folder of faults."""

    process: subprocess.Popen[str]
    faults: Path

    def wait(self, timeout_s: float = PATIENCE_S) -> tuple[int, str, str]:
        """Exit code, output and errors."""
        output, errors = self.process.communicate(timeout=timeout_s)
        return self.process.returncode, output, errors

    def others(self, title: str = "") -> list[int]:
        """Processes of the run, apart from the driver, whose title holds this text."""
        mark = f"PLANTED_FAULTS={self.faults}".encode()
        return [
            pid
            for pid, environment, line in _processes()
            if pid != self.process.pid and mark in environment.split(b"\0") and title.encode() in line
        ]

    def kill_one(self, title: str, number: signal.Signals = signal.SIGKILL) -> None:
        """A signal for one process with this text in its title, as soon as there is one."""

        def killed() -> bool:
            found = self.others(title)
            if found:
                os.kill(found[0], number)
            return bool(found)

        self.wait_for(killed)

    def wait_for(self, reached: Callable[[], bool]) -> None:
        """Until the condition holds; RuntimeError if the driver ends before."""
        deadline = time.monotonic() + PATIENCE_S
        while not reached():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the driver has ended too early: {self.wait()}")
            time.sleep(0.02)


def _processes() -> Iterator[tuple[int, bytes, bytes]]:
    """Every readable process: its number, environment and command line."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                yield int(folder.name), (folder / "environ").read_bytes(), (folder / "cmdline").read_bytes()
            except OSError:  # it has ended, or is another user's
                continue


@contextmanager
def meanwhile(reached: Callable[[], bool], act: Callable[[], object]) -> Iterator[None]:
    """Act once the condition holds while the block runs; RuntimeError if it never held."""
    over, acted = threading.Event(), threading.Event()

    def wait() -> None:
        while not reached():
            if over.wait(0.02):
                return
        acted.set()
        act()

    waiting = threading.Thread(target=wait)
    waiting.start()
    try:
        yield
    finally:
        over.set()
        waiting.join()
    if not acted.is_set():
        raise RuntimeError("the block has ended too early")


@dataclass(frozen=True)
class Site:
    """One run: its directory, the cache that runs share, its settings, and the environment of its drivers."""

    out: Path
    cache: Path
    settings: Sequence[str] = ()
    environment: Sequence[tuple[str, str]] = ()

    @property
    def faults(self) -> Path:
        """The folder of faults that wait to be met; see tests/small_runs/planted."""
        return self.out.parent / f"{self.out.name}-faults"

    @property
    def ledger(self) -> Path:
        """The run's ledger."""
        return self.out / "ledger.jsonl"

    def plant(self, *names: str) -> None:
        """Have trials meet these faults, in the order of their names."""
        self.faults.mkdir(exist_ok=True)
        for name in names:
            (self.faults / name).touch()

    def baselines(self) -> Driver:
        """Fill the cache: without models and baselines in it, they would meet the faults."""
        return self._start("baselines", "configs/dev.yaml", *self._set())

    def run(self, **environment: str) -> Driver:
        """Start the run, with these variables in its environment."""
        return self._start(*self.words(), environment=environment)

    def words(self) -> list[str]:
        """The command that starts the run."""
        return ["run", "configs/dev.yaml", "--out", str(self.out), *self._set()]

    def _set(self) -> list[str]:
        planted = "trial.environment=[PLANTED_FAULTS]"
        settings = [*SMALL, f"cache={self.cache}", planted, *self.settings]
        return [part for one in settings for part in ("--set", one)]

    def resume(self) -> Driver:
        """Go on with it."""
        return self._start("resume", str(self.out))

    def _start(self, *arguments: str, environment: Mapping[str, str] = MappingProxyType({})) -> Driver:
        self.plant()
        places = [
            str(Path(__file__).parent / "planted"),
            str(REPO),
            os.environ.get("PYTHONPATH", ""),
        ]
        process = subprocess.Popen(
            [sys.executable, "-m", "search", *arguments],
            cwd=REPO,
            env=os.environ
            | {"PYTHONPATH": ":".join(places), "PLANTED_FAULTS": str(self.faults)}
            | dict(self.environment)
            | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return Driver(process, self.faults)

    def lines(self) -> int:
        """Whole lines of the ledger."""
        return self.ledger.read_bytes().count(b"\n") if self.ledger.is_file() else 0

    def count(self, event: str) -> int:
        """How many events of a kind the ledger holds."""
        return self.ledger.read_text().count(f'"event":"{event}"') if self.ledger.is_file() else 0
