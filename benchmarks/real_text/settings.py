"""What all tasks share: sizes, seeds and learners; and the config of a task's search."""

import os
from pathlib import Path
from typing import Literal

from search.config.learners import LearnerConfig, SupervisorConfig
from search.config.schema import RunConfig
from search.config.search import SearchConfig
from search.config.seeds import BaselineConfig, ConfirmConfig, ReplicationConfig
from trainers.component import Frozen
from trainers.components.optim import Adamw
from trainers.components.students import BagOfWords, Full, Probe, StudentConfig
from trainers.data.files import read_file
from trainers.data.settings import DatasetTask, PairFields, SingleFields, SplitSizes
from trainers.models.settings import HubModel

TOPIC = 10  # rows of a group, on average, above which it is a topic, which splits share
LEAST_ROWS = 20  # that a weak supervisor learns from
STUDENTS: dict[str, tuple[StudentConfig, Adamw]] = {
    "probe": (Probe(), Adamw(lr=0.01, epochs=5, batch_size=32)),
    "full": (Full(), Adamw(lr=2e-4, epochs=1, batch_size=32)),
}
ROUNDS = 10  # of a search, where each has as many trials as those of configs/sst2.yaml
ROUND_TRIALS = 10


class RealTextSettings(Frozen):
    """What decides the figures, besides the data and the encoder's weights; the same for every task.

    The learners, the splits and the seeds are those of configs/sst2.yaml. A task with fewer rows has smaller
    weak supervisors, one with fewer test rows a smaller test split; nothing else depends on the task.

    minutes: of a task's search; 0 for no search. trials: that a search may start in a minute. weak_rows: that
    each supervisor learns from, no row for two of them. supervisors: of the search. fresh: supervisors kept
    back, each with one seed of every method.
    """

    encoder: str
    student: Literal["probe", "full"] = "probe"
    minutes: float = 5.0
    trials: int = 30
    max_length: int = 64
    weak_rows: int = 200
    weak_lr: float = 0.1
    weak_epochs: float = 20
    transfer: int = 1200
    search: int = 800
    test: int = 1000
    supervisors: int = 5
    fresh: int = 8
    seed: int = 0

    def config(self, folder: Path, name: str, *, pairs: bool, cache: Path) -> RunConfig:
        """The config of a task's search. pairs: of prompt, chosen, rejected, not of text and label.

        Raises ValueError, on one line, if the files of the task are not there, unreadable or too small.
        """
        model = HubModel(path=self.encoder, max_length=self.max_length)
        student, optim = STUDENTS[self.student]
        weak = Adamw(lr=self.weak_lr, epochs=self.weak_epochs, batch_size=32)
        task = self._task(folder, name, pairs=pairs)
        return RunConfig(
            name=name.replace("_", "-"),
            seed=self.seed,
            task=task,
            weak=SupervisorConfig(model=model, student=BagOfWords(), optim=weak),
            strong=LearnerConfig(model=model, student=student, optim=optim),
            baselines=BaselineConfig(
                seeds=self.supervisors, own_rows=task.splits.weak_train // (self.supervisors + self.fresh)
            ),
            search=self._search,
            replication=ReplicationConfig(seeds=self.supervisors),
            confirm=ConfirmConfig(seeds=self.fresh, predictions=True),
            cache=str(cache),
        )

    @property
    def _search(self) -> SearchConfig:
        trials = max(1, round(self.trials * self.minutes))
        return SearchConfig(
            trials=trials,
            round_trials=max(ROUND_TRIALS, trials // ROUNDS),
            max_hours=max(self.minutes, 1 / 60) * (os.cpu_count() or 1) / 60,
        )

    def _task(self, folder: Path, name: str, *, pairs: bool) -> DatasetTask:
        train, test = (folder / f"{name}.{split}.jsonl.gz" for split in ("train", "test"))
        if not train.is_file():
            there = sorted(file.name.split(".")[0] for file in folder.glob("*.train.jsonl.gz"))
            raise ValueError(f"{train} is not there; {folder} has {', '.join(there) or 'no such file'}")
        columns = read_file(str(train)).columns
        if pairs != ("chosen" in columns):
            raise ValueError(
                f"{train} has {', '.join(columns)}: name it in {'--tasks' if pairs else '--pairs'}"
            )
        rows = min(len(column) for column in columns.values())
        group = "group" if _kept_together(columns.get("group", [])) else None
        fields = PairFields(group=group) if pairs else SingleFields(group=group)
        return DatasetTask(
            path=str(train),
            test_path=str(test),
            fields=fields,
            seed=self.seed,
            splits=self._splits(train, rows, len(next(iter(read_file(str(test)).columns.values())))),
        )

    def _splits(self, train: Path, rows: int, test_rows: int) -> SplitSizes:
        learners = self.supervisors + self.fresh
        left = int(0.98 * rows) - self.transfer - self.search  # rows with a text of another split are dropped
        each = min(self.weak_rows, left // learners)
        if each < LEAST_ROWS:
            raise ValueError(
                f"{train} has {rows} rows, too few for {learners} weak supervisors of {LEAST_ROWS} rows "
                f"beside transfer {self.transfer} and search {self.search}"
            )
        return SplitSizes(
            weak_train=each * learners,
            transfer=self.transfer,
            search=self.search,
            test=min(self.test, int(0.98 * test_rows)),
        )


def _kept_together(groups: list[object]) -> bool:
    return bool(groups) and len(set(groups)) > len(groups) / TOPIC


QUICK: dict[str, float] = {
    "minutes": 0.2,
    "max_length": 32,
    "weak_rows": 100,
    "transfer": 300,
    "search": 300,
    "test": 400,
    "supervisors": 2,
    "fresh": 3,
}
