from typing import Any

import pytest

from trainers.data.settings import label_key
from trainers.data.values import read_labels, read_texts


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (1, "1"),
        (1.0, "1"),
        ("1", "1"),
        (" 1 ", "1"),
        ("1.0", "1"),
        ("+1", "1"),
        (-1, "-1"),
        ("-1", "-1"),
        (True, "true"),
        ("True", "true"),
        ("FALSE", "false"),
        ("Yes", "Yes"),
        (0.5, "0.5"),
        (float("nan"), "nan"),
        (None, None),
        ([1], None),
    ],
)
def test_equal_labels_share_a_key(value: Any, key: str | None) -> None:
    assert label_key(value) == key


def test_labels_of_a_file_without_types_are_read() -> None:
    texts = ["0", "1", "0.0", "1.0", "False", "true", " 1"]
    assert read_labels(texts, "a.csv", "label").tolist() == [0, 1, 0, 1, 0, 1, 1]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            1000,
            r"a.jsonl, row 2: field 'text' must be a text .*, got 1000: save the field as text, in quotes",
        ),
        ("\ud83d", r"row 2: field 'text' must be whole characters, got '\\ud83d': half of a character"),
        (None, "row 2: .* got nothing: fill it in or drop the row"),
    ],
)
def test_what_is_no_text_is_refused(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_texts(["fine", value], "a.jsonl", "text")
