"""Tasks from a hub data set or a local file: reads its fields and draws four splits from a seed."""

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainers.data.conversations import (
    chats_of_pairs,
    holds_messages,
    plain,
    read_turns,
    shared_beginning,
)
from trainers.data.counts import DataCounts, FileCounts
from trainers.data.examples import SPLITS, Chat, Examples, Labels, SplitName, Task, Turns
from trainers.data.files import Column, read_file, shown_names
from trainers.data.loading import loading
from trainers.data.pool import Pool, distinct, draw, shown
from trainers.data.settings import DatasetTask, PairFields, SingleFields, ToyTask, is_file_path
from trainers.data.toy_task import load_toy
from trainers.data.values import is_blank, read_groups, read_labels, read_texts

Pairs = list[tuple[str, str]]


def load_dataset_task(config: DatasetTask) -> Task:
    """Draw the four splits of a data set from its seed: the same config and data give the same task.

    First, repeated rows are left out, and so are pairs of equal responses and inputs with both labels. No
    input or group occurs in two splits. In half of the pairs of a split, chosen by the seed, the second
    response is the better (half rounded down for odd sizes). Local files need no network. Raises ValueError,
    on one line, for anything wrong with the data.
    """
    pool = read_pool(config, config.path, config.split, config.revision)
    pools = [pool]
    rng = np.random.default_rng(config.seed)
    # The test split is drawn first, so that it does not depend on the sizes of the other splits.
    if config.test_path is None and config.test_split is None:
        drawn = draw(pool, config.splits, ("test", "search", "weak_train", "transfer"), rng)
    else:
        revision = config.revision if config.test_path is None else config.test_revision
        path, split = config.test_path or config.path, config.test_split or config.split
        test_pool = read_pool(config, path, split, revision)
        drawn = draw(test_pool, config.splits, ("test",), rng)
        pools = [pool.without(drawn["test"]), test_pool]
        drawn |= draw(pools[0], config.splits, ("search", "weak_train", "transfer"), rng)
    inputs: dict[SplitName, Examples] = {}
    truth: dict[SplitName, Labels] = {}
    for split in SPLITS:
        inputs[split], truth[split] = shown(drawn[split], rng, config.question)
        _check_classes(truth[split], split, drawn[split].counts.path)
    return Task(
        inputs=inputs,
        truth=truth,
        files={of_file.counts.path: of_file.sha256 for of_file in pools if of_file.sha256 is not None},
        counts=DataCounts(files=tuple(of_file.counts for of_file in pools)),
    )


def read_pool(config: DatasetTask, path: str, split: str, revision: str | None) -> Pool:
    """The distinct examples of a file or a hub split, by the fields and labels of a config.

    Raises ValueError, on one line, for anything wrong with them.
    """
    fields = config.fields
    names = [name for name in fields.model_dump().values() if name is not None]
    columns, sha256 = _columns(config, path, split, revision, names)
    empty: list[int] = []
    if config.empty == "leave_out":
        columns, empty = _without_empty(columns, fields)
    # Without a group field, every input is its own group.
    groups: Column = [object() for _ in columns[names[0]]]
    if fields.group is not None:
        groups = read_groups(columns[fields.group], path, fields.group)
    labels: Labels | None = None
    pairs: Pairs | None = None
    if isinstance(fields, SingleFields):
        texts, chats = _singles(columns[fields.text], path, fields.text)
        labels = read_labels(columns[fields.label], path, fields.label, config.labels)
    else:
        texts, pairs, chats = _pairs(columns, fields, path)
    counts = FileCounts(path=path if is_file_path(path) else f"{path} ({split})", rows=len(texts))
    pool = Pool(
        texts=texts, pairs=pairs, chats=chats, labels=labels, groups=groups, sha256=sha256, counts=counts
    )
    if empty:
        pool = pool.take(np.delete(np.arange(len(texts)), empty), empty=len(empty))
    if pool.labels is not None:
        labelled = pool.labels >= 0
        pool = pool.take(np.flatnonzero(labelled), unlabelled=int((~labelled).sum()))
    return distinct(pool)


