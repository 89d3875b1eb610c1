"""Tasks from a hub data set or a local file: reads its fields and draws four splits from a seed."""

import difflib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np
from numpy.typing import NDArray

from trainers.data.examples import SPLITS, Examples, Labels, SplitName, Task
from trainers.data.files import Column, read_file, shown_names
from trainers.data.loading import loading
from trainers.data.settings import DatasetTask, SingleFields, SplitSizes, ToyTask, is_file_path
from trainers.data.toy_task import load_toy
from trainers.data.values import read_groups, read_labels, read_texts

log = logging.getLogger(__name__)

Rows = NDArray[np.int64]


def load_dataset_task(config: DatasetTask) -> Task:
    """Draw the four splits of a data set from its seed: the same config and data give the same task.

    Exact duplicates are dropped first, except the first copy, and so are pairs of equal responses. No input
    or group occurs in two splits. In half of the pairs of a split, chosen by the seed, the second response is
    the better (half rounded down for odd sizes). Local files need no network. Raises ValueError, on one line,
    for anything wrong with the data.
    """
    pool = _read(config, config.path, config.split)
    test_pool = None
    if config.test_path is not None or config.test_split is not None:
        test_pool = _read(config, config.test_path or config.path, config.test_split or config.split)
    rng = np.random.default_rng(config.seed)
    # The test split is drawn first, so that it does not depend on the sizes of the other splits.
    if test_pool is None:
        drawn = _draw(pool, config.splits, ("test", "search", "weak_train", "transfer"), rng)
    else:
        drawn = _draw(test_pool, config.splits, ("test",), rng)
        drawn |= _draw(pool.without(drawn["test"]), config.splits, ("search", "weak_train", "transfer"), rng)
    inputs: dict[SplitName, Examples] = {}
    truth: dict[SplitName, Labels] = {}
    for split in SPLITS:
        inputs[split], truth[split] = _examples(drawn[split], rng, config.question)
        _check_classes(truth[split], split, drawn[split].path)
    pools = [pool] if test_pool is None else [pool, test_pool]
    files = {of_file.path: of_file.sha256 for of_file in pools if of_file.sha256 is not None}
    return Task(inputs=inputs, truth=truth, files=files)


@dataclass(frozen=True, kw_only=True)
class _Pool:
    """Distinct examples as read. The first response of a pair is the better one; labels are then None."""

    path: str
    texts: Column
    pairs: list[tuple[str, str]] | None
    labels: Labels | None
    groups: Column
    sha256: str | None

    def keys(self) -> list[object]:
        """Keys that equal inputs share: a text, or a prompt with its responses in any order."""
        if self.pairs is None:
            return list(self.texts)
        return [(text, frozenset(pair)) for text, pair in zip(self.texts, self.pairs, strict=True)]

    def take(self, rows: Rows) -> "_Pool":
        return _Pool(
            path=self.path,
            texts=[self.texts[i] for i in rows],
            pairs=None if self.pairs is None else [self.pairs[i] for i in rows],
            labels=None if self.labels is None else self.labels[rows],
            groups=[self.groups[i] for i in rows],
            sha256=self.sha256,
        )

    def without(self, taken: "_Pool") -> "_Pool":
        """The examples that share neither input nor group with `taken`."""
        keys, groups = set(taken.keys()), set(taken.groups)
        mine = enumerate(zip(self.keys(), self.groups, strict=True))
        apart = [i for i, (key, group) in mine if key not in keys and group not in groups]
        return self.take(np.array(apart, dtype=np.int64))


def _read(config: DatasetTask, path: str, split: str) -> _Pool:
    fields = config.fields
    names = [name for name in fields.model_dump().values() if name is not None]
    columns, sha256 = _columns(config, path, split, names)
    pairs, labels = None, None
    if isinstance(fields, SingleFields):
        texts = read_texts(columns[fields.text], path, fields.text)
        labels = read_labels(columns[fields.label], path, fields.label)
    else:
        chosen = read_texts(columns[fields.chosen], path, fields.chosen, may_be_empty=True)
        rejected = read_texts(columns[fields.rejected], path, fields.rejected, may_be_empty=True)
        pairs = list(zip(chosen, rejected, strict=True))
        prompt = fields.prompt
        texts = (
            [""] * len(pairs)
            if prompt is None
            else read_texts(columns[prompt], path, prompt, may_be_empty=True)
        )
    # Without a group field, every input is its own group.
    groups: Column = [object() for _ in texts]
    if fields.group is not None:
        groups = read_groups(columns[fields.group], path, fields.group)
    return _distinct(_Pool(path=path, texts=texts, pairs=pairs, labels=labels, groups=groups, sha256=sha256))


