from benchmarks.versus_tune.opponent import confirmable
from search.scoring.grader import BaselineScores
from search.scoring.pgr import Estimate, SeedVariance
from trainers.method import Method

FLOORS = BaselineScores(
    weak=Estimate(value=0.6, se=0.02, df=4),
    ceiling=Estimate(value=0.9, se=0.01, df=4),
    gap=0.3,
    gap_se=0.02,
    seed_variance=SeedVariance(value=0.01, free=8),
    weak_seeds=(0.6, 0.6),
    ceiling_seeds=(0.9, 0.9),
    majority=0.5,
    over_majority=Estimate(value=0.1, se=0.02, df=4),
)


def test_a_winner_can_be_confirmed_from_what_is_told_of_it() -> None:
    stopped = Method().stopped_at(1 / 3)
    told = confirmable(stopped, 0.75, FLOORS)
    assert Method.model_validate(told["method"]) == stopped
    assert (round(told["pgr"], 9), told["accuracy"]) == (0.5, 0.75)
    assert (told["weak_acc"], told["ceiling_acc"]) == (0.6, 0.9)
