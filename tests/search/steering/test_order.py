import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from agents.language.proposal import Branch
from search.steering import order as module
from search.steering.order import Order, put_order, read_order, said, waiting

# Each line is nine of the line before: 9 ** 9 strings.
BOMB = "\n".join(
    f"{x}: &{x} [{', '.join(9 * [before])}]"
    for x, before in zip("abcdefghi", ["x", *(f"*{y}" for y in "abcdefgh")], strict=True)
)


def test_an_order_as_a_person_writes_it(branch: Callable[..., Branch]) -> None:
    mine = branch("mine").model_dump(mode="json")
    order = read_order(yaml.safe_dump({"trials": 9, "stop": ["one"], "add": [mine], "pause": False}))
    assert order == Order(trials=9, stop=("one",), add=(branch("mine"),), pause=False)
    assert order.settings == {"search.trials": 9}


def test_of_a_person_s_branch_a_name_and_slots_are_enough() -> None:
    """What is left out is written down as a person's, so that a second reading finds the same branch."""
    order = read_order("add: [{name: softer, slots: [{slot: labels, options: [{component: soft}]}]}]")
    (added,) = order.add
    assert (added.family, added.parent) == ("other", None)
    assert added.hypothesis == "A branch that a person added."
    assert added.slots[0].options[0].params == ()
    assert read_order(yaml.safe_dump(said(order))) == order


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("trials: [1", "steer.yaml: cannot be read as YAML"),
        ("trials", "steer.yaml: must say one of trials, hours, stop, add, pause, finish"),
        ("trails: 9", "steer.yaml: trails: Extra inputs are not permitted"),
        ("trials: many", "steer.yaml: trials: Input should be a valid integer"),
        (
            "add: [{name: mine, slots: [], family: lost}]",
            "steer.yaml: branch 1 to add (mine), family: Input should be 'self-training', 'ensemble', ",
        ),
        (
            "add: [{name: a, family: loss, hypothesis: b, parent: null, slots: [{slot: loss}]}]",
            "steer.yaml: branch 1 to add (a), slot 1, options: is missing, add it: components of",
        ),
        ("add: [{name: mine}]", "steer.yaml: branch 1 to add (mine), slots: is missing, add it: slots that"),
        ("add: [{hypothesis: b}, 7]", "steer.yaml: branch 1 to add, name: is missing, add it: name of the"),
        ("add: [7]", "steer.yaml: branch 1 to add: Input should be an object, got 7"),
        ("stop: [one, 7]", "steer.yaml: branch 2 to stop: Input should be a valid string, got 7"),
        ("stop: one", "steer.yaml: stop"),
        ("2020-01-01: 9", "steer.yaml: cannot be read as YAML: keys must be"),
        ("stop: " + 3000 * "[", "steer.yaml: cannot be read as YAML: it is nested too deeply"),
        ("add: &a [*a]", "steer.yaml: cannot be read as YAML: write out what *names stand for"),
        (BOMB, "steer.yaml: cannot be read as YAML: write out what *names stand for"),
        ("trials: 0x" + 5000 * "f", "steer.yaml: cannot be read as YAML: Exceeds the limit"),
        ("trials: 9" + 200_000 * " ", "steer.yaml: is longer than 200000 bytes"),
    ],
)
def test_a_mistake_is_one_line(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r"^steer") as error:
        read_order(text)
    assert str(error.value).startswith(problem)
    assert "\n" not in str(error.value)


def test_orders_that_wait_become_one(tmp_path: Path) -> None:
    assert waiting(str(tmp_path)) is None
    put_order(str(tmp_path), Order(trials=9, stop=("one",), pause=True))
    first = waiting(str(tmp_path))
    put_order(str(tmp_path), Order(trials=7, stop=("two", "one")))
    both = waiting(str(tmp_path))
    assert first is not None
    assert both is not None
    assert both.model_copy(update={"id": ""}) == Order(trials=7, stop=("one", "two"), pause=True)
    assert first.id != both.id


def test_what_cannot_be_read_does_not_wait(tmp_path: Path) -> None:
    (tmp_path / "steer.yaml").write_text("trials: [")
    assert waiting(str(tmp_path)) is None


def test_orders_that_come_at_the_same_moment_are_all_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(out: str) -> Order | None:
        found = waiting(out)
        time.sleep(0.02)
        return found

    monkeypatch.setattr(module, "waiting", slowly)
    names = ["one", "two", "three"]
    with ThreadPoolExecutor(len(names)) as persons:
        list(persons.map(lambda name: put_order(str(tmp_path), Order(stop=(name,))), names))
    both = waiting(str(tmp_path))
    assert both is not None
    assert sorted(both.stop) == sorted(names)
