"""Seeds made of other numbers."""

import numpy as np


def derived_seed(*parts: int) -> int:
    """A seed of 32 bits that depends on some numbers, each at least 0, and on their order.

    Zeros at the end do not count, as in numpy's SeedSequence.
    """
    return int(np.random.SeedSequence(parts).generate_state(1)[0])
