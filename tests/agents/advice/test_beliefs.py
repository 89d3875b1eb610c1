from agents.advice.beliefs import Belief
from trainers.method import Method


def test_the_width_is_from_low_to_high() -> None:
    assert Belief(method=Method(), pgr=0.3, low=0.25, high=0.5, stop=1.0).width == 0.25
