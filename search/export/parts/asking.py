"""What an exported method asks the untouched strong model about the examples that it learns from.

A `Base` stands where the trainers have a `ModelPool`.
"""

from functools import lru_cache
from typing import Any

from search.export.parts.splits import Data
from trainers.training.inputs import Floats
from trainers.trial.contrast import consistency_of_answers, consistency_of_orders
from trainers.trial.zero_shot import zero_shot, zero_shot_margins


@lru_cache(maxsize=1)
def ask_margins(data: Data) -> Floats:
    """Zero-shot log-odds of class 1, float32 [templates, orders, n]."""
    pool: Any = data.base
    return zero_shot_margins(pool, pool.ask(data.examples))


def ask_prior(data: Data) -> Floats:
    """Zero-shot P(class 1), float32 [n]."""
    return zero_shot(ask_margins(data))


@lru_cache(maxsize=1)
def ask_consistency(data: Data) -> Floats:
    """P of one of the two classes by a probe that was fitted without labels, float32 [n]."""
    pool: Any = data.base
    if data.has_pairs:
        return consistency_of_orders(pool, data.shown, data.swapped)
    return consistency_of_answers(pool, pool.ask(data.examples))
