import pytest
from pydantic import ValidationError

from search.engine.assignment import Assignment
from trainers.components.losses import LogConf
from trainers.components.optim import Adamw
from trainers.method import Method

METHOD = Method(loss=LogConf(aux=0.1 + 0.2), optim=Adamw(lr=1 / 3000))
ASSIGNMENT = Assignment(trial="t00001", purpose="search", method=METHOD, seed=10_000, rungs=(1 / 9, 1 / 3))


def test_a_worker_is_given_every_bit_of_the_method_and_of_the_rungs() -> None:
    received = Assignment.model_validate_json(ASSIGNMENT.model_dump_json())
    assert received == ASSIGNMENT
    assert received.method.digest == METHOD.digest
    assert received.micro_batch is None


@pytest.mark.parametrize("change", [{"purpose": "test"}, {"truth": [1]}, {"rungs": None}])
def test_a_worker_is_given_nothing_else(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Assignment.model_validate(ASSIGNMENT.model_dump() | change)
