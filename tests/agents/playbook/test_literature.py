import pytest

from agents.language.catalogue import param_specs
from agents.language.proposal import Fixed, Proposal, Range
from agents.language.validation import problems
from agents.playbook.ideas import IDEAS
from agents.playbook.literature import literature, optim_slot, span
from tests.agents.playbook.conftest import ANY, NAIVE, params
from trainers.components.optim import Adamw
from trainers.components.students import Full, Lora, Probe
from trainers.method import SLOTS, Method


def test_every_idea_fits_the_catalogue_and_is_allowed() -> None:
    ideas = literature(NAIVE)
    written = {branch.name: branch for branch, _, _ in IDEAS}
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


def test_an_idea_s_own_student_has_a_learning_rate_of_its_own() -> None:
    rates = {}
    for student in (Full(), Lora(), Probe()):
        naive = Method(student=student, optim=Adamw(lr=1e-3))
        ideas = {idea.name: params(idea, "optim")["lr"] for idea in literature(naive)}
        rates[student.kind] = [ideas[name] for name in ("confident-only", "frozen-probe", "adapters")]
    assert rates["full"] == [lr(3.33e-4, 1.5e-3), lr(1e-3, 0.1), lr(1e-3, 1e-2)]
    # Where naive is a probe with this rate, a full fine-tuning would have a tenth of it.
    assert rates["probe"] == [lr(3.33e-4, 1.5e-3), lr(1e-4, 1e-2), lr(1e-4, 1e-3)]
    assert rates["lora"] == [lr(3.33e-4, 1.5e-3), lr(3.16e-4, 3.16e-2), lr(3.16e-4, 3.16e-3)]


def lr(low: float, high: float) -> Range:
    return Range(name="lr", low=low, high=high, log=True)


def test_ranges_stay_within_bounds() -> None:
    edge = Method(optim=Adamw(lr=0.1, epochs=0.1))
    found = optim_slot(edge, lr=(0.1, 3), epochs=(0.1, 1)).options[0].params
    assert Range(name="lr", low=0.01, high=0.1, log=True) in found
    assert Fixed(name="epochs", value=0.1) in found
    whole = span(param_specs(Adamw)["batch_size"], 0.2, 9.7, log=True)
    assert whole == Range(name="batch_size", low=1, high=10, log=True)
