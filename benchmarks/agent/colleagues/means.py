"""A mean over campaigns with its standard error."""

import math
from collections.abc import Sequence

import numpy as np


def mean_and_se(values: Sequence[float]) -> tuple[float, float | None]:
    """Both to four digits; no error of a single value."""
    se = float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else None
    return round(float(np.mean(values)), 4), None if se is None else round(se, 4)
