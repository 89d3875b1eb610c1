import numpy as np

from search.policy.paused_trials import PausedTrial, PausedTrials


def paused(trial: str, value: float, rung: int = 0, branch: str = "one") -> PausedTrial:
    return PausedTrial(trial=trial, branch=branch, point=np.zeros(1), place=rung, value=value)


def too_many(trials: PausedTrials, *new: PausedTrial) -> str | None:
    """Add trials; remove the one that has to leave, and return its name."""
    for trial in new:
        trials.add(trial)
    surplus = trials.surplus()
    if surplus is None:
        return None
    trials.remove(surplus.trial)
    return surplus.trial


def test_the_lowest_of_too_many_leaves() -> None:
    trials = PausedTrials(2)
    assert too_many(trials, paused("a", 0.3)) is None
    assert too_many(trials, paused("b", 0.1)) is None
    assert too_many(trials, paused("c", 0.2)) == "b"
    assert too_many(trials, paused("d", 0.1)) == "d"
    assert [trial.trial for trial in trials] == ["a", "c"]
    assert "a" in trials
    assert "b" not in trials


def test_of_equals_the_last_to_arrive_leaves() -> None:
    trials = PausedTrials(2)
    assert too_many(trials, paused("a", 0.5), paused("b", 0.5)) is None
    assert too_many(trials, paused("c", 0.5)) == "c"


def test_every_rung_has_its_own_places_and_the_lower_ones_come_first() -> None:
    trials = PausedTrials(1)
    high, low = paused("high", 0.1, rung=1), paused("low", 0.9)
    assert too_many(trials, high, low) is None
    assert list(trials) == [low, high]


def test_a_trial_that_leaves_frees_its_place() -> None:
    trials, first, second = PausedTrials(1), paused("a", 0.9), paused("b", 0.1)
    trials.add(first)
    trials.remove("a")
    assert too_many(trials, second) is None
    assert list(trials) == [second]


def test_the_branch_with_the_most_places_gives_one_up() -> None:
    trials = PausedTrials(3)
    assert too_many(trials, paused("a", 0.9), paused("b", 0.7), paused("c", 0.8)) is None
    assert too_many(trials, paused("weak", 0.1, branch="two")) == "b"
    assert too_many(trials, paused("weaker", 0.0, branch="two")) == "weaker"  # two of each: the worst of all
    assert [trial.trial for trial in trials] == ["a", "c", "weak"]
