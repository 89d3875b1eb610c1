"""The order in which xdist's processes begin the tests (tests/conftest.py)."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import pytest_collection_modifyitems


def item(file: str, number: int, *marks: str) -> Any:
    return SimpleNamespace(
        path=Path(file), name=f"{file}-{number}", get_closest_marker=lambda mark: mark in marks or None
    )


@pytest.mark.parametrize("fast", [3, 40, 41])
def test_each_process_begins_with_long_tests_and_has_fast_ones_last(fast: int) -> None:
    long = [item(f"long{file}", number, "slow", "timeout") for file in range(4) for number in range(2)]
    slow = [item(f"slow{file}", number, "slow") for file in range(3) for number in range(4)]
    items = [*(item(f"fast{file}", 0) for file in range(fast)), *slow, *long]
    everything = {one.name for one in items}
    pytest_collection_modifyitems(SimpleNamespace(workerinput={"workercount": 3}), items)  # type: ignore[arg-type]
    assert {one.name for one in items} == everything
    left = items[:]
    for processes in (3, 2, 1):  # as xdist cuts the list
        count = len(left) // processes
        own, left = left[:count], left[count:]
        kinds = [one.name[:4] for one in own]
        assert kinds[:2] == ["long", "long"]
        if fast > 20:
            assert kinds == sorted(kinds, key=["long", "slow", "fast"].index)
