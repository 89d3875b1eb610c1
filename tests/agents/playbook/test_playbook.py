import math
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.findings.findings import BranchFinding, Findings, TrialFinding, TrialState
from agents.findings.proposer import Proposer
from agents.language.catalogue import param_specs
from agents.language.proposal import (
    Branch,
    Choice,
    Fixed,
    Option,
    Param,
    Proposal,
    Range,
    Slot,
    branch_contains,
    with_components,
)
from agents.language.space import space_key
from agents.language.validation import problems
from agents.playbook.literature import _IDEAS, literature, optim_slot, span
from agents.playbook.playbook import Playbook
from trainers.component import Component
from trainers.components.optim import Adamw
from trainers.method import SLOTS, Abilities, Method

ANY = Abilities(prior=True, intermediates=4)
NAIVE = Method(optim=Adamw(lr=1e-3, epochs=3, batch_size=16))


def findings(
    branches: list[BranchFinding], trials: list[TrialFinding], round: int = 2, naive: Method = NAIVE
) -> Findings:
    return Findings(
        abilities=ANY,
        round=round,
        weak_acc=0.75,
        weak_se=0.01,
        ceiling_acc=0.97,
        ceiling_se=0.01,
        naive=naive,
        branches=tuple(branches),
        trials=tuple(trials),
        trials_left=40,
    )


def trial(
    branch: str,
    method: Method,
    pgr: float | None,
    *,
    state: TrialState = "completed",
    se: float | None = 0.03,
    name: str = "t",
) -> TrialFinding:
    return TrialFinding(
        trial=name,
        branch=branch,
        method=method,
        seed=0,
        state=state,
        pgr=pgr,
        se=se,
        curve=(),
        cause=None,
        train_s=1.0,
    )


def drawn(branch: Branch, rng: random.Random, naive: Method = NAIVE) -> Method:
    components: dict[str, Component] = {}
    for slot in branch.slots:
        option = rng.choice(slot.options)
        kind = SLOTS[slot.slot][option.component]
        specs = param_specs(kind)
        values = {param.name: drawn_value(param, rng) for param in option.params}
        whole = {k: round(float(v)) if specs[k].type == "integer" else v for k, v in values.items()}
        components[slot.slot] = kind.model_validate(whole)
    return with_components(naive, components)


def drawn_value(param: Param, rng: random.Random) -> float | str:
    match param:
        case Fixed():
            return param.value
        case Choice():
            return rng.choice(param.values)
        case Range():
            return rng.uniform(param.low, param.high)


def params(branch: Branch, slot: str) -> dict[str, Param]:
    [option] = next(s.options for s in branch.slots if s.slot == slot)
    return {param.name: param for param in option.params}


def test_the_playbook_is_a_proposer() -> None:
    proposer: Proposer = Playbook()
    assert proposer.propose(findings([], [])).branches


def test_the_first_round_is_the_head_of_the_literature() -> None:
    said = Playbook(branches=4).propose(findings([], [], round=1))
    assert [branch.name for branch in said.branches] == [
        "early-stopping",
        "confident-only",
        "confidence-loss",
        "frozen-probe",
    ]
    assert {branch.family for branch in said.branches} == {
        "regularization",
        "filtering",
        "loss",
        "internals",
    }


def test_every_idea_fits_the_catalogue_and_is_allowed() -> None:
    ideas = literature(NAIVE)
    written = {branch.name: branch for branch, _, _ in _IDEAS}
    assert len(ideas) >= 6
    for idea in ideas:
        wrong = problems(
            Proposal(branches=(idea,), rationale=""),
            naive=NAIVE,
            known_branches=(),
            known_methods=(),
            abilities=ANY,
        )
        assert [str(problem) for problem in wrong] == []
        fitted = {slot.slot: slot for slot in idea.slots}
        for slot in written[idea.name].slots:
            wanted = {option.component: option for option in slot.options}
            for option in fitted[slot.slot].options:
                lost = {p.name for p in wanted[option.component].params} - {p.name for p in option.params}
                assert lost == set(), f"{idea.name}: {option.component} has no such parameter"


def test_an_idea_without_its_component_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SLOTS, "select", {"all": SLOTS["select"]["all"]})
    names = [idea.name for idea in literature(NAIVE)]
    assert "confident-only" not in names
    assert "confidence-loss" in names


def test_learning_rates_and_epochs_follow_the_naive_method() -> None:
    stopping = params(literature(NAIVE)[0], "optim")
    assert stopping["lr"] == Range(name="lr", low=1e-4, high=3e-3, log=True)
    assert stopping["epochs"] == Range(name="epochs", low=0.3, high=3, log=True)
    assert stopping["batch_size"] == Fixed(name="batch_size", value=16)


