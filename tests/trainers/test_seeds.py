import numpy as np

from trainers.seeds import derived_seed


def test_a_seed_depends_on_every_number_and_their_order() -> None:
    drawn = {derived_seed(*parts) for parts in ((3,), (3, 1), (1, 3), (3, 0, 1), (4, 1))}
    assert len(drawn) == 5
    assert all(0 <= seed < 2**32 for seed in drawn)
    assert derived_seed(3, 1) == derived_seed(3, 1) == derived_seed(3, 1, 0)


def test_seeds_stay_what_they_were() -> None:
    assert derived_seed(5, 2) == int(np.random.SeedSequence([5, 2]).generate_state(1)[0])
