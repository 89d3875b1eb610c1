"""The exact sign-flip test: needs no normal distribution and no variance; its p is at least 2^-n."""

from dataclasses import dataclass

import numpy as np

from search.scoring.pgr import Reals

MOST_UNITS = 12  # 4,096 flips; with more units the t test can be trusted
TOLERANCE = 1e-12  # sums of the same numbers in another order are equal


@dataclass(frozen=True, kw_only=True)
class SignFlip:
    """The one-sided p value, and the smallest that so many units can give.

    units: the seeds of a confirmation, or its supervisors where some taught several seeds.
    """

    p: float
    smallest_p: float
    units: int


def sign_flip(gains: Reals) -> SignFlip | None:
    """Test the hypothesis that gains are symmetric around zero, on these examples; None for many units.

    gains: [n], of a method over naive, independent of each other. p is the share of all 2^n choices of their
    signs that make the sum at least as large as it is (Fisher 1935; Pitman 1937).
    """
    n = len(gains)
    if n > MOST_UNITS:
        return None
    signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    sums = signs @ gains
    reached = sums >= gains.sum() - TOLERANCE
    return SignFlip(p=float(reached.mean()), smallest_p=2.0**-n, units=n)
