import pytest

from agents.advice.suggestions import NamedDraw
from search.engine.advice.queue import NamedQueue, may_name
from trainers.components.losses import LogConf
from trainers.method import Method


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.8, 1.0])
def test_of_any_number_of_draws_at_most_the_share_is_the_agents(share: float) -> None:
    named = 0
    for started in range(100):
        named += may_name(share, named=named, started=started)
        assert named <= share * (started + 1)
    assert named == int(share * 100 + 1e-9)


def draw(branch: str, aux: float) -> NamedDraw:
    return NamedDraw(branch=branch, method=Method(loss=LogConf(aux=aux)), reason="")


def test_draws_wait_in_order_until_their_method_starts() -> None:
    queue = NamedQueue()
    first, other, twin = draw("a", 0.1), draw("b", 0.2), draw("b", 0.1)
    for named in (first, other, twin):
        queue.add(named)
    assert list(queue.ready(())) == [first, other]
    assert list(queue.ready({"a"})) == [other]
    queue.started(first.method.plainest.digest)
    assert list(queue.ready(())) == [other]
    assert len(queue) == 1
    queue.started("a method of the sampler's")
    assert len(queue) == 1
