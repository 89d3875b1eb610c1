"""Methods by the names of the playbook's ideas."""

import pytest

from agents.language.proposal import Proposal, branch_contains
from agents.language.space import single_method
from agents.language.validation import problems
from agents.playbook.literature import literature
from agents.playbook.named import fixed_branch, ideas, named_method, variants
from trainers.components.losses import LogConf, Sce
from trainers.components.optim import Adamw
from trainers.components.students import Probe
from trainers.method import Abilities, Method

NAIVE = Method(optim=Adamw(lr=1e-3, epochs=4, batch_size=16))
ANY = Abilities(prior=True, intermediates=2, pairs=True, panel=True)
NAMES = [variant for branch in ideas().values() for variant in variants(branch)]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_a_method_that_can_be_proposed(name: str) -> None:
    method = named_method(name, NAIVE)
    branch = fixed_branch(name.replace(":", "-"), method, NAIVE, "Its hypothesis.")
    assert single_method(branch, NAIVE) == method
    assert not problems(
        Proposal(branches=(branch,), rationale=""),
        naive=NAIVE,
        known_branches=(),
        known_methods=(),
        abilities=ANY,
    )


def test_parameters_are_the_published_ones() -> None:
    method = named_method("confidence-loss", NAIVE)
    assert method.loss == LogConf()
    assert method.optim == NAIVE.optim


def test_a_variant_takes_another_option() -> None:
    assert named_method("robust-losses:sce", NAIVE).loss == Sce()
    with pytest.raises(ValueError, match=r"no method is called 'robust-losses:xent'"):
        named_method("robust-losses:xent", NAIVE)


def test_another_student_has_a_learning_rate_of_its_own() -> None:
    method = named_method("frozen-probe", NAIVE)
    assert (method.student, method.optim.lr) == (Probe(), pytest.approx(1e-2))
    assert named_method("frozen-probe", method).optim.lr == pytest.approx(1e-2)  # a probe already


def test_an_idea_of_the_optimizer_alone_trains_less() -> None:
    optim = named_method("early-stopping", NAIVE).optim
    assert optim.epochs == pytest.approx(4 * 0.1**0.5, rel=1e-2)
    assert optim.lr == NAIVE.optim.lr


def test_naive_is_naive_and_a_wrong_name_is_told_what_is_near() -> None:
    assert named_method("naive", NAIVE) is NAIVE
    with pytest.raises(
        ValueError, match="no method is called 'confidence-los'; did you mean confidence-loss"
    ):
        named_method("confidence-los", NAIVE)


def test_a_named_method_is_of_its_idea() -> None:
    spaces = {branch.name: branch for branch in literature(NAIVE)}
    inside = [name for name in ideas() if branch_contains(spaces[name], named_method(name, NAIVE), NAIVE)]
    assert {"confidence-loss", "label-propagation", "confident-only", "early-stopping"} <= set(inside)
