from collections.abc import Callable

import numpy as np

from agents.language.proposal import Branch, branch_contains
from search.config.schema import RunConfig
from search.engine.advice.beliefs import SearchBeliefs
from search.policy.encoding import encode, stop_column
from search.policy.observations import Scoreboard
from search.policy.promotion import Promotion, PromotionConfig
from search.studies.sampler import MethodSampler


def test_methods_of_a_branch_are_drawn_believed_and_new(
    config: RunConfig, branch: Callable[..., Branch]
) -> None:
    one, board, sampler = branch("one"), Scoreboard(), MethodSampler(3)
    tried = [sampler.draw(one, config.naive, None).method for _ in range(20)]
    for method in tried:
        board.add(encode(method), 1, 1.0 if method.loss.kind == "xent" else 0.0)
    rule = Promotion(PromotionConfig(first=2), rungs=(1 / 3, 1.0), column=stop_column())
    outlook = rule.outlook(board, np.random.default_rng(0))
    assert outlook is not None
    again = MethodSampler(0).draw(one, config.naive, None).method  # what the beliefs would draw first
    beliefs = SearchBeliefs(config, outlook, {again.plainest.digest}, seed=0)
    assert beliefs.scores == 20
    found = beliefs.sampled(one)
    assert len(found) > 30
    assert all(branch_contains(one, belief.method, config.naive) for belief in found)
    assert again not in [belief.method for belief in found]
    best = max(found, key=lambda belief: belief.pgr)
    assert best.method.loss.kind == "xent"
    assert best.low <= best.pgr <= best.high
    assert best.stop in (1 / 3, 1)
    assert beliefs.of([]) == ()
