"""Recorded learning curves: what every configuration reached on some tasks, and the score of a pick."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Reals = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Losses, float [tasks, rows, evaluations], NaN = diverged, and hp, float [rows, parameters]."""

    validation: Reals
    test: Reals
    hp: Reals
    tasks: tuple[str, ...]

    @property
    def evaluations(self) -> int:
        """Evaluations in a full training."""
        return self.validation.shape[2]

    @property
    def rows(self) -> int:
        """Configurations."""
        return self.validation.shape[1]

    def regret(self, task: int) -> Reals:
        """[rows] the normalised test regret of each row at full fidelity, in [0, 1]; 1 where it diverged.

        (final - lowest) / (median - lowest) over the finite rows.
        """
        final = self.test[task, :, -1]
        finite = final[np.isfinite(final)]
        if len(finite) == 0:
            raise ValueError(
                f"task {self.tasks[task]}: no row has a finite test loss at the end; leave it out"
            )
        spread = max(float(np.median(finite) - finite.min()), np.finfo(np.float64).tiny)
        return np.where(np.isfinite(final), np.clip((final - finite.min()) / spread, 0.0, 1.0), 1.0)


def load(path: Path) -> Curves:
    """Read an npz: loss [tasks, rows, (validation, test), evaluations], hp [rows, parameters], tasks."""
    with np.load(path, allow_pickle=False) as file:
        missing = sorted({"loss", "hp", "tasks"} - set(file.files))
        if missing:
            raise ValueError(f"{path} lacks {', '.join(missing)}: see the format in its README")
        loss, hp, tasks = file["loss"].astype(np.float64), file["hp"].astype(np.float64), file["tasks"]
    if loss.ndim != 4 or loss.shape[:3] != (len(tasks), len(hp), 2):
        raise ValueError(
            f"{path}: loss must be [{len(tasks)} tasks, {len(hp)} rows, 2 splits, evaluations], "
            f"got {list(loss.shape)}"
        )
    loss[~np.isfinite(loss)] = np.nan
    return Curves(
        validation=loss[:, :, 0], test=loss[:, :, 1], hp=hp, tasks=tuple(str(task) for task in tasks)
    )


def units(hp: Reals) -> Reals:
    """The hp, [rows, parameters], as quantiles of their columns, in [0, 1]: whatever scale they have.

    Equal values share their mean rank.
    """
    return np.column_stack([(rankdata(column) - 0.5) / len(column) for column in hp.T])


class Pool:
    """The rows not started yet, each given out once. points: [rows, parameters] in the unit cube."""

    def __init__(self, points: Reals) -> None:
        self.points = points
        self.left = np.ones(len(points), dtype=np.bool_)

    def take(self, row: int) -> None:
        """Give out this row."""
        self.left[row] = False

    def nearest(self, point: Reals) -> int | None:
        """Take the row nearest to a point of the unit cube, or None when all are taken."""
        if not self.left.any():
            return None
        distance = ((self.points - point) ** 2).sum(axis=1)
        row = int(np.where(self.left, distance, np.inf).argmin())
        self.take(row)
        return row
