from pathlib import Path
from typing import Any

import pytest

from benchmarks.agent.catalogue import bench, coverage, failure, naming_tests, try_random
from trainers.components.optim import Adamw
from trainers.components.students import Probe
from trainers.method import SLOTS, Method


@pytest.fixture(scope="module")
def covered() -> list[dict[str, Any]]:
    """What coverage says of the tests that there are: it reads all of their files."""
    return coverage()


@pytest.mark.parametrize(
    ("slot", "kind"), [(slot, kind) for slot, components in SLOTS.items() for kind in components]
)
def test_every_component_has_tests_that_name_it(covered: list[dict[str, Any]], slot: str, kind: str) -> None:
    (row,) = [one for one in covered if (one["slot"], one["component"]) == (slot, kind)]
    assert row["tests"], f"no test in tests/trainers/components/{row['file']} names {slot}.{kind}"


def test_only_what_tests_do_counts() -> None:
    source = """
import Kl
def helper(): return Kl()
def test_of_another(loss: Kl) -> None: Gce()
def test_in_the_body(): assert Kl()
@parametrize("loss", [Kl()])
def test_in_the_parameters(loss): pass
"""
    assert naming_tests(source, "Kl") == ["test_in_the_body", "test_in_the_parameters"]
    assert naming_tests(source, "Sce") == []


def test_a_component_without_a_test_shows(tmp_path: Path) -> None:
    assert all(row["tests"] == [] for row in coverage(tmp_path))


def test_random_methods_are_tried_and_failures_are_told(tmp_path: Path) -> None:
    where = bench(tmp_path)
    found = try_random(2, 0, where)
    assert (found["tried"], found["failed"], found["failures"]) == (2, 0, [])
    method = Method(student=Probe(), optim=Adamw(epochs=0.1))
    assert failure(method, 0, where) is None
    assert str(failure(method, -1, where)).startswith("ValueError: ")
