import random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agents.findings.findings import BranchFinding, TrialFinding, TrialState
from agents.findings.proposer import Proposer
from agents.language.proposal import branch_contains
from agents.language.space import space_key
from agents.language.validation import problems
from agents.playbook.literature import literature
from agents.playbook.playbook import Playbook
from tests.agents.playbook.conftest import ANY, NAIVE, drawn, findings, trial
from trainers.components.optim import Adamw
from trainers.method import Abilities, Method


def test_the_playbook_is_a_proposer() -> None:
    proposer: Proposer = Playbook()
    assert proposer.propose(findings([], [])).branches


def test_the_first_round_is_the_head_of_the_literature() -> None:
    of_pairs = findings([], [], round=1)
    of_texts = of_pairs.model_copy(update={"abilities": Abilities(prior=True, intermediates=4)})
    pairs, said = (Playbook(branches=4).propose(found) for found in (of_pairs, of_texts))
    head = ["early-stopping", "confident-only", "label-propagation"]
    assert [branch.name for branch in pairs.branches] == [*head, "both-orders"]
    assert [branch.name for branch in said.branches] == [*head, "confidence-loss"]
    assert {branch.family for branch in said.branches} == {
        "regularization",
        "filtering",
        "loss",
        "internals",
    }


def test_rounds_without_evidence_go_on_with_the_literature() -> None:
    ideas = literature(NAIVE)
    branches = [BranchFinding(branch=idea, round=1, live=False) for idea in ideas[:4]]
    trials = [trial(idea.name, NAIVE, None, state="failed", se=None) for idea in ideas[:4]]
    said = Playbook(branches=4).propose(findings(branches, trials))
    assert [branch.name for branch in said.branches] == [idea.name for idea in ideas[4:8]]


def test_chance_fills_in_when_the_literature_is_used_up() -> None:
    branches = [BranchFinding(branch=idea, round=1, live=True) for idea in literature(NAIVE)]
    said = Playbook(branches=3, seed=7).propose(findings(branches, []))
    assert len(said.branches) == 3
    assert all(branch.name.startswith("explore-") for branch in said.branches)
    other = Playbook(branches=3, seed=8).propose(findings(branches, []))
    assert other != said


def run_campaign(playbook: Playbook, naive: Method, rounds: int, rng: random.Random, errors: bool) -> None:
    """Rounds of random outcomes; checks that each proposal is valid, repeatable, full and new."""
    branches: list[BranchFinding] = []
    trials: list[TrialFinding] = []
    for round in range(1, rounds + 1):
        known = findings(branches, trials, round, naive)
        said = playbook.propose(known)
        assert said == playbook.propose(known)
        assert len(said.branches) == playbook.branches
        names = [found.branch.name for found in branches]
        methods = [found.method for found in trials]
        wrong = problems(said, naive=naive, known_branches=names, known_methods=methods, abilities=ANY)
        assert [str(problem) for problem in wrong] == []
        branches += [BranchFinding(branch=branch, round=round, live=True) for branch in said.branches]
        for branch in said.branches:
            for _ in range(4):
                method = drawn(branch, rng, naive)
                assert branch_contains(branch, method, naive)
                state: TrialState = rng.choice(["completed", "completed", "pruned", "failed"])
                pgr = None if state == "failed" else rng.gauss(0.3, 0.5)
                se = rng.uniform(0, 0.1) if errors and pgr is not None else None
                trials.append(trial(branch.name, method, pgr, state=state, se=se, name=f"t{len(trials)}"))
    assert len({space_key(found.branch, naive) for found in branches}) == len(branches)


@pytest.mark.parametrize("seed", [0, 1])
def test_three_rounds_stay_valid_new_and_repeatable(seed: int) -> None:
    run_campaign(Playbook(branches=4, seed=seed), NAIVE, 3, random.Random(seed), errors=bool(seed))


@pytest.mark.slow
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32),
    size=st.integers(1, 6),
    lr=st.floats(1e-6, 0.1),
    epochs=st.floats(0.1, 20),
    errors=st.booleans(),
)
@example(seed=83, size=6, lr=0.0625, epochs=1.0, errors=False)  # grows a branch with such a combination
def test_many_rounds_stay_valid_new_and_repeatable(
    seed: int, size: int, lr: float, epochs: float, errors: bool
) -> None:
    naive = Method(optim=Adamw(lr=lr, epochs=epochs))
    run_campaign(Playbook(branches=size, seed=seed), naive, 8, random.Random(seed), errors=errors)
