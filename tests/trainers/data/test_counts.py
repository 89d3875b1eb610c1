import pytest
from pydantic import ValidationError

from trainers.data.counts import DataCounts, FileCounts, LengthCounts


def test_nothing_lost_is_nothing_said() -> None:
    counts = DataCounts(
        files=(FileCounts(path="a.csv", rows=3),),
        lengths=(LengthCounts(role="weak.model", max_length=64, examples=3),),
    )
    assert list(counts.sentences()) == []


def test_each_loss_is_said_once_with_its_number() -> None:
    counts = DataCounts(
        files=(
            FileCounts(path="a.csv", rows=99, unlabelled=1, equal_pairs=2, duplicates=3, in_test=4),
            FileCounts(path="b.csv", rows=9, contradictions=2, contradicting_rows=5),
        ),
        lengths=(
            LengthCounts(
                role="strong.model", max_length=64, examples=240, shortened=240, equal_pairs=239, same=6
            ),
        ),
    )
    assert list(counts.sentences()) == [
        "a.csv: of 99 rows left out: 1 have a label that is mapped to null, 2 are pairs of equal responses, "
        "3 repeat an earlier row, 4 share an input or a group with the test split",
        "b.csv: of 9 rows left out: 5 contradict each other (2 inputs with both labels, neither is kept)",
        "strong.model: of 240 examples within max_length 64, 240 are truncated, 239 are pairs whose "
        "responses are the same then, so nothing tells the better one, 6 are the same as another one then",
    ]


def test_texts_that_the_tokenizer_does_not_tell_apart_are_no_loss_of_the_length() -> None:
    lengths = LengthCounts(role="weak.model", max_length=64, examples=240, same=6)
    assert lengths.sentence() is None


def test_counts_are_not_negative() -> None:
    with pytest.raises(ValidationError):
        FileCounts(path="a.csv", rows=-1)
