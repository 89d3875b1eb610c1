"""What the values of a field may be: texts, groups and labels, each refused by its row."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from trainers.data.examples import Labels
from trainers.data.settings import label_key

BINARY: Mapping[str, int | None] = {"0": 0, "1": 1, "false": 0, "true": 1}
# Words that people use for the two classes, to suggest a mapping that is likely meant.
NEGATIVE = {"negative", "neg", "no", "n", "bad", "incorrect", "wrong", "false", "reject", "rejected", "fail"}
POSITIVE = {"positive", "pos", "yes", "y", "good", "correct", "right", "true", "accept", "chosen", "pass"}
LEFT_OUT = -1  # the label of a row whose value is mapped to null
FILL_IN = "fill it in or drop the row, or leave out all such rows with `empty: leave_out` in the task"
SUGGESTED = 6  # labels of a suggested mapping


def is_blank(value: object) -> bool:
    """Whether a row has nothing in a field: null, or white space alone."""
    return value is None or (isinstance(value, str) and not value.strip())


def refused(path: str, row: int, name: str, must: str, value: object, remedy: str) -> ValueError:
    """One line for a value that cannot be used."""
    got = "nothing" if value is None else repr(value)[:40]
    return ValueError(f"{path}, row {row}: field {name!r} must be {must}, got {got}: {remedy}")


def read_texts(values: Sequence[Any], path: str, name: str, *, may_be_empty: bool = False) -> list[str]:
    """The texts of a field, as they are."""
    must = "a text" if may_be_empty else "a text that is not empty"
    for row, value in enumerate(values, start=1):
        if not isinstance(value, str):
            remedy = FILL_IN if value is None else "save the field as text, in quotes"
            raise refused(path, row, name, must, value, remedy)
        if not (may_be_empty or value.strip()):
            raise refused(path, row, name, must, value, FILL_IN)
        check_text(value, path, row, name)
    return list(values)


def check_text(text: str, path: str, row: int, name: str) -> None:
    """Refuse a text with half of a character, which no tokenizer can read."""
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        remedy = "half of a character is missing in it: repair it or drop the row"
        raise refused(path, row, name, "whole characters", text, remedy)


def read_groups(values: Sequence[Any], path: str, name: str) -> list[Any]:
    """The groups of a field: texts or integers."""
    for row, value in enumerate(values, start=1):
        if not isinstance(value, int | str):
            raise refused(path, row, name, "a text or an integer", value, "name the group of every row")
    return list(values)


def read_labels(
    values: Sequence[Any], path: str, name: str, mapping: Mapping[str, int | None] | None = None
) -> Labels:
    """The labels of a field, int8 [n], by the mapping; without one, 0 and 1 or false and true.

    A row whose value is mapped to null gets LEFT_OUT. Raises ValueError, with the mapping to write, for a
    value that is not mapped.
    """
    known = BINARY if mapping is None else mapping
    keys = [label_key(value) for value in values]
    for row, (key, value) in enumerate(zip(keys, values, strict=True), start=1):
        if key not in known:
            must = "0 or 1" if mapping is None else f"one of {_shown(mapping)}"
            remedy = FILL_IN
            if key:
                remedy = f"map the labels in the task, such as `labels: {_suggested(keys, mapping)}`"
            raise refused(path, row, name, must, value, remedy)
    found = (known[key] for key in keys if key is not None)
    return np.array([LEFT_OUT if label is None else label for label in found], dtype=np.int8)


def _suggested(keys: Iterable[str | None], mapping: Mapping[str, int | None] | None) -> str:
    """A mapping for all labels that occur, as YAML: known words first, then the lower is 0."""
    there = sorted(
        {key for key in keys if key}, key=lambda key: (len(key), key) if key.isdigit() else (0, key)
    )
    suggested = {key: (mapping or {}).get(key) for key in there}
    free = [key for key in there if suggested[key] is None]
    for key in free:
        if key.lower() in NEGATIVE | POSITIVE or {key, "0", "1"} == {"0", "1"} <= set(there):
            suggested[key] = BINARY.get(key, int(key.lower() in POSITIVE))
    for label in (0, 1):
        left = [key for key in free if suggested[key] is None]
        if label not in suggested.values() and left:
            suggested[left[0]] = label
    return _shown(suggested)


def _shown(mapping: Mapping[str, int | None]) -> str:
    items = [f"{_as_yaml(key)}: {'null' if label is None else label}" for key, label in mapping.items()]
    return f"{{{', '.join(items[:SUGGESTED])}{', …' if len(items) > SUGGESTED else ''}}}"


def _as_yaml(key: str) -> str:
    """Words in quotes: YAML reads yes, no, on and off as truth values."""
    bare = key in ("true", "false") or key.removeprefix("-").isdigit()
    return key if bare else json.dumps(key, ensure_ascii=False)
