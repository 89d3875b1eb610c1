"""Texts to tokens, and rows of tokens to batches."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from trainers.data.counts import LengthCounts
from trainers.data.examples import Examples, SplitName

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Rows = NDArray[np.int64]
Ids = list[int]

MEGA_BATCH = 32  # batches sorted by length together: nearly the least padding, and still well mixed


@dataclass(frozen=True, kw_only=True)
class Template:
    """The text around an example, and the words that answer it for class 0 and class 1.

    A single text is shown between `opening` and `question`; a pair as opening, prompt, before_first, the
    first response, before_second, the second, question.
    """

    words: tuple[str, str]
    question: str = ""
    opening: str = ""
    before_first: str = "\n\nResponse A:\n"
    before_second: str = "\n\nResponse B:\n"


# Used without a template: even then a pair needs a frame.
PLAIN_SINGLE = Template(words=("False", "True"))
PLAIN_PAIR = Template(words=("A", "B"), question="\n\nThe better response is Response")


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Token sequences laid end to end, so that processes can share them without a copy.

    ids: int32 [total]. offsets: int64 [n + 1]; row i is ids[offsets[i] : offsets[i + 1]].
    words: the next tokens that answer class 0 and class 1; None if rows do not end with a question.
    shortened: how many rows lost tokens to truncation. equal_pairs: how many have two responses of the same
    tokens.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    words: tuple[int, int] | None = None
    shortened: int = 0
    equal_pairs: int = 0

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens in each row, int64 [n]."""
        return np.diff(self.offsets)

    def only(self, rows: range) -> Tokens:
        """Consecutive rows."""
        offsets = self.offsets[rows.start : rows.stop + 1]
        return replace(self, ids=self.ids[offsets[0] : offsets[-1]], offsets=offsets - offsets[0])

    def followed_by(self, others: Tokens) -> Tokens:
        """These rows, then the others, which end with the same question."""
        assert self.words == others.words
        return replace(
            self,
            ids=np.concatenate([self.ids, others.ids]),
            offsets=np.concatenate([self.offsets, others.offsets[1:] + self.offsets[-1]]),
            shortened=self.shortened + others.shortened,
            equal_pairs=self.equal_pairs + others.equal_pairs,
        )

    def pad_batch(
        self, rows: Rows, pad_id: int, *, bucketed: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows padded on the right to the longest: (input ids, attention mask), int64 [rows, longest].

        bucketed: padded to `bucket` of the longest, but not beyond the longest row of all.
        """
        starts, lengths = self.offsets[rows], self.offsets[np.asarray(rows) + 1] - self.offsets[rows]
        longest = int(lengths.max())
        columns = np.arange(min(bucket(longest), int(self.lengths.max())) if bucketed else longest)
        filled = columns[None, :] < lengths[:, None]
        ids = np.full(filled.shape, pad_id, dtype=np.int64)
        ids[filled] = self.ids[(starts[:, None] + columns[None, :])[filled]]
        return torch.from_numpy(ids), torch.from_numpy(filled.astype(np.int64))


def tokenize(
    examples: Examples,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    template: Template | None = None,
) -> Tokens:
    """The tokens of every example, at most `max_length` of them.

    Without a template, texts are bare, pairs stand in the usual frame, and both get all of the tokenizer's
    own special tokens. With a template, rows end with its question, so that the next token answers it. Long
    single texts lose their right end. Pairs show prompt, response A and response B; the prompt loses its left
    end first, then the responses their right ends, down to equal shares of the available length (a short
    response leaves the rest to the other). Raises ValueError if `max_length` is too small, if a text has no
    tokens, or if the template's two words have the same first token.
    """
    before, after = _special_ids(tokenizer)
    frame = template or (PLAIN_SINGLE if examples.pairs is None else PLAIN_PAIR)
    opening, question = _encode(tokenizer, [frame.opening, frame.question])
    before, after = before + opening, question + ([] if template else after)
    room = max_length - len(before) - len(after)
    if room < 1 and examples.pairs is None:
        asked = f" before the question {frame.question.strip()!r}" if template and frame.question else ""
        least = len(before) + len(after) + 1
        raise ValueError(
            f"max_length must be at least {least} to show a token of a text{asked}, got {max_length}"
        )
    texts = _encode(tokenizer, examples.texts)
    if examples.pairs is None:
        rows = [_Row(ids=ids[:room], shortened=len(ids) > room) for ids in texts]
    else:
        rows = _pair_rows(texts, examples.pairs, tokenizer, frame, room, max_length)
    for i, row in enumerate(rows):
        if not row.ids:
            raise ValueError(
                f"example {i + 1} of {len(rows)} has no tokens within max_length {max_length}: "
                f"raise max_length or check its text, {examples.texts[i][:40]!r}"
            )
    return replace(
        _flat([before + row.ids + after for row in rows]),
        words=_word_ids(template, tokenizer) if template else None,
        shortened=sum(row.shortened for row in rows),
        equal_pairs=sum(row.equal for row in rows),
    )


class _Row(NamedTuple):
    """An example's tokens. equal: its two responses have the same ones."""

    ids: Ids
    shortened: bool
    equal: bool = False


def length_counts(role: str, max_length: int, splits: Mapping[SplitName, Tokens]) -> LengthCounts:
    """What is left of the examples of a model within its length.

    Raises ValueError, on one line, if nothing is left of a split to learn from or to predict.
    """
    rows = {
        name: [row.tobytes() for row in np.split(of.ids, of.offsets[1:-1])] for name, of in splits.items()
    }
    for name, tokens in splits.items():
        if len(tokens) > 1 and (tokens.equal_pairs == len(tokens) or len(set(rows[name])) == 1):
            what = "pairs have equal responses" if tokens.equal_pairs else "examples are the same"
            raise ValueError(
                f"{role}.max_length {max_length}: all {len(tokens)} {what} in split {name} within this "
                "length: raise max_length, or shorten what the texts begin with"
            )
    times = Counter(row for of_split in rows.values() for row in of_split)
    return LengthCounts(
        role=role,
        max_length=max_length,
        examples=sum(map(len, splits.values())),
        shortened=sum(tokens.shortened for tokens in splits.values()),
        equal_pairs=sum(tokens.equal_pairs for tokens in splits.values()),
        same=sum(count for count in times.values() if count > 1),
    )


def _word_ids(template: Template, tokenizer: PreTrainedTokenizerBase) -> tuple[int, int]:
    """The first tokens of the two words when they follow the question."""
    lead = template.question or "a"
    start, *answers = _encode(tokenizer, [lead, *(f"{lead} {word}" for word in template.words)])
    place, (negative, positive) = len(start), answers
    tokens = negative[place : place + 1], positive[place : place + 1]
    if negative[:place] != start or positive[:place] != start or tokens[0] == tokens[1]:
        raise ValueError(
            f"this model's tokenizer does not tell {template.words[0]!r} and {template.words[1]!r} apart by "
            "their first token: use readout head"
        )
    return negative[place], positive[place]


def _pair_rows(
    prompts: list[Ids],
    pairs: Sequence[tuple[str, str]],
    tokenizer: PreTrainedTokenizerBase,
    frame: Template,
    room: int,
    max_length: int,
) -> list[_Row]:
    first = _encode(tokenizer, [a for a, _ in pairs])
    second = _encode(tokenizer, [b for _, b in pairs])
    to_first, to_second = _encode(tokenizer, [frame.before_first, frame.before_second])
    room -= len(to_first) + len(to_second)
    if room < 2:
        raise ValueError(
            f"max_length must be at least {max_length + 2 - room} to show two responses, got {max_length}"
        )
    rows = []
    for prompt, a, b in zip(prompts, first, second, strict=True):
        keep_a, keep_b = _shares(len(a), len(b), room)
        kept_prompt = prompt[max(0, len(prompt) - (room - keep_a - keep_b)) :]
        ids = kept_prompt + to_first + a[:keep_a] + to_second + b[:keep_b]
        rows.append(
            _Row(
                ids=ids,
                shortened=len(prompt) + len(a) + len(b) > room,
                equal=_look_alike(a, b, keep_a, keep_b),
            )
        )
    return rows


def _look_alike(a: Ids, b: Ids, keep_a: int, keep_b: int) -> bool:
    """Whether all that is kept of two responses is the same; one token more of one of them tells nothing."""
    if keep_a < len(a) and keep_b < len(b):
        keep_a = keep_b = min(keep_a, keep_b)
    return a[:keep_a] == b[:keep_b]


def _shares(first: int, second: int, room: int) -> tuple[int, int]:
    """How many tokens of each response to keep, `room` in all, as evenly as their lengths allow."""
    keep_first = min(first, max(math.ceil(room / 2), room - second))
    return keep_first, min(second, room - keep_first)


def _encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[Ids]:
    encoded: list[Ids] = tokenizer(
        list(texts),
        add_special_tokens=False,
        truncation=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )["input_ids"]
    return encoded


def _special_ids(tokenizer: PreTrainedTokenizerBase) -> tuple[Ids, Ids]:
    """The special tokens before and after a text: BOS, or CLS and SEP, or none."""
    (bare,) = _encode(tokenizer, ["a"])
    whole: Ids = tokenizer("a", add_special_tokens=True)["input_ids"]
    starts = [i for i in range(len(whole) - len(bare) + 1) if whole[i : i + len(bare)] == bare]
    assert starts, "a tokenizer puts its special tokens around those of the text"
    return whole[: starts[-1]], whole[starts[-1] + len(bare) :]


def _flat(rows: list[Ids]) -> Tokens:
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(ids) for ids in rows], out=offsets[1:])
    ids = np.fromiter((i for row in rows for i in row), dtype=np.int32, count=int(offsets[-1]))
    return Tokens(ids=ids, offsets=offsets)


