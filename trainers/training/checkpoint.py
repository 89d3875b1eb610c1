"""Saves the state of a training at rungs, for trials that pause or whose worker dies."""

import hashlib
import logging
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol

import torch
import torch.distributed as dist
from pydantic import Field, ValidationError

from trainers.component import Frozen
from trainers.files import replace_file, sync
from trainers.gang import rank, world_size

log = logging.getLogger(__name__)

LATEST = "latest.json"


class Trained(Protocol):
    """What is trained in steps: an optimizer's session, or an evolution.

    No engine reads what another has written.
    """

    @property
    def engine(self) -> str:
        """What writes its states."""

    def save(self, folder: Path) -> None:
        """Save what is needed to go on from here; the members of a gang share the folder."""

    def load(self, folder: Path) -> None:
        """Go on from what `save` wrote."""


class UnreadableStateError(OSError):
    """A state is whole and cannot be loaded; it is gone, so the trial starts anew in another process."""


class Latest(Frozen):
    """Names the last state of a training.

    training: identifies the training. state: the folder of the state. files: SHA-256 of every file there.
    engine: what wrote it; states of earlier versions, which don't say so, are DeepSpeed's.
    """

    training: str
    state: Annotated[str, Field(pattern=r"^steps-[0-9]+$")]
    steps: Annotated[int, Field(ge=1)]
    files: dict[str, str]
    engine: str = "deepspeed"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Where a training's state is saved, and after how much work.

    folder: belongs to a single trial or training; the members of a gang share it. after_s: at a rung at which
    training continues, the state is saved only after this many seconds since the start or the last state,
    because repeating less work is cheaper. The caller removes the folder when the trial has ended.
    """

    folder: Path
    after_s: float = 30.0


class Keeper:
    """Saves the states of a training and finds the last one.

    training: identifies the training; the state of another training is ignored.
    """

    def __init__(self, checkpoint: Checkpoint, session: Trained, training: str) -> None:
        self._checkpoint = checkpoint
        self._session = session
        self._training = training
        self._since = time.monotonic()
        self._saved = 0  # the steps of the last state

    def resume(self) -> int:
        """Load the last state; returns its number of steps, 0 if there is none that can be read.

        Raises UnreadableStateError if it is whole and cannot be loaded all the same.
        """
        latest = _agreed_by_all(self._latest())
        if latest is None:
            return 0
        try:
            self._session.load(self._checkpoint.folder / latest.state)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # a damaged or foreign pickle may raise anything
            shutil.rmtree(self._checkpoint.folder, ignore_errors=True)
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise UnreadableStateError(f"{self._checkpoint.folder} cannot be loaded ({reason})") from error
        log.info("resuming after step %d", latest.steps)
        self._saved = latest.steps
        return latest.steps

    def _latest(self) -> Latest | None:
        """The last state if this process can read its part of it; says at WARNING why it cannot."""
        folder = self._checkpoint.folder
        try:
            latest = Latest.model_validate_json((folder / LATEST).read_bytes())
        except FileNotFoundError:
            if any(folder.glob("steps-*")):
                log.warning("%s: %s is missing: starting from the beginning", folder, LATEST)
            return None
        except ValidationError:
            log.warning("%s: %s is damaged: starting from the beginning", folder, LATEST)
            return None
        if latest.training != self._training:
            log.warning("%s holds the state of another training: starting from the beginning", folder)
            return None
        if latest.engine != self._session.engine:
            log.warning(
                "%s holds a state of %s, and %s trains here: starting from the beginning",
                folder,
                latest.engine,
                self._session.engine,
            )
            return None
        if damaged := _damaged(folder / latest.state, latest.files):
            log.warning("%s is damaged or missing: starting from the beginning", damaged)
            return None
        return latest

    def save_if_worth_it(self, steps: int) -> None:
        """Save the state after `steps` steps if enough time has passed."""
        if _agreed(time.monotonic() - self._since >= self._checkpoint.after_s):
            self.save(steps)

    def save(self, steps: int) -> None:
        """Save the state after `steps` steps and remove the previous state. A state is never overwritten."""
        if steps == self._saved:
            return
        folder, state = self._checkpoint.folder, f"steps-{steps}"
        folder.mkdir(parents=True, exist_ok=True)
        self._session.save(folder / state)
        if world_size() > 1:
            dist.barrier()  # a member may still be writing its part
        if rank() == 0:
            files = _written(folder / state)
            latest = Latest(
                training=self._training, state=state, steps=steps, files=files, engine=self._session.engine
            )
            replace_file(folder / LATEST, latest.model_dump_json())
            for old in folder.glob("steps-*"):
                if old.name != state:
                    shutil.rmtree(old, ignore_errors=True)
        self._since, self._saved = time.monotonic(), steps


def _written(state: Path) -> dict[str, str]:
    """Flush every file of a state to the disk; returns their digests."""
    files = sorted(file for file in state.rglob("*") if file.is_file())
    for path in (*files, *{file.parent for file in files}):
        sync(path)
    return {file.relative_to(state).as_posix(): _digest(file) for file in files}


def _damaged(state: Path, files: dict[str, str]) -> Path | None:
    """The first file that is not as it was written. The members of a gang check a part each."""
    for name in sorted(files)[rank() :: world_size()]:
        file = state / name
        if not file.is_file() or _digest(file) != files[name]:
            return file
    return None


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _agreed_by_all(mine: Latest | None) -> Latest | None:
    """The state if every member of the gang can read the same, else None."""
    if world_size() == 1:
        return mine
    found: list[Latest | None] = [None] * world_size()
    dist.all_gather_object(found, mine)
    return mine if all(latest == mine for latest in found) else None


def _agreed(mine: bool) -> bool:
    """The decision of rank 0, because the members' clocks differ."""
    if world_size() == 1:
        return mine
    decision = [mine]
    dist.broadcast_object_list(decision, src=0)
    return decision[0]
