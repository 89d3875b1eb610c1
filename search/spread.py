"""How far PGR lies apart between the seeds of one method, as far as a campaign can tell by now. Pure."""

from search.ledger import BaselinesReady
from search.pruning import PruningConfig

PRIOR = 8  # degrees of freedom that the configured seed spread counts for


def seed_variance(
    config: PruningConfig, floors: BaselinesReady | None, *, squares: float = 0.0, free: int = 0
) -> float:
    """The variance of PGR between seeds, pooled by degrees of freedom over all that is known of it.

    That is the prior, the configured `seed_sd`, which stands alone where nothing else is known; floor and
    ceiling, whose seeds are there before the first trial; and methods on further seeds, by `squares`, their
    squared deviations from their means, over `free` degrees of freedom.
    """
    weight, known = (floors.seed_free, floors.seed_variance) if floors else (0, 0.0)
    total = PRIOR * config.seed_sd**2 + weight * known + squares
    return total / (PRIOR + weight + free)
