"""What computes the same as naive, or as another method, is named by those who check proposals."""

import pytest

from agents.language.proposal import Fixed, Slot
from tests.agents.language.conftest import branch, found, option, proposal, ranged, slot
from trainers.components.losses import Entropy
from trainers.method import Method


def fixed(**values: bool | float | str) -> list[Fixed]:
    return [Fixed(name=name, value=value) for name, value in values.items()]


@pytest.mark.parametrize(
    ("slots", "sentence"),
    [
        (
            [slot("loss", option("kl"))],
            "branches[0].slots: holds a method that cannot run, loss kl computes what xent computes, since a "
            "label's entropy is a constant: set loss to xent, or labels to soft and select to small_loss, "
            "which ranks examples by it; fix or drop one of its components",
        ),
        (
            [
                slot("loss", option("logconf", *fixed(aux=0))),
                slot("optim", option("adamw", ranged(1e-4, 1e-3, name="lr"))),
            ],
            "branches[0].slots: loss.logconf computes what naive computes with loss.xent here; change its "
            "parameters or drop it",
        ),
        (
            [slot("labels", option("soft"), option("smoothed")), slot("loss", option("gce"))],
            "branches[0].slots: labels.smoothed and soft computes what naive computes with labels.hard here; "
            "change its parameters or drop it",
        ),
        (
            [slot("select", option("confidence", *fixed(share=1)))],
            "branches[0].slots: select.confidence computes what naive computes with select.all here; change "
            "its parameters or drop it",
        ),
    ],
)
def test_a_method_that_is_naive_but_by_name_is_named(slots: list[Slot], sentence: str) -> None:
    assert found(proposal(branch(*slots))) == [sentence]


def test_a_space_that_only_touches_naive_is_taken() -> None:
    assert found(proposal(branch(slot("loss", option("logconf", ranged(0, 1)))))) == []
    mixed = slot("loss", option("gce"), option("sce"))
    assert found(proposal(branch(slot("labels", option("soft")), mixed))) == []


def test_methods_that_compute_the_same_are_one_method() -> None:
    reed = branch(slot("loss", option("bootstrap", *fixed(beta=0.7))), name="reed")
    entropy = branch(slot("loss", option("entropy", *fixed(aux=0.3, warmup=0))), name="entropy")
    sentence = "branches[1].slots: computes what the branch reed computes; change or drop one of the two"
    assert found(proposal(reed, entropy)) == [sentence]
    run = [Method(loss=Entropy(aux=0.3, warmup=0))]
    sentence = (
        "branches[0].slots: its only method computes what a method that has been run computes; change it"
    )
    assert found(proposal(reed), known_methods=run) == [sentence]
