from agents.findings.findings import Findings
from benchmarks.agent.colleagues.spanning import FEWEST, Spanning, spanning_branches
from benchmarks.table.campaign import Rows
from benchmarks.table.world import World


def test_branches_hold_the_rows_that_they_span(world: World) -> None:
    naive = world.table.settings.naive
    branches = spanning_branches([world.table.rows[row].method for row in world.rows], naive)
    sizes = [len(Rows(world).open_in(branch, (), naive)) for branch in branches]
    assert len(branches) >= 4
    assert min(sizes) >= FEWEST
    assert len({branch.name for branch in branches}) == len(branches)


def test_each_branch_is_proposed_once(world: World, findings: Findings) -> None:
    proposer, names = Spanning(world, 3), list[str]()
    for _ in range(6):
        names += [branch.name for branch in proposer.propose(findings).branches]
    assert len(names) == len(set(names)) >= 4
