from itertools import islice

import numpy as np
import pytest
from pydantic import ValidationError

from trainers.data.examples import SPLITS
from trainers.data.settings import SplitSizes, ToyTask
from trainers.data.toy_task import load_toy
from trainers.data.toy_text import VERDICT_PROMPT, VERDICTS, reserved_for_pretraining
from trainers.models import toy_model as toy

SMALL = SplitSizes(weak_train=120, transfer=150, search=130, test=200)


def _texts(task_seed: int) -> list[str]:
    task = load_toy(ToyTask(seed=task_seed, splits=SMALL))
    return [text for split in SPLITS for text in task.inputs[split].texts]


def test_splits_have_the_sizes_asked_for_and_truth_apart() -> None:
    task = load_toy(ToyTask(splits=SMALL))
    for split in SPLITS:
        size = getattr(SMALL, split)
        assert len(task.inputs[split]) == size
        assert task.truth[split].shape == (size,)
        assert task.truth[split].dtype == np.int8
        assert task.inputs[split].pairs is None


def test_the_same_config_gives_the_same_task_and_another_seed_another() -> None:
    first, again = load_toy(ToyTask(seed=3, splits=SMALL)), load_toy(ToyTask(seed=3, splits=SMALL))
    assert first.inputs == again.inputs
    assert all(np.array_equal(first.truth[s], again.truth[s]) for s in SPLITS)
    assert _texts(3) != _texts(4)


def test_no_text_is_in_two_splits() -> None:
    texts = _texts(0)
    assert len(set(texts)) == len(texts) == 600


def test_both_verdicts_are_about_equally_frequent() -> None:
    task = load_toy(ToyTask(splits=SMALL))
    share = np.concatenate([task.truth[split] for split in SPLITS]).mean()
    assert abs(share - 0.5) < 0.1  # 600 fair coins: a standard deviation of 0.02


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_pretraining_never_sees_a_text_of_any_task(seed: int) -> None:
    seen = {text.split(f" {VERDICT_PROMPT}")[0] for text in islice(toy._pretraining_texts(), 4000)}
    drawn = {text.removesuffix(f" {VERDICT_PROMPT}") for text in _texts(seed)}
    assert not seen & drawn
    assert all(reserved_for_pretraining(text) for text in seen)
    assert not any(reserved_for_pretraining(text) for text in drawn)


def test_a_text_ends_with_the_question_and_never_holds_its_answer() -> None:
    for text in _texts(0):
        assert text.endswith(" . verdict :")
        assert not set(VERDICTS) & set(text.split())


@pytest.mark.parametrize("size", [0, -1])
def test_an_empty_split_is_refused(size: int) -> None:
    with pytest.raises(ValidationError, match="test"):
        SplitSizes(weak_train=1, transfer=1, search=1, test=size)