def test_ranges_stay_within_bounds() -> None:
    edge = Method(optim=Adamw(lr=0.1, epochs=0.1))
    found = optim_slot(edge, lr=(0.1, 3), epochs=(0.1, 1)).options[0].params
    assert Range(name="lr", low=0.01, high=0.1, log=True) in found
    assert Fixed(name="epochs", value=0.1) in found
    whole = span(param_specs(Adamw)["batch_size"], 0.2, 9.7, log=True)
    assert whole == Range(name="batch_size", low=1, high=10, log=True)


def test_sharpened_ranges_lie_around_the_best_trials() -> None:
    stopping = literature(NAIVE)[0]
    rates = (1.1e-3, 0.9e-3, 1.5e-4, 1.2e-4, 2.5e-4, 2.9e-3)
    methods = [Method(optim=Adamw(lr=lr, epochs=1, batch_size=16, weight_decay=0.05)) for lr in rates]
    pgrs = (0.5, 0.48, 0.1, 0.1, 0.1, 0.1)
    trials = [
        trial(stopping.name, method, pgr, name=f"t{i}")
        for i, (method, pgr) in enumerate(zip(methods, pgrs, strict=True))
    ]
    known = findings([BranchFinding(branch=stopping, round=1, live=True)], trials)
    sharp = Playbook(branches=2).propose(known).branches[0]
    assert (sharp.name, sharp.parent) == ("early-stopping-sharp", "early-stopping")
    assert "0.50 ± 0.03, 0.48 ± 0.03" in sharp.hypothesis
    lr = params(sharp, "optim")["lr"]
    assert isinstance(lr, Range)
    # A quarter of log(3e-3 / 1e-4), around the geometric mean of the two best, 9.95e-4.
    assert lr.log
    assert math.log(lr.high / lr.low) == pytest.approx(0.25 * math.log(30), abs=0.01)
    assert math.sqrt(lr.low * lr.high) == pytest.approx(math.sqrt(1.1e-3 * 0.9e-3), rel=0.01)


def test_the_best_of_two_families_are_recombined() -> None:
    ideas = {idea.name: idea for idea in literature(NAIVE)}
    rng = random.Random(1)
    ranks = {"confident-only": 0.5, "confidence-loss": 0.4, "early-stopping": 0.1}
    branches = [BranchFinding(branch=ideas[name], round=1, live=True) for name in ranks]
    trials = [
        trial(name, drawn(ideas[name], rng), pgr, name=f"{name}-{i}")
        for name, pgr in ranks.items()
        for i in range(4)
    ]
    said = Playbook(branches=4).propose(findings(branches, trials))
    mix = said.branches[1]
    assert (mix.name, mix.parent, mix.family) == ("mix-confidence-logconf", "confident-only", "filtering")
    assert {slot.slot: [o.component for o in slot.options] for slot in mix.slots} == {
        "select": ["confidence"],
        "optim": ["adamw"],
        "loss": ["logconf"],
    }
    assert "confident-only (PGR 0.50 ± 0.03)" in mix.hypothesis
    assert "confidence-loss (PGR 0.40 ± 0.03)" in mix.hypothesis
    assert [branch.parent for branch in said.branches[2:]] == [None, None]


def test_a_student_brings_its_learning_rate_along() -> None:
    ideas = {idea.name: idea for idea in literature(NAIVE)}
    rng = random.Random(1)
    ranks = {"confident-only": 0.5, "frozen-probe": 0.4}
    branches = [BranchFinding(branch=ideas[name], round=1, live=True) for name in ranks]
    probe = [
        drawn(ideas["frozen-probe"], rng).model_copy(update={"optim": Adamw(lr=lr, epochs=3, batch_size=16)})
        for lr in (0.04, 0.05)
    ]
    confident = [drawn(ideas["confident-only"], rng) for _ in range(2)]
    trials = [trial("confident-only", method, 0.5) for method in confident]
    trials += [trial("frozen-probe", method, 0.4) for method in probe]
    mix = Playbook(branches=4).propose(findings(branches, trials)).branches[1]
    lr = params(mix, "optim")["lr"]
    assert isinstance(lr, Range)
    assert lr.low < 0.04
    assert lr.high > 0.05


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


def test_branches_of_another_catalogue_are_no_ground_to_grow_on() -> None:
    gone = Branch(
        name="gone",
        family="loss",
        hypothesis="It helped.",
        parent=None,
        slots=(Slot(slot="loss", options=(Option(component="vanished", params=()),)),),
    )
    known = findings([BranchFinding(branch=gone, round=1, live=True)], [trial("gone", NAIVE, 0.9)])
    said = Playbook(branches=4).propose(known)
    assert len(said.branches) == 4
    assert all(branch.parent is None for branch in said.branches)


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
def test_many_rounds_stay_valid_new_and_repeatable(
    seed: int, size: int, lr: float, epochs: float, errors: bool
) -> None:
    naive = Method(optim=Adamw(lr=lr, epochs=epochs))
    run_campaign(Playbook(branches=size, seed=seed), naive, 8, random.Random(seed), errors=errors)
