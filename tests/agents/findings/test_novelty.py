from collections.abc import Callable

from agents.findings.findings import BranchFinding, Findings
from agents.findings.novelty import all_problems, kept
from agents.language.proposal import Branch, Fixed, Option, Proposal, Slot


def test_a_space_of_an_earlier_round_is_told_by_its_branch(
    campaign: Callable[..., Findings], branch: Callable[..., Branch]
) -> None:
    known = campaign(branches=[BranchFinding(branch=branch("old", 0.1), round=1, live=False)])
    said = Proposal(branches=(branch("new", 0.5), branch("again", 0.1), branch("old", 0.7)), rationale="")
    wrong = all_problems(said, known)
    assert [str(problem) for problem in wrong] == [
        "branches[2].name: the name old is taken; give the branch another",
        "branches[1].slots: holds the same methods as the branch old of an earlier round; "
        "propose something new",
    ]
    assert [one.name for one in kept(said, wrong, 4)] == ["new"]


def test_branches_that_nobody_looked_at_are_not_kept(
    campaign: Callable[..., Findings], branch: Callable[..., Branch]
) -> None:
    unchecked = Proposal(branches=(branch("bad", 7.0),) * 20, rationale="")
    assert kept(unchecked, all_problems(unchecked, campaign()), 16) == ()


def test_no_more_are_kept_than_asked_for(
    campaign: Callable[..., Findings], branch: Callable[..., Branch]
) -> None:
    said = Proposal(branches=tuple(branch(f"b{i}", i / 20) for i in range(6)), rationale="")
    assert [one.name for one in kept(said, all_problems(said, campaign()), 2)] == ["b0", "b1"]


def test_a_branch_past_the_sixteenth_may_hold_anything(
    campaign: Callable[..., Findings], branch: Callable[..., Branch]
) -> None:
    # Its space has no key: the component has no such parameter.
    unknown = Option(component="logconf", params=(Fixed(name="nothing", value=1),))
    last = branch("last", 0.5).model_copy(update={"slots": (Slot(slot="loss", options=(unknown,)),)})
    said = Proposal(branches=(*(branch(f"b{i}", i / 20) for i in range(16)), last), rationale="")
    wrong = [str(problem) for problem in all_problems(said, campaign())]
    assert wrong == ["branches: a proposal has at most 16 branches, got 17"]
