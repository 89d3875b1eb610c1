"""The distinct examples of a file or a hub split, and the splits drawn from them."""

import bisect
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers.data.counts import FileCounts
from trainers.data.examples import Chat, Examples, Labels, SplitName
from trainers.data.files import Column
from trainers.data.settings import SplitSizes

Rows = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Examples as read. The first response of a pair is the better one; labels are then None.

    chats: the same as messages, if they were read as such. sha256: of the file. counts: what became of its
    rows so far.
    """

    texts: list[str]
    pairs: list[tuple[str, str]] | None
    chats: list[Chat] | None
    labels: Labels | None
    groups: Column
    sha256: str | None
    counts: FileCounts

    def keys(self) -> list[object]:
        """Keys that equal inputs share: a text, or a prompt with its responses in any order."""
        if self.pairs is None:
            return list(self.texts)
        return [(text, frozenset(pair)) for text, pair in zip(self.texts, self.pairs, strict=True)]

    def verdicts(self) -> list[Any]:
        """What each row says of its input: the label, or the better response."""
        if self.pairs is None:
            assert self.labels is not None
            return list(self.labels)
        return [better for better, _ in self.pairs]

    def take(self, rows: Rows | Sequence[int], **counts: int) -> "Pool":
        """Some of the examples, in this order; counts: of those left out."""
        return Pool(
            texts=[self.texts[i] for i in rows],
            pairs=None if self.pairs is None else [self.pairs[i] for i in rows],
            chats=None if self.chats is None else [self.chats[i] for i in rows],
            labels=None if self.labels is None else self.labels[np.asarray(rows, dtype=np.int64)],
            groups=[self.groups[i] for i in rows],
            sha256=self.sha256,
            counts=self.counts.model_copy(update=counts),
        )

    def without(self, taken: "Pool") -> "Pool":
        """The examples that share neither input nor group with `taken`."""
        keys, groups = set(taken.keys()), set(taken.groups)
        mine = enumerate(zip(self.keys(), self.groups, strict=True))
        apart = [i for i, (key, group) in mine if key not in keys and group not in groups]
        return self.take(apart, in_test=len(self.texts) - len(apart))


def distinct(pool: Pool) -> Pool:
    """The first row of every input that has one verdict.

    Pairs of equal responses and inputs with both verdicts are left out: nothing says which of them is right.
    """
    keys, verdicts = pool.keys(), pool.verdicts()
    equal = {i for i, (a, b) in enumerate(pool.pairs or ()) if a == b}
    heard: dict[object, set[Any]] = {}
    first: dict[object, int] = {}
    for i, (key, verdict) in enumerate(zip(keys, verdicts, strict=True)):
        if i not in equal:
            heard.setdefault(key, set()).add(verdict)
            first.setdefault(key, i)
    disputed = {key for key, verdict in heard.items() if len(verdict) > 1}
    kept = [i for key, i in first.items() if key not in disputed]
    rows = Counter(key in disputed for i, key in enumerate(keys) if i not in equal)
    return pool.take(
        kept,
        equal_pairs=len(equal),
        contradictions=len(disputed),
        contradicting_rows=rows[True],
        duplicates=rows[False] - len(kept),
    )


def draw(
    pool: Pool, sizes: SplitSizes, names: Sequence[SplitName], rng: np.random.Generator
) -> dict[SplitName, Pool]:
    """Fill the splits in turn with whole groups in random order.

    The rest of the last group of a split belongs to no split.
    """
    members: dict[object, list[int]] = {}
    for i, group in enumerate(pool.groups):
        members.setdefault(group, []).append(i)
    order = list(members.values())
    turns = [order[g] for g in rng.permutation(len(order))]
    lengths = [len(rows) for rows in turns]
    wanted: dict[str, int] = {name: int(getattr(sizes, name)) for name in names}
    shares = _shares(wanted.values(), lengths)
    if shares is None:
        raise ValueError(_too_few(pool, sizes, wanted, lengths))
    drawn: dict[SplitName, Pool] = {}
    for name, size, share in zip(names, wanted.values(), shares, strict=True):
        rows = [row for place in share for row in turns[place]]
        drawn[name] = pool.take(rng.permutation(np.array(rows[:size], dtype=np.int64)))
    return drawn


def _too_few(pool: Pool, sizes: SplitSizes, wanted: Mapping[str, int], groups: Sequence[int]) -> str:
    """Why the splits cannot be filled, and what would fit. groups: their sizes, in the order drawn."""
    parts = " + ".join(f"{name} {size}" for name, size in wanted.items())
    grouped = "" if len(groups) == len(pool.texts) else f" in {len(groups)} groups that cannot be divided"
    fitting = _fitting(wanted, groups)
    fit = "" if fitting is None else f", such as {_as_yaml({**sizes.model_dump(), **fitting})}"
    lost = pool.counts.left_out()
    return (
        f"splits ask for {sum(wanted.values())} examples ({parts}), but {pool.counts.path} has "
        f"{len(pool.texts)} distinct ones{grouped} to draw them from: make the splits smaller{fit}"
        f"{f', or mend the data ({lost})' if lost else ''}"
    )


def _fitting(wanted: Mapping[str, int], groups: Sequence[int]) -> dict[str, int] | None:
    """The largest sizes in the same proportions, rounded down, that these groups fill in turn; None if none.

    Larger sizes never need fewer groups, so the largest total can be found by halving.
    """
    total = sum(wanted.values())

    def of(rows: int) -> dict[str, int]:
        return {name: size * rows // total for name, size in wanted.items()}

    most = bisect.bisect_left(
        range(1, total + 1), True, key=lambda rows: _shares(of(rows).values(), groups) is None
    )
    return of(most) if all(of(most).values()) else None


def _shares(sizes: Iterable[int], groups: Sequence[int]) -> list[range] | None:
    """The places of the groups that fill each split of these sizes, taken whole and in turn.

    groups: their sizes. None if there are too few.
    """
    shares, place = list[range](), 0
    for size in sizes:
        first, rows = place, 0
        while rows < size:
            if place == len(groups):
                return None
            rows += groups[place]
            place += 1
        shares.append(range(first, place))
    return shares


def _as_yaml(sizes: Mapping[str, int]) -> str:
    return f"splits: {{{', '.join(f'{name}: {size}' for name, size in sizes.items())}}}"


def shown(pool: Pool, rng: np.random.Generator, question: str | None) -> tuple[Examples, Labels]:
    """The examples as students see them, and their labels: half of the pairs in the other order."""
    read = Examples(
        texts=tuple(pool.texts),
        pairs=None if pool.pairs is None else tuple(pool.pairs),
        chats=None if pool.chats is None else tuple(pool.chats),
        question=question,
    )
    if pool.labels is not None:
        return read, pool.labels
    second_is_better = rng.permutation(np.arange(len(read)) % 2).astype(np.int8)
    return read.exchanged(second_is_better == 1), second_is_better
