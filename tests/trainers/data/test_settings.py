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
