from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from trainers.data.settings import DatasetTask, Fields, PairFields, SingleFields, SplitSizes

SMALL = SplitSizes(weak_train=8, transfer=10, search=6, test=6)


def test_a_file_has_no_splits() -> None:
    with pytest.raises(ValidationError, match="name the file of the test examples in test_path"):
        DatasetTask(path="a.csv", test_split="test", splits=SMALL)
    assert DatasetTask(path="owner/set", test_split="test", splits=SMALL).test_split == "test"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, SingleFields()),
        ({"text": "sentence"}, SingleFields(text="sentence")),
        ({"prompt": None}, PairFields(prompt=None)),
        ({"chosen": "a", "rejected": "b"}, PairFields(chosen="a", rejected="b")),
    ],
)
def test_fields_are_those_of_pairs_when_one_of_theirs_is_named(
    given: dict[str, Any], expected: object
) -> None:
    assert TypeAdapter(Fields).validate_python(given) == expected
    with pytest.raises(ValidationError, match="Extra inputs"):
        TypeAdapter(Fields).validate_python(given | {"texts": "x"})


def test_labels_are_looked_up_whatever_their_type() -> None:
    task = DatasetTask.model_validate(
        {"path": "a.csv", "labels": {True: 1, "negative": 0, -1: None, 2.0: 1}, "splits": SMALL.model_dump()}
    )
    assert task.labels == {"true": 1, "negative": 0, "-1": None, "2": 1}
    assert DatasetTask.model_validate_json(task.model_dump_json()) == task


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"labels": {"a": 1, "b": 1}}, "must map a label to 0 and another one to 1"),
        ({"labels": {"a": 1, "b": 0, "c": 2}}, "Input should be 0 or 1"),
        ({"labels": {1: 1, "1": 0}}, "two of its keys mean the same label"),
        ({"labels": {"a": 1, "b": 0}, "fields": {"prompt": None}}, "labels are for tasks of single texts"),
        ({"labels": ["a", "b"]}, "valid dictionary"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DatasetTask.model_validate({"path": "a.csv", "splits": SMALL.model_dump()} | more)
