"""What the values of a field may be: texts, groups and labels, each refused by its row."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from trainers.data.examples import Labels

WHOLE = re.compile(r"[+-]?\d+(\.0*)?")
BINARY = {"0": 0, "1": 1, "false": 0, "true": 1}


def refused(path: str, row: int, name: str, must: str, value: object, remedy: str) -> ValueError:
    """One line for a value that cannot be used."""
    got = "nothing" if value is None else repr(value)[:40]
    return ValueError(f"{path}, row {row}: field {name!r} must be {must}, got {got}: {remedy}")


def read_texts(values: Sequence[Any], path: str, name: str, *, may_be_empty: bool = False) -> list[str]:
    """The texts of a field, as they are."""
    must = "a text" if may_be_empty else "a text that is not empty"
    for row, value in enumerate(values, start=1):
        if not isinstance(value, str):
            remedy = "fill it in or drop the row" if value is None else "save the field as text, in quotes"
            raise refused(path, row, name, must, value, remedy)
        if not (may_be_empty or value.strip()):
            raise refused(path, row, name, must, value, "fill it in or drop the row")
        if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
            raise refused(
                path, row, name, "whole characters", value, "half of a character is missing: repair it"
            )
    return list(values)


def read_groups(values: Sequence[Any], path: str, name: str) -> list[Any]:
    """The groups of a field: texts or integers."""
    for row, value in enumerate(values, start=1):
        if not isinstance(value, int | str):
            raise refused(path, row, name, "a text or an integer", value, "name the group of every row")
    return list(values)


def read_labels(values: Sequence[Any], path: str, name: str) -> Labels:
    """The labels of a field, 0 or 1: as numbers, truth values, or their texts."""
    for row, value in enumerate(values, start=1):
        if label_key(value) not in BINARY:
            raise refused(path, row, name, "0 or 1", value, "map the labels to 0 and 1")
    return np.array([BINARY[str(label_key(value))] for value in values], dtype=np.int8)


def label_key(value: object) -> str | None:
    """The text that equal labels share: "1" for 1, 1.0, "1" and "1.0", "true" for True and "True".

    None if the value can be no label.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(int(value)) if value == value // 1 else str(value)
    if not isinstance(value, str):
        return None
    text = value.strip()
    if text.lower() in ("true", "false"):
        return text.lower()
    return str(int(text.partition(".")[0])) if WHOLE.fullmatch(text) else text
