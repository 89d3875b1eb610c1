import pytest
from pydantic import ValidationError

from search.tracking.job import Job

JOB = Job(
    directory="/runs/one",
    kind="offline",
    project="pgr",
    entity=None,
    sweep=None,
    campaign="one-abc",
    name="one",
    config={"search": {"trials": 8}},
    parameters={"optim.adamw.lr": {"min": 1e-6, "max": 0.1}},
    patience_s=30.0,
)


def test_orders_reach_the_process_as_they_were_given() -> None:
    assert Job.model_validate_json(JOB.model_dump_json()) == JOB


@pytest.mark.parametrize("change", [{"kind": "off"}, {"key": "secret"}, {"patience_s": None}])
def test_orders_hold_what_they_should_and_nothing_else(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Job.model_validate(JOB.model_dump() | change)
