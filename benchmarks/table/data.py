"""A table: what every method predicts at every rung with every seed, and the seconds that it takes.

The file is an npz without pickles. `info` is JSON: settings, digests of data and weights, versions, rows and
random branches. Every task has arrays TASK/NAME; predictions are packed bits along their last axis.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.language.proposal import Branch
from benchmarks.table.rows import Row, is_disguise
from benchmarks.table.settings import TableSettings
from search.scoring.pgr import Bools
from trainers.data.examples import Labels

SCHEMA = 1
Bits = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class TaskTable:
    """The trials of a task.

    search, test: uint8 [rows, seeds, rungs, bytes], the classes predicted at each rung, packed.
    seconds: float32 [rows, seeds, rungs], from the rung before to this one, predictions of the search split
    included; NaN where a method is not judged at the rung, or its trial failed before.
    failed: bool [rows, seeds]; the seconds to the failure stand at the rung that was not reached.
    truth, weak, ceiling: of each split, int8 [n], bool [seeds, n] and bool [ceilings, n].
    """

    search: Bits
    test: Bits
    seconds: NDArray[np.float32]
    failed: Bools
    truth: Mapping[str, Labels]
    weak: Mapping[str, Bools]
    ceiling: Mapping[str, Bools]

    def predictions(self, split: str, row: int, seed: int, rung: int) -> Bools:
        """The classes, bool [n], that a row predicts on a split."""
        packed = {"search": self.search, "test": self.test}[split][row, seed, rung]
        return np.unpackbits(packed, count=len(self.truth[split])).astype(np.bool_)

    @cached_property
    def search_accuracy(self) -> NDArray[np.float64]:
        """[rows, seeds, rungs] on the search split, NaN where there are no predictions."""
        return self._accuracy(self.search, self.truth["search"])

    @cached_property
    def test_accuracy(self) -> NDArray[np.float64]:
        """[rows, seeds, rungs] on the test split, NaN where there are no predictions."""
        return self._accuracy(self.test, self.truth["test"])

    def _accuracy(self, predicted: Bits, truth: Labels) -> NDArray[np.float64]:
        right = np.unpackbits(predicted, axis=-1, count=len(truth)) == truth
        reached = np.isfinite(self.seconds) & ~self.failed[:, :, None]
        return np.where(reached, right.mean(axis=-1), np.nan)

    def dealt(self, rng: np.random.Generator) -> "TaskTable":
        """The same trials with all examples dealt anew into a search and a test split of the same sizes.

        No method was chosen or trained by either, so each deal is as good. Examples of one group may be dealt
        apart.
        """
        first = len(self.truth["search"])
        order = rng.permutation(first + len(self.truth["test"]))
        deal = {"search": order[:first], "test": order[first:]}

        def of_deal(splits: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
            both = np.concatenate([splits["search"], splits["test"]], axis=-1)
            return {split: both[..., places] for split, places in deal.items()}

        predicted = of_deal(
            {
                split: np.unpackbits(bits, axis=-1, count=len(self.truth[split]))
                for split, bits in (("search", self.search), ("test", self.test))
            }
        )
        return replace(
            self,
            search=np.packbits(predicted["search"], axis=-1),
            test=np.packbits(predicted["test"], axis=-1),
            truth=of_deal(self.truth),
            weak=of_deal(self.weak),
            ceiling=of_deal(self.ceiling),
        )

    @property
    def training_s(self) -> float:
        """Mean seconds of a whole training, over all rows and seeds."""
        return float(np.nansum(self.seconds, axis=2).mean())


@dataclass(frozen=True, kw_only=True)
class Table:
    """All tasks of a table. chance: the branches that a random proposer proposes."""

    settings: TableSettings
    rows: Sequence[Row]
    chance: Sequence[Branch]
    tasks: Mapping[str, TaskTable]
    facts: Mapping[str, Any]

    @cached_property
    def disguises(self) -> Bools:
        """Naive, and what computes the same: bool [rows]."""
        return np.array([is_disguise(row.method, self.settings.naive) for row in self.rows])


def save(path: Path, table: Table) -> None:
    """Write a table."""
    info = {
        "schema": SCHEMA,
        "settings": table.settings.model_dump(),
        "rows": [row.model_dump() for row in table.rows],
        "chance": [branch.model_dump() for branch in table.chance],
        "tasks": list(table.tasks),
        "facts": dict(table.facts),
    }
    arrays: dict[str, NDArray[Any]] = {"info": np.array(json.dumps(info))}
    for name, task in table.tasks.items():
        arrays[f"{name}/search"], arrays[f"{name}/test"] = task.search, task.test
        arrays[f"{name}/seconds"], arrays[f"{name}/failed"] = task.seconds, task.failed
        for split, truth in task.truth.items():
            arrays[f"{name}/truth_{split}"] = truth
            arrays[f"{name}/weak_{split}"] = np.packbits(task.weak[split], axis=1)
            arrays[f"{name}/ceiling_{split}"] = np.packbits(task.ceiling[split], axis=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part.npz")
    np.savez_compressed(part, **arrays)  # type: ignore[arg-type]  # its stub takes the names for allow_pickle
    part.replace(path)


def load(path: Path) -> Table:
    """Read a table; ValueError, on one line, if it is none."""
    with np.load(path, allow_pickle=False) as file:
        if "info" not in file.files:
            raise ValueError(f"{path} has no `info`: make a table with python -m benchmarks.table build")
        info = json.loads(str(file["info"]))
        if info.get("schema") != SCHEMA:
            raise ValueError(f"{path} is of schema {info.get('schema')}, not {SCHEMA}: build it again")
        return Table(
            settings=TableSettings.model_validate(info["settings"]),
            rows=[Row.model_validate(row) for row in info["rows"]],
            chance=[Branch.model_validate(branch) for branch in info["chance"]],
            tasks={name: _task(file, name) for name in info["tasks"]},
            facts=info["facts"],
        )


def _task(file: Any, name: str) -> TaskTable:
    truth = {split: file[f"{name}/truth_{split}"] for split in ("search", "test")}

    def unpacked(role: str) -> dict[str, Bools]:
        return {
            split: np.unpackbits(file[f"{name}/{role}_{split}"], axis=1, count=len(labels)).astype(np.bool_)
            for split, labels in truth.items()
        }

    return TaskTable(
        search=file[f"{name}/search"],
        test=file[f"{name}/test"],
        seconds=file[f"{name}/seconds"],
        failed=file[f"{name}/failed"],
        truth=truth,
        weak=unpacked("weak"),
        ceiling=unpacked("ceiling"),
    )
