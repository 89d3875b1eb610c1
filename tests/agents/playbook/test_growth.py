import math
import random

import pytest

from agents.findings.findings import BranchFinding
from agents.language.catalogue import param_specs
from agents.language.proposal import Branch, Choice, Fixed, Option, Range, Slot
from agents.playbook.growth import explored, grown
from agents.playbook.literature import literature
from agents.playbook.playbook import Playbook
from tests.agents.playbook.conftest import NAIVE, drawn, findings, params, trial
from trainers.components.optim import Adamw
from trainers.components.students import Probe
from trainers.method import SLOTS, Method


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


def test_a_random_student_has_a_learning_rate_of_its_own() -> None:
    naive = Method(student=Probe(), optim=Adamw(lr=0.02, epochs=3))
    highest: dict[str, float] = {}
    for branch in explored(naive, set(), random.Random(0), 200):
        slots = {slot.slot: slot.options[0].component for slot in branch.slots}
        student = slots.get("student", "probe")
        rate = params(branch, "optim")["lr"]
        assert isinstance(rate, Range)
        highest[student] = max(highest.get(student, 0), rate.high)
    # Up to three times a student's own rate: 0.02 of a probe, a tenth of it of a full fine-tuning.
    assert 0.04 < highest["probe"] <= 0.06
    assert 0.004 < highest["full"] <= 0.006
    assert 0.0127 < highest["lora"] <= 0.019


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


def grown_from(branch: Branch, *trials: tuple[Method, float], taken: frozenset[str] = frozenset()) -> Branch:
    """The sharpened branch after these trials of it."""
    found = [trial(branch.name, method, pgr, name=f"t{i}") for i, (method, pgr) in enumerate(trials)]
    known = findings([BranchFinding(branch=branch, round=1, live=True)], found)
    return next(grown([branch], known, taken))


def test_of_a_choice_the_values_of_the_best_trials_are_left() -> None:
    choice = Choice(name="schedule", values=("linear", "cosine", "constant"))
    fixed = Fixed(name="batch_size", value=16)
    old = Branch(
        name="schedules",
        family="loss",
        hypothesis="It may help.",
        parent=None,
        slots=(Slot(slot="optim", options=(Option(component="adamw", params=(choice, fixed)),)),),
    )

    def method(schedule: str) -> Method:
        return Method(optim=Adamw(batch_size=16, schedule=schedule))

    said = grown_from(old, (method("linear"), 0.5), (method("cosine"), 0.4), (method("constant"), 0.1))
    assert params(said, "optim") == {
        "schedule": Choice(name="schedule", values=("linear", "cosine")),
        "batch_size": fixed,
    }
    said = grown_from(old, (method("linear"), 0.5), (method("linear"), 0.4), (method("constant"), 0.1))
    assert params(said, "optim")["schedule"] == Fixed(name="schedule", value="linear")


def test_names_are_cut_and_numbered() -> None:
    old = Branch(
        name="a" * 48,
        family="loss",
        hypothesis="It may help.",
        parent=None,
        slots=literature(NAIVE)[0].slots,
    )
    best = (Method(optim=Adamw(lr=1e-3, epochs=1, batch_size=16)), 0.5)
    first = grown_from(old, best).name
    assert len(first) <= 48
    second = grown_from(old, best, taken=frozenset({first})).name
    assert (second[-2:], len(second) <= 48) == ("-2", True)
    third = grown_from(old, best, taken=frozenset({first, second})).name
    assert third[-2:] == "-3"


def test_exploring_draws_what_naive_does_not_have_over_half_of_its_bounds() -> None:
    names: set[str] = set()
    for branch in explored(NAIVE, names, random.Random(0), 40):
        assert branch.name not in names
        names.add(branch.name)
        *drawn_slots, optim = branch.slots
        assert optim.slot == "optim"
        assert 1 <= len(drawn_slots) <= 2
        for slot in drawn_slots:
            [option] = slot.options
            assert option.component != getattr(NAIVE, slot.slot).kind
            specs = param_specs(SLOTS[slot.slot][option.component])
            for param in option.params:
                if isinstance(param, Range) and not param.log and specs[param.name].type != "integer":
                    legal = specs[param.name].high - specs[param.name].low
                    assert param.high - param.low == pytest.approx(legal / 2, rel=0.02)
    assert len(names) == 40
    assert list(explored(NAIVE, (), random.Random(0), 0)) == []
