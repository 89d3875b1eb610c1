from collections.abc import Sequence

import numpy as np
import pytest

from agents.advice.beliefs import Belief
from agents.findings.findings import Findings
from agents.language.proposal import Branch
from benchmarks.agent.colleagues.naming import COLLEAGUES, Colleague, truths
from benchmarks.agent.colleagues.spanning import Spanning
from benchmarks.table.within import within
from benchmarks.table.world import World
from trainers.method import Method


class ByEpochs:
    """Expects more of methods whose digest begins higher: anything that is not the truth."""

    scores = 20

    def of(self, methods: Sequence[Method]) -> tuple[Belief, ...]:
        return tuple(
            Belief(method=method, pgr=int(method.digest[:4], 16) / 2**16, low=0.0, high=1.0, stop=1.0)
            for method in methods
        )

    def sampled(self, branch: Branch) -> tuple[Belief, ...]:
        return ()


@pytest.mark.parametrize("name", COLLEAGUES)
def test_each_colleague_names_rows_that_pass_the_checks_of_an_agents(
    name: str, world: World, findings: Findings
) -> None:
    colleague = Colleague(Spanning(world, 0), world, COLLEAGUES[name], seed=0)
    advice = colleague.advise(findings, ByEpochs(), 3, 1)
    assert len(advice.draws) == 3
    rows = {world.table.rows[row].method.digest for row in world.rows}
    branches = {found.branch.name: found.branch for found in findings.branches}
    for draw in advice.draws:
        assert draw.method.digest in rows
        assert within(branches[draw.branch], draw.method, findings.naive) is not None
    assert len(advice.lane.refused) >= (3 if name == "hostile" else 0)


def test_the_oracle_names_the_best_and_the_hostile_one_the_worst(world: World, findings: Findings) -> None:
    truth = truths(world)

    def mean(name: str) -> float:
        advice = Colleague(Spanning(world, 0), world, COLLEAGUES[name], seed=0).advise(
            findings, ByEpochs(), 5, 1
        )
        return float(np.mean([truth[draw.method.digest] for draw in advice.draws]))

    assert mean("oracle") > mean("informed") > mean("hostile")


def test_the_truth_of_a_row_is_its_best_rung(world: World) -> None:
    row = world.rows[3]
    accuracies = world.task.test_accuracy[row].mean(axis=0)
    found = truths(world)[world.table.rows[row].method.digest]
    assert found == pytest.approx(world._test_pgr(np.array([np.nanmax(accuracies)])))
