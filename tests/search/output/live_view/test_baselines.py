from collections.abc import Callable

import pytest

from search.config.schema import RunConfig
from search.output.live_view.baselines import Baselines
from search.storage.baseline_times import BaselinesBegun, BaselineTime


def begun(weak: int, ceiling: int, at: float = 100.0, task: str = "") -> BaselinesBegun:
    return BaselinesBegun(due={"weak": weak, "ceiling": ceiling}, together=2, at=at, task=task)


def told(role: str, share: float, seconds: float, seed: int = 0, **more: float | str) -> BaselineTime:
    """Two seconds after the process began, workers train."""
    return BaselineTime(
        **{"role": role, "seed": seed, "share": share, "seconds": seconds, "at": 102 + seconds} | more
    )


def test_the_first_quarter_of_one_training_of_each_role_tells_what_all_will_take(config: RunConfig) -> None:
    """A supervisor: 1 s for its first hundredth, then 10 s for all; a ceiling 4 s and 40 s."""
    lines = [
        begun(3, 2),
        told("weak", 0.01, 1.0),
        told("weak", 0.26, 3.5),
        told("ceiling", 0.01, 4.0),
        told("ceiling", 0.26, 14.0),
    ]
    found = Baselines(config, lines)
    weak_s, ceiling_s = 3.5 + 0.74 * 10, 14 + 0.74 * 40
    assert found.counts == (0, 5)
    assert found.start_s == pytest.approx(2.0)
    assert found.ceilings_s == [(pytest.approx(40.0), 0.0)], "a warm worker loads nothing"
    under_way = (weak_s - 3.5 - 5) + (ceiling_s - 14)  # the supervisor told its share 5 s before
    assert found.left_s(110.5) == pytest.approx((under_way + 2 * weak_s + ceiling_s) / 2)
    assert found.left_s(1000.0) == pytest.approx((2 * weak_s + ceiling_s) / 2), (
        "what is late is as good as done"
    )


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [begun(1, 1)],
        [begun(1, 1), told("weak", 1.0, 3.0)],
        [begun(1, 1), told("weak", 1.0, 3.0), told("ceiling", 0.01, 4.0)],
    ],
)
def test_nothing_is_made_up_of_a_role_that_has_shown_nothing(
    config: RunConfig, lines: list[BaselinesBegun | BaselineTime]
) -> None:
    found = Baselines(config, lines)
    assert found.left_s(110.0) is None
    assert found.ceilings_s == []


def test_the_features_of_all_probes_of_a_role_are_not_counted_for_each(config: RunConfig) -> None:
    lines = [
        begun(0, 4),
        told("ceiling", 0.01, 61.0, shared_s=60.0),
        told("ceiling", 1.0, 63.0, shared_s=60.0),
    ]
    found = Baselines(config, lines)
    assert found.left_s(165.0) == pytest.approx(3 * 3.0 / 2)
    assert found.ceilings_s == [(pytest.approx(2 / 0.99), 60.0)]


def test_a_baseline_that_was_lost_begins_anew(config: RunConfig) -> None:
    lines = [
        begun(1, 0),
        told("weak", 0.01, 1.0),
        told("weak", 0.25, 60.0),
        told("weak", 0.01, 1.0, at=200.0),
    ]
    assert Baselines(config, lines).left_s(201.0) is None
    again = Baselines(config, [*lines, told("weak", 0.51, 6.0, at=205.0)])
    assert again.left_s(205.0) == pytest.approx(0.49 * 10)


def test_a_process_that_goes_on_knows_what_an_earlier_one_has_shown(config: RunConfig) -> None:
    lines = [begun(4, 0), told("weak", 1.0, 8.0), begun(3, 0, at=200.0)]
    found = Baselines(config, lines)
    assert found.counts == (0, 3)
    assert found.left_s(200.0) == pytest.approx(3 * 8 / 2)
    own = [*lines, told("weak", 1.0, 2.0, seed=1, at=204.0)]
    assert Baselines(config, own).left_s(204.0) == pytest.approx(2 * 2 / 2), "its own settings count"