def length_batches(
    lengths: NDArray[np.int64], batch_size: int, *, seed: int | Sequence[int]
) -> list[NDArray[np.int64]]:
    """Batches for an epoch of training: rows of similar length together, in random order by `seed`.

    Every row occurs exactly once; a batch is smaller if `batch_size` does not divide the rows. Rows
    are shuffled, sorted by length within 32 batches at a time, cut, and the batches shuffled.
    """
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(lengths))
    batches: list[NDArray[np.int64]] = []
    for mega in _cut(rows, batch_size * MEGA_BATCH):
        batches.extend(_cut(mega[np.argsort(lengths[mega], kind="stable")], batch_size))
    return [batches[i] for i in rng.permutation(len(batches))]


def _cut(rows: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def sorted_batches(lengths: NDArray[np.int64], tokens_per_batch: int) -> list[NDArray[np.int64]]:
    """Batches for evaluation, longest rows first: as many rows as fit `tokens_per_batch` with their padding.

    A longer row is a batch of its own. The longest come first, so that a lack of memory shows at once.
    """
    rows = np.argsort(-lengths, kind="stable")
    batches, start = [], 0
    while start < len(rows):
        size = max(1, tokens_per_batch // max(1, int(lengths[rows[start]])))
        batches.append(rows[start : start + size])
        start += size
    return batches


def bucket(length: int) -> int:
    """The padded length of a batch whose longest row has this length, so that batches come in few shapes.

    Multiples of an eighth of the next power of two, and of 8 at least: 8, 16, 24, ... 64, 80, 96, 112, 128,
    160, 192, 224, 256, 320, ... On the lengths of chat preferences (mean 123) padding grows from 9% of all
    positions to 17%, on those of single sentences (mean 23) from 5% to 17%.
    """
    step = max(8, (1 << (length - 1).bit_length()) // 8)
    return -(-length // step) * step


def padding_share(lengths: NDArray[np.int64], batches: Sequence[NDArray[np.int64]]) -> float:
    """The share of padding among all positions of these batches, in [0, 1)."""
    positions = sum(len(batch) * int(lengths[batch].max()) for batch in batches)
    return 1.0 - sum(int(lengths[batch].sum()) for batch in batches) / positions
