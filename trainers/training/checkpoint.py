"""Saves the state of a training at rungs, for trials that pause or whose worker dies."""

import json
import logging
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import torch.distributed as dist

from trainers.files import replace_file
from trainers.gang import rank, world_size
from trainers.training.session import Session

log = logging.getLogger(__name__)

LATEST = "latest.json"


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

    def __init__(self, checkpoint: Checkpoint, session: Session, training: str) -> None:
        self._checkpoint = checkpoint
        self._session = session
        self._training = training
        self._since = time.monotonic()

    def resume(self) -> int:
        """Load the last state; returns its number of steps, 0 if there is no state."""
        try:
            latest = json.loads((self._checkpoint.folder / LATEST).read_text())
        except FileNotFoundError:
            return 0
        if latest["training"] != self._training:
            log.warning(
                "%s holds the state of another training: starting from the beginning", self._checkpoint.folder
            )
            return 0
        self._session.load(self._checkpoint.folder / latest["state"])
        log.info("resuming after step %d", latest["steps"])
        return int(latest["steps"])

    def save_if_worth_it(self, steps: int) -> None:
        """Save the state after `steps` steps if enough time has passed."""
        if _agreed(time.monotonic() - self._since >= self._checkpoint.after_s):
            self.save(steps)

    def save(self, steps: int) -> None:
        """Save the state after `steps` steps and remove the previous state."""
        folder, state = self._checkpoint.folder, f"steps-{steps}"
        folder.mkdir(parents=True, exist_ok=True)
        self._session.save(folder / state)
        if world_size() > 1:
            dist.barrier()  # a member may still be writing its part
        if rank() == 0:
            latest = {"training": self._training, "state": state, "steps": steps}
            replace_file(folder / LATEST, json.dumps(latest))
            for old in folder.glob("steps-*"):
                if old.name != state:
                    shutil.rmtree(old, ignore_errors=True)
        self._since = time.monotonic()


def _agreed(mine: bool) -> bool:
    """The decision of rank 0, because the members' clocks differ."""
    if world_size() == 1:
        return mine
    decision = [mine]
    dist.broadcast_object_list(decision, src=0)
    return decision[0]
