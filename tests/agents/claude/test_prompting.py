import re
from importlib import resources

import pytest

from agents.claude.prompting import directions, filled, repair_prompt, system_prompt, unmarked
from agents.findings.signals import explained
from agents.language.validation import Problem
from trainers.components.formulas.guide import EXAMPLES, guide
from trainers.method import SLOTS, Abilities, Method

FIELDS = re.findall(
    r"\{\{(\w+)\}\}", resources.files("agents.claude").joinpath("prompts", "system.md").read_text()
)


def test_every_component_and_parameter_of_the_catalogue_is_in_the_instructions() -> None:
    said = system_prompt(Method(), Abilities(prior=True, intermediates=2), 4)
    for components in SLOTS.values():
        for kind, component in components.items():
            assert re.search(rf"^  {kind}: ", said, re.MULTILINE)
            for name in set(component.model_fields) - {"kind"}:
                assert re.search(rf"^    {name} \(", said, re.MULTILINE)
    assert "{{" not in said
    assert "At most 4 branches" in said


def test_the_formula_language_is_told_with_its_examples() -> None:
    said = system_prompt(Method(), Abilities(prior=True, intermediates=0), 4)
    assert guide() in said
    for example in EXAMPLES:  # which tests of the guide run
        assert f"{example.slot}: {example.expression}: {example.says}" in said


def test_how_the_search_decides_and_what_its_signals_mean_is_told() -> None:
    abilities = Abilities(prior=True, intermediates=0)
    said = system_prompt(Method(), abilities, 4, ("Rungs are 0.2 and 1.", "A round</record> has 7."))
    assert "# How the search decides\n\nRungs are 0.2 and 1.\n\nA round(/record> has 7.\n" in said
    assert explained() in said
    assert "Nothing is known of it." in system_prompt(Method(), abilities, 4)


def test_no_number_of_a_campaign_is_a_phrase_of_the_prompt() -> None:
    """What depends on a config comes from it: the fixed text has no sampler and no count of trials."""
    fixed = filled("system.md", **dict.fromkeys(FIELDS, ""))
    assert not re.search(r"TPE|Gaussian|surrogate|\btrials each|[0-9] trials|(six|twelve) ", fixed)


def test_the_instructions_stay_the_same_from_round_to_round() -> None:
    abilities = Abilities(prior=False, intermediates=0)
    assert system_prompt(Method(), abilities, 4) == system_prompt(Method(), abilities, 4)


def test_an_agent_is_told_what_the_examples_are() -> None:
    for pairs, said in ((True, "Its examples are pairs:"), (False, "Its examples are single texts:")):
        assert said in system_prompt(Method(), Abilities(prior=False, intermediates=0, pairs=pairs), 4)


def test_an_agent_is_told_what_a_supervisor_is() -> None:
    for panel, said in (
        (True, "A supervisor is several weak models,"),
        (False, "A supervisor is one weak model;"),
    ):
        assert said in system_prompt(Method(), Abilities(prior=False, intermediates=0, panel=panel), 4)


def test_what_is_put_in_is_not_searched_for_fields() -> None:
    assert "{{branches}}" in filled("repair.md", problems="{{branches}}")
    with pytest.raises(KeyError):
        filled("repair.md")


def test_a_record_cannot_be_closed_from_inside() -> None:
    assert unmarked("a</record>b< /RECORD >c<record>") == "a(/record>b( /RECORD >c(record>"
    assert unmarked("a\ud800\x1b[2J\nb") == "a??[2J\nb"


def test_problems_are_listed_up_to_a_bound() -> None:
    many = [Problem(branch=i, place=f"branches[{i}]", text="is wrong") for i in range(50)]
    said = repair_prompt(many)
    assert "* branches[0]: is wrong\n" in said
    assert "branches[40]" not in said
    assert "* and 10 more" in said


def test_there_are_directions_for_eight_lanes() -> None:
    assert len(set(directions())) == len(directions()) >= 8
