"""Digests of a task: of what its examples are, and of their ground truth without giving it away."""

import hashlib
import hmac
from collections.abc import Iterator

from trainers.data.examples import Examples, Labels, Task


def task_digests(task: Task, salt: bytes) -> dict[str, str]:
    """A digest of the inputs and one of the ground truth of every split, under names such as test.truth.

    Digests of ground truth are keyed with the salt: the labels of a few examples could be guessed from plain
    ones. Whoever publishes these digests keeps the salt to himself.
    """
    found = {}
    for split, examples in task.inputs.items():
        found[f"{split}.inputs"] = inputs_digest(examples)
        found[f"{split}.truth"] = truth_digest(task.truth[split], salt)
    return found


def inputs_digest(examples: Examples) -> str:
    """32 hex digits that change with any text or message, any order, and the question."""
    sha = hashlib.sha256()
    chats = [repr(chat) for chat in examples.chats or ()]
    for part in (examples.question or "", *(part for row in _rows(examples) for part in row), *chats):
        sha.update(_framed(part))
    return sha.hexdigest()[:32]


def truth_digest(labels: Labels, salt: bytes) -> str:
    """32 hex digits that change with any label; without the salt they say nothing about the labels."""
    return hmac.new(salt, labels.tobytes(), hashlib.sha256).hexdigest()[:32]


def example_keys(examples: Examples) -> tuple[str, ...]:
    """16 hex digits for each example, sorted; whatever their order and that of a pair's responses."""
    return tuple(
        sorted(
            hashlib.sha256(b"".join(map(_framed, (text, *sorted(pair))))).hexdigest()[:16]
            for text, *pair in _rows(examples)
        )
    )


def _rows(examples: Examples) -> Iterator[tuple[str, ...]]:
    for i, text in enumerate(examples.texts):
        yield (text, *(() if examples.pairs is None else examples.pairs[i]))


def _framed(text: str) -> bytes:
    """The text with its length, so that two texts in a row are not a longer one."""
    content = text.encode(errors="surrogatepass")
    return len(content).to_bytes(8, "big") + content
