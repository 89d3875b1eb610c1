import pytest

from search.policy.training_budget import Budget

THIRDS = (1 / 9, 1 / 3, 1.0)


def budget(*, trials: int = 9, effort: float = 0.4, completions: int = 0) -> Budget:
    return Budget(trials=trials, effort=effort, rungs=THIRDS, completions=completions)


def test_a_trial_on_its_way_counts_as_there() -> None:
    spent = budget()
    for rung in (0, 0, 1, 2):
        spent.spend(rung)
    assert (spent.started, spent.new_left) == (2, 7)
    assert spent.spent == pytest.approx(1 + 1 / 9)


def test_what_new_trials_need_is_set_aside() -> None:
    # Nine trials, 0.4 * 9 = 3.6 full trainings. Two started, 2/9 spent, 7/9 set aside: 2.6 are left, and 2/3
    # of a training may be spent three times.
    some = budget()
    some.spend(0)
    some.spend(0)
    for _ in range(3):
        assert some.affordable([1, 2], more_to_come=True) == [True, True]
        some.spend(2)
    assert some.affordable([1, 2], more_to_come=True) == [True, False]
    assert some.affordable([1, 2], more_to_come=False) == [True, True]  # 7/9 are free again


def test_a_budget_that_just_suffices_does() -> None:
    just = budget(effort=1 / 3)  # three full trainings, each sum of ninths, none of them exact
    for _ in range(9):
        just.spend(0)
    for _ in range(9):
        assert just.affordable([1], more_to_come=False) == [True]
        just.spend(1)
    assert just.affordable([1], more_to_come=False) == [False]


def test_past_the_budget_those_nearest_to_their_end_go_on_while_too_few_complete() -> None:
    short = budget(trials=2, effort=0.12, completions=1)
    short.spend(0)
    short.spend(0)
    assert short.affordable([1, 2, 2, 1], more_to_come=False) == [False, True, True, False]
    assert short.affordable([1, 1], more_to_come=False) == [True, True]
    short.spend(2)
    assert short.affordable([1, 2], more_to_come=False) == [False, False]
    short.failed(2)  # it did not complete after all
    assert short.affordable([1, 2], more_to_come=False) == [False, True]


def test_nothing_goes_past_the_budget_before_the_last_new_trial() -> None:
    short = budget(trials=3, effort=0.12, completions=2)
    short.spend(0)
    assert short.affordable([1], more_to_come=True) == [False]


def test_nothing_waits_nothing_is_affordable() -> None:
    assert budget().affordable([], more_to_come=False) == []