def _distinct(pool: _Pool) -> _Pool:
    first: dict[object, int] = {}
    for i, key in enumerate(pool.keys()):
        if pool.pairs is None or pool.pairs[i][0] != pool.pairs[i][1]:
            first.setdefault(key, i)
    if len(first) < len(pool.texts):
        log.info("%s: dropped %d duplicates of %d", pool.path, len(pool.texts) - len(first), len(pool.texts))
    return pool.take(np.array(list(first.values()), dtype=np.int64))


def _columns(
    config: DatasetTask, path: str, split: str, names: Sequence[str]
) -> tuple[dict[str, Column], str | None]:
    """The named columns of a file or a hub data set, and the digest of the file."""
    if is_file_path(path):
        file = read_file(path)
        _check_names(names, list(file.columns), path)
        return {name: list(file.columns[name]) for name in names}, file.sha256
    with loading(f"data set {path!r} cannot be loaded", "check its id, subset, split and the network"):
        table = datasets.load_dataset(path, name=config.name, split=split)
    _check_names(names, table.column_names, path)
    return {name: list(table[name]) for name in names}, None


def _check_names(names: Sequence[str], there: Sequence[str], path: str) -> None:
    for name in names:
        if name not in there:
            near = sorted(there, key=lambda c: -difflib.SequenceMatcher(None, c, name).ratio())
            without = ", or write `prompt: null` if there is none" if name == "prompt" else ""
            raise ValueError(
                f"{path} has no field {name!r}: map it in `fields` to one of {shown_names(near)}{without}"
            )


def _draw(
    pool: _Pool, sizes: SplitSizes, names: Sequence[SplitName], rng: np.random.Generator
) -> dict[SplitName, _Pool]:
    """Fill the splits in turn with whole groups in random order.

    The rest of the last group of a split belongs to no split.
    """
    members: dict[object, list[int]] = {}
    for i, group in enumerate(pool.groups):
        members.setdefault(group, []).append(i)
    order = list(members.values())
    queue = iter([order[g] for g in rng.permutation(len(order))])
    drawn: dict[SplitName, _Pool] = {}
    for name in names:
        size, rows = int(getattr(sizes, name)), list[int]()
        while len(rows) < size:
            group_rows = next(queue, None)
            if group_rows is None:
                raise ValueError(_too_few(pool, sizes, names, len(order)))
            rows.extend(group_rows)
        drawn[name] = pool.take(rng.permutation(np.array(rows[:size], dtype=np.int64)))
    return drawn


def _too_few(pool: _Pool, sizes: SplitSizes, names: Sequence[SplitName], groups: int) -> str:
    wanted = {name: int(getattr(sizes, name)) for name in names}
    parts = " + ".join(f"{name} {size}" for name, size in wanted.items())
    grouped = "" if groups == len(pool.texts) else f" in {groups} groups that cannot be divided"
    return (
        f"splits ask for {sum(wanted.values())} examples ({parts}), but {pool.path} has "
        f"{len(pool.texts)} distinct ones{grouped} to draw them from: make the splits smaller"
    )


def _examples(pool: _Pool, rng: np.random.Generator, question: str | None) -> tuple[Examples, Labels]:
    if pool.pairs is None:
        assert pool.labels is not None
        return Examples(texts=tuple(pool.texts), question=question), pool.labels
    second_is_better = rng.permutation(np.arange(len(pool.pairs)) % 2).astype(np.int8)
    shown = zip(pool.pairs, second_is_better, strict=True)
    pairs = tuple((worse, better) if swap else (better, worse) for (better, worse), swap in shown)
    return Examples(texts=tuple(pool.texts), pairs=pairs, question=question), second_is_better


def _check_classes(labels: Labels, split: SplitName, path: str) -> None:
    if len(set(labels.tolist())) < 2:
        raise ValueError(
            f"splits.{split}: its {len(labels)} examples of {path} are all of class {labels[0]}: "
            f"make the split larger, or check the labels"
        )


TASKS: dict[type[Any], Callable[[Any], Task]] = {DatasetTask: load_dataset_task, ToyTask: load_toy}


def load_task(config: DatasetTask | ToyTask) -> Task:
    """The four splits of a task; raises ValueError, on one line, for anything wrong with its data."""
    return TASKS[type(config)](config)
