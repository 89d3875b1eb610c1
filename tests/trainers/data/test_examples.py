from dataclasses import FrozenInstanceError
from typing import get_args

import numpy as np
import pytest

from trainers.data.examples import SPLITS, Examples, SplitName, Task
from trainers.data.settings import SplitSizes


def test_there_is_one_list_of_splits() -> None:
    assert SPLITS == get_args(SplitName) == tuple(SplitSizes.model_fields)


def test_examples_are_counted_by_their_texts() -> None:
    assert len(Examples(texts=())) == 0
    assert len(Examples(texts=("a prompt", "another"), pairs=(("yes", "no"), ("no", "yes")))) == 2


def test_what_a_student_is_given_cannot_be_changed_and_has_no_place_for_truth() -> None:
    inputs = Examples(texts=("a",))
    with pytest.raises(FrozenInstanceError):
        inputs.texts = ("b",)  # type: ignore[misc]
    task = Task(inputs={"search": inputs}, truth={"search": np.array([1], dtype=np.int8)})
    assert set(vars(task.inputs["search"])) == {"texts", "pairs", "chats", "question"}
