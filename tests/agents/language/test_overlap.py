import itertools

import pytest

from agents.language.overlap import alike, holds, random_methods
from agents.language.proposal import Branch, Choice, Fixed, Range
from agents.playbook.literature import literature
from tests.agents.language.conftest import branch, option, ranged, slot
from trainers.components.losses import Gce, LogConf
from trainers.method import Method

NAIVE = Method()


def aux(low: float, high: float) -> Branch:
    return branch(slot("loss", option("logconf", ranged(low, high))))


def rate(*, low: float, high: float) -> Branch:
    return branch(slot("optim", option("adamw", Range(name="lr", low=low, high=high, log=True))))


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (aux(0.2, 1.0), aux(0.22, 1.0), True),  # all of one, 39 of 40 of the other
        (aux(0.2, 1.0), aux(0.35, 1.0), False),  # 13 of 16 and a little
        (aux(0.1, 0.2), aux(0.8, 0.9), False),
        (rate(low=1e-5, high=1e-3), rate(low=1.2e-5, high=9e-4), True),
        (rate(low=1e-5, high=1e-3), rate(low=1e-4, high=1e-3), False),  # half of it on a log scale
        (aux(0.2, 1.0), branch(slot("loss", option("gce", ranged(0.2, 1.0, name="q")))), False),
        (
            aux(0.2, 1.0),
            branch(slot("loss", option("logconf", ranged(0.2, 1.0)), option("gce"), option("kl"))),
            False,
        ),
        (
            aux(0.2, 1.0),
            branch(slot("loss", option("logconf", ranged(0.2, 1.0))), slot("select", option("all"))),
            True,  # it names the naive selection
        ),
        (
            branch(slot("loss", option("logconf", Fixed(name="aux", value=0.5)))),
            branch(slot("loss", option("logconf", Choice(name="aux", values=(0.5, 0.51))))),
            True,
        ),
        (
            branch(slot("loss", option("logconf", Fixed(name="aux", value=0.5)))),
            branch(slot("loss", option("logconf", Fixed(name="aux", value=0.6)))),
            False,
        ),
    ],
)
def test_branches_that_hold_nearly_the_same_methods(first: Branch, second: Branch, same: bool) -> None:
    assert alike(first, second, NAIVE) is alike(second, first, NAIVE) is same


def test_no_two_branches_of_the_literature_are_alike() -> None:
    known = literature(NAIVE)[:12]
    assert [(a.name, b.name) for a, b in itertools.combinations(known, 2) if alike(a, b, NAIVE)] == []


def test_a_branch_is_like_itself_whatever_its_name() -> None:
    mine = aux(0.2, 0.8)
    assert alike(mine, mine.model_copy(update={"name": "other", "hypothesis": "Something else."}), NAIVE)


def test_the_same_computed_by_another_formula_counts_as_the_same() -> None:
    """logconf without its confidence term is cross-entropy, which is what the naive baseline has."""
    plain = branch(slot("optim", option("adamw", Fixed(name="lr", value=1e-4))))
    wordy = branch(
        slot("optim", option("adamw", Fixed(name="lr", value=1e-4))),
        slot("loss", option("logconf", Fixed(name="aux", value=0.0))),
    )
    assert alike(plain, wordy, NAIVE)


def test_what_a_branch_holds() -> None:
    mine = aux(0.2, 0.8)
    assert holds(mine, Method(loss=LogConf(aux=0.5)), NAIVE)
    assert holds(mine, Method(loss=LogConf(aux=0.81)), NAIVE)
    assert not holds(mine, Method(loss=LogConf(aux=0.9)), NAIVE)
    assert not holds(mine, Method(loss=LogConf(aux=0.5, warmup=0.9)), NAIVE)
    assert not holds(mine, Method(loss=Gce()), NAIVE)


def test_random_methods_come_again_and_are_those_of_the_branch() -> None:
    mine = branch(
        slot("loss", option("logconf", ranged(0.2, 0.8)), option("gce", ranged(0.1, 0.9, name="q")))
    )
    methods = random_methods(mine, NAIVE)
    assert len(methods) == 64
    assert {method.loss.kind for method in methods} == {"logconf", "gce"}
    assert all(holds(mine, method, NAIVE) for method in methods)
    random_methods.cache_clear()
    assert random_methods(mine, NAIVE) == methods
