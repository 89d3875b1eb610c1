import math

import pytest
from pydantic import ValidationError

from trainers.component import Component, Frozen
from trainers.data.settings import DatasetTask, PairFields, SingleFields, SplitSizes, ToyTask
from trainers.method import SLOTS, Abilities, Method
from trainers.models.settings import HubModel, ToyModel
from trainers.training.memory.room import Room, Weights
from trainers.training.settings import EngineConfig

SETTINGS: list[type[Frozen]] = [
    *(DatasetTask, PairFields, SingleFields, SplitSizes, ToyTask, HubModel, ToyModel),
    *(EngineConfig, Abilities, Method, Room, Weights, Component),
    *(component for kinds in SLOTS.values() for component in kinds.values()),
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings.__name__)
def test_every_field_says_what_it_is(settings: type[Frozen]) -> None:
    fields = settings.model_fields.items()
    bare = [name for name, field in fields if not field.description and name != "kind"]
    assert bare == []


class Point(Frozen):
    x: float


@pytest.mark.parametrize("values", [{"x": math.nan}, {"x": math.inf}, {"x": 1, "y": 2}, {}])
def test_what_is_no_value_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Point(**values)


def test_a_record_does_not_change() -> None:
    point = Point(x=1)
    with pytest.raises(ValidationError, match="frozen"):
        point.x = 2
