from benchmarks.versus_tune.__main__ import trials_within


def test_as_many_trials_fit_as_the_pace_lets() -> None:
    ours = {"search_trials": 40, "start_s": 5.0, "wall_s": 15.0}
    assert trials_within(105.0, ours) == 400
    assert trials_within(10.0, ours) == 20
    assert trials_within(3.0, ours) == 1
