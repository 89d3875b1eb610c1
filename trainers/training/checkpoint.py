"""The state of a training at a rung, for a trial whose worker dies: written whole, or not at all."""

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
    """Where a training's state is kept, and how much work is worth it.

    folder: one trial's or one training's own; a gang's members share it. after_s: seconds of training since
    it began, or since the last state, below which a rung that training goes on from leaves no state:
    repeating them costs less. The caller removes the folder when the trial has ended.
    """

    folder: Path
    after_s: float = 30.0


class Keeper:
    """Saves the states of one training and finds the last one.

    training: identifies the training; the state of another is left alone and counts as none.
    """

    def __init__(self, checkpoint: Checkpoint, session: Session, training: str) -> None:
        self._checkpoint = checkpoint
        self._session = session
        self._training = training
        self._since = time.monotonic()

    def resume(self) -> int:
        """Load the last state; returns the steps that are done, 0 where there is none."""
        try:
            latest = json.loads((self._checkpoint.folder / LATEST).read_text())
        except FileNotFoundError:
            return 0
        if latest["training"] != self._training:
            log.warning("%s holds the state of another training: starting anew", self._checkpoint.folder)
            return 0
        self._session.load(self._checkpoint.folder / latest["state"])
        log.info("going on after step %d", latest["steps"])
        return int(latest["steps"])

    def save_if_worth_it(self, steps: int) -> None:
        """Save the state after so many steps, if enough time went into it."""
        if _agreed(time.monotonic() - self._since >= self._checkpoint.after_s):
            self.save(steps)

    def save(self, steps: int) -> None:
        """Save the state after so many steps; the one before is removed."""
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
    """Rank 0's answer: the members' clocks differ."""
    if world_size() == 1:
        return mine
    answers = [mine]
    dist.broadcast_object_list(answers, src=0)
    return answers[0]
