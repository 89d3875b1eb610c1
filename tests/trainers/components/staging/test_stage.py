import pytest

from trainers.components.staging.stage import Fold, Stage


def test_a_training_without_a_part_of_its_examples_is_shorter() -> None:
    assert Stage().length == Stage(evolves=True).length == 1
    assert Stage(fold=Fold(held_out=1, of=4)).length == pytest.approx(0.75)
