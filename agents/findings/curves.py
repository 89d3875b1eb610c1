"""The shape of a learning curve in a few words."""

from collections.abc import Sequence

STILL = 0.03  # PGR; noise alone makes smaller changes


def shape(curve: Sequence[tuple[float, float]]) -> str:
    """How the PGR moved over a trial's rungs: (share of the budget, PGR) in rising order.

    A fall after a peak is typical of a student that learns the supervisor's mistakes.
    """
    if len(curve) < 2:
        return "one rung" if curve else "no rung"
    first, last = curve[0][1], curve[-1][1]
    share, peak = max(curve, key=lambda point: point[1])
    if peak - last > STILL:
        return f"fell by {peak - last:.2f} after its peak at {share:.2f}"
    if last - first > STILL:
        return f"still rising by {curve[-1][1] - curve[-2][1]:+.2f} in its last step"
    return "flat"


def points(curve: Sequence[tuple[float, float]]) -> str:
    """The curve as "0.11: 0.20, 0.33: 0.45"."""
    return ", ".join(f"{share:.2f}: {pgr:.2f}" for share, pgr in curve)