def _columns(
    config: DatasetTask, path: str, split: str, revision: str | None, names: Sequence[str]
) -> tuple[dict[str, Column], str | None]:
    """The named columns of a file or a hub data set, and the digest of the file."""
    if is_file_path(path) or Path(path).is_dir():
        file = read_file(path)
        _check_names(names, list(file.columns), path)
        return {name: list(file.columns[name]) for name in names}, file.sha256
    import datasets  # takes half a second, and most runs need none of the hub's

    with loading(f"data set {path!r} cannot be loaded", "check its id, subset, split and the network"):
        table = datasets.load_dataset(path, name=config.name, split=split, revision=revision)
    _check_names(names, table.column_names, path)
    return {name: list(table[name]) for name in names}, None


def _without_empty(
    columns: dict[str, Column], fields: PairFields | SingleFields
) -> tuple[dict[str, Column], list[int]]:
    """The columns with another row in place of each empty one, and the places of these, to be left out.

    So all readers count the rows as they stand in the file. A response may be an empty text, not null.
    """
    needed = [
        columns[name] for key, name in fields.model_dump().items() if name is not None and key != "group"
    ]
    lacks = is_blank if isinstance(fields, SingleFields) else _is_null
    empty = [row for row, values in enumerate(zip(*needed, strict=True)) if any(map(lacks, values))]
    whole = next(iter(sorted(set(range(len(needed[0]))) - set(empty))), None)
    if whole is None:
        return columns, []  # nothing can be left out of these: the readers name the first row
    filled = {name: list(values) for name, values in columns.items()}
    for values in filled.values():
        for row in empty:
            values[row] = values[whole]
    return filled, empty


def _is_null(value: object) -> bool:
    return value is None


def _check_names(names: Sequence[str], there: Sequence[str], path: str) -> None:
    for name in names:
        if name not in there:
            near = sorted(there, key=lambda c: -difflib.SequenceMatcher(None, c, name).ratio())
            without = ", or write `prompt: null` if there is none" if name == "prompt" else ""
            raise ValueError(
                f"{path} has no field {name!r}: map it in `fields` to one of {shown_names(near)}{without}"
            )


def _singles(values: Column, path: str, name: str) -> tuple[list[str], list[Chat] | None]:
    if not holds_messages(values):
        return read_texts(values, path, name), None
    turns = read_turns(values, path, name)
    return [plain(of_row, "user") for of_row in turns], [Chat(shared=of_row) for of_row in turns]


def _pairs(
    columns: dict[str, Column], fields: PairFields, path: str
) -> tuple[list[str], Pairs, list[Chat] | None]:
    """Prompts, pairs with the better response first, and both as messages if any of them are."""
    named = [name for name in (fields.prompt, fields.chosen, fields.rejected) if name is not None]
    if not any(holds_messages(columns[name]) for name in named):
        texts = [read_texts(columns[name], path, name, may_be_empty=True) for name in named]
        prompts = texts[0] if fields.prompt is not None else [""] * len(texts[0])
        rows = [shared_beginning(*row) for row in zip(prompts, *texts[-2:], strict=True)]
        return [prompt for prompt, _, _ in rows], [(better, worse) for _, better, worse in rows], None
    *prompt_turns, better, worse = (
        _said(columns[name], path, name, "user" if name == fields.prompt else "assistant") for name in named
    )
    chats = chats_of_pairs(prompt_turns[0] if prompt_turns else [()] * len(better), better, worse)
    pairs = [(plain(chat.first, "assistant"), plain(chat.second, "assistant")) for chat in chats]
    return [plain(chat.shared, "user") for chat in chats], pairs, chats


def _said(values: Column, path: str, name: str, role: str) -> list[Turns]:
    """The messages of a field; a field of texts holds one message of this role in each row."""
    if holds_messages(values):
        return read_turns(values, path, name)
    return [((role, text),) for text in read_texts(values, path, name, may_be_empty=True)]


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
