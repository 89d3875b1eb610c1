import re

import pytest

from agents.playbook.ideas import IDEAS
from trainers.method import SLOTS

BRANCHES = [branch for branch, _, _ in IDEAS]


def test_every_idea_has_a_name_of_its_own_and_says_where_it_was_published() -> None:
    assert len({branch.name for branch in BRANCHES}) == len(BRANCHES)
    for branch in BRANCHES:
        assert re.search(r"[A-Z].*, (19|20)\d\d[;)]", branch.hypothesis), branch.name


@pytest.mark.parametrize(
    "slot",
    ["labels", "repair", "select", "inputs", "loss", "student", "relabel", "stages", "refine", "members"],
)
def test_every_component_but_the_plain_one_is_in_an_idea(slot: str) -> None:
    offered = {o.component for branch in BRANCHES for s in branch.slots if s.slot == slot for o in s.options}
    # kl differs from cross-entropy only beside small_loss; a chain needs models in between.
    plain = {"hard", "none", "all", "xent", "full", "once", "plain", "single"}
    assert set(SLOTS[slot]) - offered <= plain | {"kl", "chain"}


def test_label_repairs_come_with_the_split_that_they_need() -> None:
    for branch in BRANCHES:
        options = {s.slot: [o.component for o in s.options] for s in branch.slots}
        if {"propagate", "crossfit", "em_head", "mean_difference"} & set(options.get("repair", ())):
            assert "median" in options["labels"], branch.name
