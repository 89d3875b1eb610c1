from collections.abc import Sequence

import numpy as np
import pytest

from agents.findings.findings import BranchFinding, Findings
from agents.language.overlap import alike
from benchmarks.agent.colleagues.ideas import Knowledge
from benchmarks.agent.colleagues.scripts import FAULTS, Habits, Said, ScriptedCritic, ScriptedLane
from benchmarks.table.world import World

HONEST = Habits(skills=(1.0,))


@pytest.fixture
def knowledge(world: World) -> Knowledge:
    return Knowledge(world)


@pytest.fixture
def nothing_tried(findings: Findings) -> Findings:
    return findings.model_copy(update={"round": 1, "branches": ()})


def lane(knowledge: Knowledge, findings: Findings, habits: Habits, said: Sequence[Said] = ()) -> ScriptedLane:
    found = ScriptedLane(knowledge, habits, 4, seed=0, lane=1)
    found.begin(findings, said)
    return found


def later(findings: Findings, said: Sequence[Said]) -> Findings:
    """The next round, after all of these were accepted."""
    branches = tuple(BranchFinding(branch=one.branch, round=1, live=True) for one in said)
    return findings.model_copy(update={"round": 2, "branches": branches})


def test_a_lane_of_full_skill_proposes_the_best_first(knowledge: Knowledge, nothing_tried: Findings) -> None:
    script = lane(knowledge, nothing_tried, HONEST)
    proposed = script.answer("").branches
    best = sorted(knowledge.ideas, key=lambda idea: -idea.best)
    assert [said.idea for said in script.said] == best[:4]
    assert all(
        alike(mine, idea.branch, knowledge.naive) for mine, idea in zip(proposed, best[:4], strict=True)
    )
    again = lane(knowledge, later(nothing_tried, script.said), HONEST, script.said)
    again.answer("")
    assert [said.idea for said in again.said] == best[4:8]


def test_what_comes_back_gives_way_to_the_next_idea(knowledge: Knowledge, nothing_tried: Findings) -> None:
    script = lane(knowledge, nothing_tried, HONEST)
    first = script.answer("").branches
    name = first[3].name
    problems = f"* branches[1].slots: holds nearly the methods\n* branch {name}: a critic refuses it"
    second = script.answer(problems).branches
    assert (second[0], second[2]) == (first[0], first[2])
    assert not {second[1], second[3]} & set(first)


def test_faults_and_how_they_are_put_right(knowledge: Knowledge, nothing_tried: Findings) -> None:
    honest = lane(knowledge, nothing_tried, HONEST)
    honest.answer("")
    findings = later(nothing_tried, honest.said)
    script = lane(knowledge, findings, Habits(faulty=1.0), honest.said)
    for _ in range(10):
        script.answer("")
    assert {said.kind for said in script.said} == set(FAULTS)
    for said in script.said:
        assert (said.idea in [one.idea for one in honest.said]) == (said.kind != "beside")
    cut = next(said for said in script.said if said.kind == "beside")
    script._now = [cut]
    script.answer("branches[0]: no")
    assert (script.said[-1].kind, script.said[-1].idea) == ("sound", cut.idea)


@pytest.mark.parametrize(("accuracy", "right"), [(1.0, 1.0), (0.0, 0.0), (0.7, 0.7)])
def test_a_critic_is_right_as_often_as_it_should(
    knowledge: Knowledge, nothing_tried: Findings, accuracy: float, right: float
) -> None:
    script = lane(knowledge, nothing_tried, Habits(faulty=0.5))
    for _ in range(100):
        script.begin(nothing_tried, ())
        script.answer("")
    critic = ScriptedCritic(
        accuracy=accuracy, asks="fault", knowledge=knowledge, rng=np.random.default_rng(0)
    )
    refused = [critic.review(said).refuses for said in script.said]
    faulty = [said.kind != "sound" for said in script.said]
    assert 0.3 < np.mean(faulty) < 0.7
    assert np.mean(np.equal(refused, faulty)) == pytest.approx(right, abs=0.06)
    assert refused == [critic.review(said).refuses for said in script.said]


def test_a_judge_refuses_what_is_worth_less_than_the_median(
    knowledge: Knowledge, nothing_tried: Findings
) -> None:
    script = lane(knowledge, nothing_tried, Habits(skills=(0.0,)))
    script.answer("")
    judge = ScriptedCritic(accuracy=1.0, asks="worth", knowledge=knowledge, rng=np.random.default_rng(0))
    for said in script.said:
        assert said.reach.best is not None
        assert judge.review(said).refuses == (said.reach.best <= knowledge.median)
