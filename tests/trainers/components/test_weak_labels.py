from trainers.components.weak_labels import supervisor_of


def test_supervisors_take_turns_over_the_seeds() -> None:
    assert [supervisor_of(seed, 3) for seed in (0, 1, 2, 3, 4, 1_000_001)] == [0, 1, 2, 0, 1, 1]
    assert supervisor_of(7, 1) == 0