def test_of_several_tasks_those_to_come_take_what_the_first_takes(
    on_tasks: Callable[..., RunConfig],
) -> None:
    config = on_tasks("one", "two", "three")
    count = config.weak_models, config.baselines.seeds
    lines = [begun(*count), *(told("weak", 1.0, 2.0, seed=i) for i in range(count[0]))]
    lines += [told("ceiling", 1.0, 9.0, seed=i) for i in range(count[1])]
    task_s = (2 * count[0] + 9 * count[1]) / 2
    assert Baselines(config, lines).left_s(150.0) == pytest.approx(2 * task_s)
    later = [*lines, begun(*count, at=150.0, task="two")]
    assert Baselines(config, later).left_s(150.0) == pytest.approx(2 * task_s)
    assert Baselines(config, later).counts == (0, sum(count))
    assert Baselines(config, [*lines, begun(0, 0, at=150.0, task="three")]).left_s(150.0) == 0


def test_a_file_of_an_earlier_version_tells_what_its_ceilings_took(config: RunConfig) -> None:
    found = Baselines(config, [BaselineTime(role="ceiling", seed=0, seconds=9.0)])
    assert (found.counts, found.together, found.ceilings_s) == ((1, None), None, [(9.0, 0.0)])


def test_while_features_are_computed_it_is_said_how_long_that_takes_and_no_more(config: RunConfig) -> None:
    lines = [begun(0, 2), told("ceiling", 0.0, 1.0, due_s=20.0)]
    found = Baselines(config, lines)
    assert found.counts == (0, 2)
    assert found.features_s(110.0) == pytest.approx(13.0)
    assert found.features_s(200.0) == 0.0
    assert found.left_s(110.0) is None
    assert found.ceilings_s == []
    there = Baselines(config, [*lines, told("ceiling", 0.01, 24.0, shared_s=22.0)])
    assert there.features_s(130.0) is None
    again = Baselines(config, [*lines, begun(0, 2, at=300.0)])
    assert again.features_s(310.0) is None


def test_features_of_tasks_to_come_take_what_those_of_the_tasks_before_took(
    on_tasks: Callable[..., RunConfig],
) -> None:
    """60 s of the first task's; of the second's first the same is expected, then what its worker says."""
    config = on_tasks("one", "two", "three")
    count = config.weak_models, config.baselines.seeds
    weak = [told("weak", 1.0, 2.0, seed=i) for i in range(count[0])]
    first = [begun(*count), *weak, told("ceiling", 0.01, 61.0, shared_s=60.0)]
    first += [told("ceiling", 1.0, 69.0, seed=i, shared_s=60.0) for i in range(count[1])]
    task_s = (2 * count[0] + 9 * count[1]) / 2
    assert Baselines(config, first).left_s(171.0) == pytest.approx(2 * (60 + task_s))
    second = [*first, begun(*count, at=171.0, task="two")]
    assert Baselines(config, second).left_s(181.0) == pytest.approx(50 + 60 + 2 * task_s)
    second += [told("ceiling", 0.0, 1.0, task="two", due_s=30.0, at=191.0)]
    assert Baselines(config, second).left_s(201.0) == pytest.approx(20 + 60 + 2 * task_s)
    second += [told("ceiling", 0.01, 31.0, task="two", shared_s=30.0, at=221.0)]
    left_s = Baselines(config, second).left_s(221.0)
    assert left_s == pytest.approx((60 + 30) / 2 + 2 * task_s - 1 / 2), "one of its ceilings is under way"
    cached = [*first, begun(count[0], 0, at=171.0, task="two")]
    assert Baselines(config, cached).left_s(181.0) == pytest.approx(60 + task_s + count[0] * 2 / 2)


def test_baselines_of_hidden_tasks_take_what_those_of_the_search_took(config: RunConfig) -> None:
    count = config.weak_models, config.baselines.seeds
    lines = [begun(*count), *(told("weak", 1.0, 2.0, seed=i) for i in range(count[0]))]
    lines += [told("ceiling", 1.0, 69.0, seed=i, shared_s=60.0) for i in range(count[1])]
    task_s = 60 + (2 * count[0] + 9 * count[1]) / 2
    assert Baselines(config, lines).hidden_s(("far", "farther"), 900.0) == pytest.approx(2 * task_s)
    now = [*lines, begun(*count, at=900.0, task="far")]
    assert Baselines(config, now).hidden_s(("far", "farther"), 910.0) == pytest.approx(2 * task_s - 10)
    assert Baselines(config, now).hidden_s((), 999.0) == 0.0
    assert Baselines(config).hidden_s(("far",), 10.0) == 0.0
