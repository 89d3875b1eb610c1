"""The five published rungs of automated weak-to-strong research, and how far the catalogue says each.

A rung stands with the Method of `benchmarks.real_text.methods` that says it, the idea of the playbook in
which a search finds it, how many tests name each of its components, and the tests that train all of them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.language.proposal import Branch
from agents.playbook.ideas import IDEAS
from benchmarks.real_text.methods import PUBLISHED
from trainers.component import Component

ROOT = Path(__file__).parents[2]
TRAINS = ROOT / "tests" / "benchmarks" / "agent" / "test_published.py"


@dataclass(frozen=True, kw_only=True)
class Rung:
    """A published method. pgr: as published, on chat. lacks: what no component says, '' if nothing."""

    name: str
    pgr: float
    method: str
    idea: str
    lacks: str = ""


LADDER = (
    Rung(
        name="consistent probe and evolution strategy",
        pgr=0.93,
        method="consistency_search",
        idea="consistency-search",
        lacks="weights of the gradient in place of resampling",
    ),
    Rung(
        name="EM posterior",
        pgr=0.78,
        method="em_posterior_zero_shot",
        idea="em-posterior",
        lacks="a channel that is told whether margin and weak label agree",
    ),
    Rung(name="overlap density", pgr=0.75, method="overlap_density", idea="overlap-density"),
    Rung(name="MDL curriculum", pgr=0.68, method="mdl_curriculum", idea="curriculum"),
    Rung(
        name="epiplexity",
        pgr=0.62,
        method="median_out_of_fold",
        idea="fine-tuned-labels",
        lacks="smoothing by how far an example's loss fell; both orders of pairs, a slot of their own",
    ),
)


def ladder(tests_of: Mapping[tuple[str, str], int], trained_by: list[str]) -> list[dict[str, Any]]:
    """A row a rung. tests_of: how many tests name a component, by slot and kind."""
    rows = []
    for rung in LADDER:
        components = PUBLISHED[rung.method].components
        rows.append(
            {
                "published": rung.name,
                "pgr": rung.pgr,
                "method": rung.method,
                "idea": rung.idea,
                "lacks": rung.lacks,
                "components": {
                    f"{slot}.{component.kind}": tests_of[slot, component.kind]
                    for slot, component in components.items()
                },
                "beyond_the_idea": list(beyond(components, idea(rung.idea))),
                "trained_by": trained_by,
            }
        )
    return rows


def idea(name: str) -> Branch:
    """The playbook's idea of this name; raises KeyError if it has none."""
    return {branch.name: branch for branch, _, _ in IDEAS}[name]


def beyond(components: Mapping[str, Component], branch: Branch) -> Iterator[str]:
    """The components of a method that a branch does not offer in their slots."""
    offered = {(slot.slot, option.component) for slot in branch.slots for option in slot.options}
    for slot, component in components.items():
        if (slot, component.kind) not in offered:
            yield f"{slot}.{component.kind}"


def training_tests(naming: Callable[[str, str], list[str]], file: Path = TRAINS) -> list[str]:
    """The tests that train every published method: those that name PUBLISHED, and train in their names.

    naming: as `catalogue.naming_tests`.
    """
    if not file.is_file():
        return []
    return [test for test in naming(file.read_text(), "PUBLISHED") if "train" in test]
