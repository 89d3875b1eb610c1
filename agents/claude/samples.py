"""Sample inputs for the prompt: without labels, short, marked as untrusted data."""

import json
from collections.abc import Sequence

from agents.claude.prompting import filled
from trainers.data.examples import Examples

LENGTH = 600  # characters of a text


def samples_of(inputs: Examples, count: int) -> tuple[str, ...]:
    """The first `count` inputs of a split, each as a line of JSON.

    A text is cut after 600 characters. Splits are drawn at random, so the first inputs are as good as any. Of
    a pair, both responses are shown in the order that students see.
    """
    return tuple(_line(inputs, i) for i in range(min(count, len(inputs))))


def _line(inputs: Examples, i: int) -> str:
    text = _cut(inputs.texts[i])
    if inputs.pairs is None:
        return _json(text)
    first, second = inputs.pairs[i]
    return _json({"prompt": text, "first": _cut(first), "second": _cut(second)})


def _cut(text: str) -> str:
    return text if len(text) <= LENGTH else text[: LENGTH - 1] + "…"


def _json(value: object) -> str:
    """JSON without angle brackets and lone surrogates: no text can end the samples or break a request."""
    line = json.dumps(value, ensure_ascii=False).replace("<", "\\u003c").replace(">", "\\u003e")
    return line.encode(errors="replace").decode()


def samples_section(samples: Sequence[str]) -> str:
    """The instructions' section about samples from `samples_of`; empty if there are none."""
    return filled("samples.md", samples="\n".join(samples)) if samples else ""
