"""What a table is made with: sizes, seeds, the learners; and the config of a campaign on it."""

from collections.abc import Sequence
from pathlib import Path

from search.config.learners import LearnerConfig, SupervisorConfig
from search.config.schema import RunConfig
from search.config.search import SearchConfig
from search.config.seeds import BaselineConfig, ConfirmConfig, ReplicationConfig
from search.config.tasks import SearchedTask
from search.policy.pruning import PruningConfig
from trainers.component import Frozen
from trainers.components.optim import Adamw
from trainers.components.students import BagOfWords, Probe
from trainers.data.settings import DatasetTask, PairFields, SingleFields, SplitSizes
from trainers.method import Abilities, Method
from trainers.models.settings import HubModel

ABILITIES = Abilities(prior=False, intermediates=0)  # a sentence encoder gives no zero-shot answer
STRONG = Probe(layer=1.0)
WEAK = BagOfWords()  # for which the encoder lends its tokenizer
STRONG_OPTIM = Adamw(lr=0.01, epochs=5, batch_size=32)
WEAK_OPTIM = Adamw(lr=0.1, epochs=20, batch_size=32)


class TableSettings(Frozen):
    """What decides a table, besides the data and the encoder's weights.

    weak_rows: that each supervisor learns from, no row for two of them. seeds: of every method, each with a
    supervisor of its own; half of them are a campaign's search, the others confirm. methods: rows of the
    table. fine_tuned: at most so many of them train the encoder itself, half of them by low-rank
    updates.
    """

    encoder: str
    max_length: int = 64
    weak_rows: int = 200
    transfer: int = 1200
    search: int = 800
    test: int = 1000
    seeds: int = 8
    ceilings: int = 5
    methods: int = 640
    fine_tuned: int = 2
    seed: int = 0
    rungs: tuple[float, ...] = PruningConfig().rungs
    min_steps: int = PruningConfig().min_steps

    @property
    def model(self) -> HubModel:
        """The encoder that students read, and whose tokens supervisors count."""
        return HubModel(path=self.encoder, max_length=self.max_length)

    @property
    def naive(self) -> Method:
        """The naive baseline: a read-out of the last layer, fitted to hard weak labels."""
        return Method(student=STRONG, optim=STRONG_OPTIM)

    @property
    def splits(self) -> SplitSizes:
        """The sizes of a task's splits."""
        return SplitSizes(
            weak_train=self.weak_rows * self.seeds,
            transfer=self.transfer,
            search=self.search,
            test=self.test,
        )

    def task(self, folder: Path, name: str, *, pairs: bool = False, group: bool = False) -> DatasetTask:
        """The task of NAME.train.jsonl.gz and NAME.test.jsonl.gz in a folder.

        pairs: of prompt, chosen, rejected, not of text and label. group: whether a field names groups that
        stay in one split.
        """
        groups = "group" if group else None
        return DatasetTask(
            path=str(folder / f"{name}.train.jsonl.gz"),
            test_path=str(folder / f"{name}.test.jsonl.gz"),
            fields=PairFields(group=groups) if pairs else SingleFields(group=groups),
            seed=self.seed,
            splits=self.splits,
        )


QUICK = {
    "methods": 60,
    "seeds": 4,
    "ceilings": 4,
    "fine_tuned": 1,
    "transfer": 1000,
    "search": 400,
    "test": 600,
    "max_length": 48,
}


class TableConfig(RunConfig):
    """The config of a campaign on a table, whose encoder need not be there."""

    @property
    def abilities(self) -> Abilities:
        """What the methods of the table could count on."""
        return ABILITIES


def campaign_config(
    settings: TableSettings,
    *,
    seed: int,
    search: SearchConfig,
    replication: ReplicationConfig,
    finalists: int = 3,
    tasks: Sequence[str] = (),
) -> TableConfig:
    """A campaign: half of the supervisors teach its search, the others its confirmation.

    tasks: the names of several tasks; none for a campaign on a single one.
    """
    half = settings.seeds // 2
    return TableConfig(
        name="table",
        seed=seed,
        task=settings.task(Path(), tasks[0] if tasks else "task"),
        tasks=tuple(SearchedTask(name=name, task=settings.task(Path(), name)) for name in tasks),
        weak=SupervisorConfig(model=settings.model, student=WEAK, optim=WEAK_OPTIM),
        strong=LearnerConfig(model=settings.model, student=STRONG, optim=STRONG_OPTIM),
        baselines=BaselineConfig(seeds=half),
        search=search,
        replication=replication,
        confirm=ConfirmConfig(finalists=finalists, seeds=settings.seeds - half),
    )
