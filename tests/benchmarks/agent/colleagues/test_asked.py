"""Claude's proposer of a run, with scripts in place of its models."""

import pytest

from agents.findings.findings import BranchFinding, Findings
from benchmarks.agent.colleagues.asked import Asked, Setting
from benchmarks.agent.colleagues.scripts import Habits
from benchmarks.table.world import World

SURE = Habits(skills=(1.0,), alike=True)


@pytest.fixture
def nothing_tried(findings: Findings) -> Findings:
    return findings.model_copy(update={"round": 1, "branches": ()})


def ideas(asked: Asked) -> list[str]:
    said = asked.script.said
    return [said[name].idea.branch.name for name in said if name in asked.accepted]


def test_a_board_keeps_lanes_of_one_mind_apart(world: World, nothing_tried: Findings) -> None:
    heard, alone, unheard = (
        Asked(world, 1, Setting(lanes=lanes, habits=SURE, board=board))
        for lanes, board in ((3, True), (1, True), (3, False))
    )
    assert len(alone.propose(nothing_tried).branches) == 4
    assert len(heard.propose(nothing_tried).branches) == len(set(ideas(heard))) == 12
    assert len(unheard.propose(nothing_tried).branches) == 12
    assert sorted(ideas(unheard)) == sorted(3 * ideas(alone))


def test_a_sure_critic_lets_no_fault_pass(world: World, nothing_tried: Findings) -> None:
    careless = Habits(faulty=1.0)
    returned, dropped = (
        Asked(world, 1, Setting(habits=careless, accuracy=1.0, refused=refused))
        for refused in ("return", "drop")
    )
    branches = returned.propose(nothing_tried).branches
    assert len(branches) == len(returned.refused) == 4
    said = returned.script.said
    assert {said[branch.name].kind for branch in branches} == {"sound"}
    assert {said[name].kind for name in returned.refused} == {"beside"}
    assert returned.stand_ins == 0
    dropped.propose(nothing_tried)  # nothing is left of it
    assert dropped.stand_ins == 1
    assert not dropped.accepted & set(dropped.script.said)


def test_a_repeat_in_other_words_is_refused_without_a_critic(world: World, nothing_tried: Findings) -> None:
    asked = Asked(world, 1, Setting(habits=Habits(faulty=1.0)))
    branches = asked.propose(nothing_tried).branches
    known = tuple(BranchFinding(branch=branch, round=1, live=True) for branch in branches)
    for number in range(2, 6):
        asked.propose(nothing_tried.model_copy(update={"round": number, "branches": known}))
    said = asked.script.said
    assert "reworded" in {one.kind for one in said.values()}
    accepted = {said[name].kind for name in asked.accepted & set(said)}
    assert "reworded" not in accepted
    assert "shifted" in accepted
