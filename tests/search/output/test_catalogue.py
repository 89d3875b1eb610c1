"""The catalogue for people: every component with its formula, bounds and cost."""

import json
import re

import pytest
from rich.console import Console

from agents.playbook.named import ideas
from search.output.catalogue import all_methods, component_facts, find, slot_facts
from search.output.catalogue_text import in_full
from trainers.method import SLOTS

COMPONENTS = [(slot, kind) for slot, kinds in SLOTS.items() for kind in kinds]


@pytest.mark.parametrize(("slot", "kind"), COMPONENTS)
def test_every_component_says_what_it_does_and_how(slot: str, kind: str) -> None:
    facts = component_facts(slot, kind)
    assert facts["says"]
    assert facts["formula"] or (slot, kind) in {("optim", "adamw"), ("refine", "none")}
    assert json.loads(json.dumps(facts))["name"] == kind


PAPER = r"[A-Z][\w-]+(?: et al\.)?,? (?:19|20)\d\d\b|\((?:19|20)\d\d\)"
OURS = r"[Tt]he project's own"


@pytest.mark.parametrize(("slot", "kind"), COMPONENTS)
def test_every_component_prints_its_paper_or_that_it_is_the_projects_own(slot: str, kind: str) -> None:
    console = Console(width=110)
    with console.capture() as capture:
        console.print(in_full(find(slot, kind)))
    assert re.search(f"{PAPER}|{OURS}", " ".join(capture.get().split()))


def test_bounds_and_sources() -> None:
    (soft,) = [facts for facts in slot_facts("labels") if facts["name"] == "soft"]
    assert soft["parameters"] == [
        {
            "name": "temperature",
            "default": 1.0,
            "allowed": "[0.1, 10]",
            "says": "below 1 sharpens, above 1 flattens",
        }
    ]
    assert soft["formula"][0] == "w^(1/T) / (w^(1/T) + (1-w)^(1/T))."
    assert "Hinton et al. 2015" in soft["formula"][1]


def test_costs_are_multiples_of_naive() -> None:
    assert component_facts("labels", "hard")["cost"] == 1
    assert component_facts("inputs", "both_orders")["cost"] == pytest.approx(2, abs=0.1)
    product, kl = component_facts("loss", "product"), component_facts("loss", "kl")
    assert (product["cost"], product["beside"]) == (1, {"labels": "soft"})
    assert kl["cost"] == component_facts("select", "small_loss")["cost"]  # which kl is for
    assert kl["beside"] == {"labels": "soft", "select": "small_loss"}
    assert component_facts("refine", "evolve")["cost"] is None  # naive has every weight to move


def test_the_playbook_is_all_there() -> None:
    found = {facts["name"]: facts for facts in all_methods()}
    assert list(found) == list(ideas())
    assert found["confidence-loss"]["slots"]["loss"]["kind"] == "logconf"
    assert found["robust-losses"]["variants"] == ["robust-losses:sce", "robust-losses:bootstrap"]


def test_words_find_slots_components_and_methods() -> None:
    assert len(find("labels", "")) == len(SLOTS["labels"])
    assert [facts["slot"] for facts in find("labels", "formula")] == ["labels"]
    assert [facts["slot"] for facts in find("labels", "propagate")] == ["repair"]  # a label step, too
    assert [facts["slot"] for facts in find("formula", "")] == ["labels", "repair", "select", "loss"]
    assert find("frozen-probe", "")[0]["family"] == "internals"
    assert find("robust-losses:sce", "")[0]["slots"]["loss"]["kind"] == "sce"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("labels", "foo"), "no component is called 'foo'; slot labels has hard"),
        (("lables", "hard"), "there is no slot 'lables'; the slots are labels"),
        (("confidence-los", ""), "did you mean confidence-loss"),
    ],
)
def test_words_that_find_nothing(words: tuple[str, str], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        find(*words)
