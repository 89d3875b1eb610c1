import pytest

from agents.language.overlap import alike, holds
from agents.language.proposal import Branch, Option, Range, Slot
from benchmarks.agent.colleagues.ideas import Knowledge
from benchmarks.agent.colleagues.wording import beside, named, reworded, shifted
from benchmarks.table.rows import sound
from benchmarks.table.world import World
from trainers.components.losses import LogConf
from trainers.method import Method

AUX = Range(name="aux", low=0.2, high=0.6, log=False)


def branch(aux: Range = AUX) -> Branch:
    slot = Slot(slot="loss", options=(Option(component="logconf", params=(aux,)),))
    return Branch(name="a", family="loss", hypothesis="It helps.", parent=None, slots=(slot,))


def ends(found: Branch | None) -> tuple[float, float]:
    assert found is not None
    [param] = found.slots[0].options[0].params
    assert isinstance(param, Range)
    return param.low, param.high


def test_ranges_by_hand() -> None:
    assert ends(reworded(branch(), 0.25)) == pytest.approx((0.3, 0.5))
    assert ends(shifted(branch())) == pytest.approx((0.3, 0.7))
    assert ends(shifted(branch(Range(name="aux", low=0.4, high=1.0, log=False)))) == pytest.approx(
        (0.55, 1.0)
    )
    log = branch(Range(name="aux", low=0.01, high=1.0, log=True))
    assert ends(reworded(log, 0.25)) == pytest.approx((0.01**0.75, 0.01**0.25))


@pytest.mark.parametrize(("argued", "left"), [(0.6, (0.2, 0.5)), (0.2, (0.3, 0.6)), (0.4, (0.2, 0.3))])
def test_a_range_beside_the_argued_value(argued: float, left: tuple[float, float]) -> None:
    method = Method(loss=LogConf(aux=argued))
    found = beside(branch(), method, Method())
    assert ends(found) == pytest.approx(left)
    assert found is not None
    assert f"near {argued}" in found.hypothesis
    assert not holds(found, method, Method())


def test_without_a_range_no_value_can_be_left_out() -> None:
    assert beside(branch().model_copy(update={"slots": ()}), Method(), Method()) is None


def test_a_branch_in_other_words_is_alike_and_a_shifted_one_is_not(world: World) -> None:
    knowledge = Knowledge(world)
    for idea in knowledge.ideas:
        again, moved = named(reworded(idea.branch, 0.02), "again"), named(shifted(idea.branch), "moved")
        assert alike(again, idea.branch, knowledge.naive)
        assert not alike(moved, idea.branch, knowledge.naive)
        assert len(sound([again, moved], knowledge.naive)) == 2
