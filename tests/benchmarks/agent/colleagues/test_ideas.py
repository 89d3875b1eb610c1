import numpy as np
import pytest

from agents.language.overlap import holds
from benchmarks.agent.colleagues.ideas import Knowledge
from benchmarks.table.world import World


def test_an_idea_has_rows_and_argues_for_the_best_of_them(world: World) -> None:
    knowledge = Knowledge(world)
    assert len(knowledge.ideas) > 20
    rows = [world.table.rows[row].method for row in world.rows[1:]]
    for idea in knowledge.ideas:
        inside = [knowledge.of(row) for row in rows if holds(idea.branch, row, knowledge.naive)]
        assert (idea.rows, idea.best) == (len(inside), max(inside))
        assert knowledge.of(idea.argued) == idea.best


def test_what_was_tried_is_no_longer_in_reach(world: World) -> None:
    knowledge = Knowledge(world)
    idea = max(knowledge.ideas, key=lambda one: one.rows)
    left = knowledge.reach(idea.branch, {idea.argued.plainest.digest})
    assert left.rows == idea.rows - 1
    assert left.best is not None
    assert left.best <= idea.best
    assert knowledge.reach(idea.branch, {m.plainest.digest for m, _ in knowledge._rows}).best is None


@pytest.mark.parametrize("skill", [0.0, 0.7, 1.0])
def test_skill_is_a_correlation(world: World, skill: float) -> None:
    knowledge = Knowledge(world)
    best = [idea.best for idea in knowledge.ideas]
    rng = np.random.default_rng(0)
    found = [
        np.corrcoef(best, knowledge.expected(skill, rng.normal(size=len(best))))[0, 1] for _ in range(200)
    ]
    assert np.mean(found) == pytest.approx(skill, abs=0.05)
