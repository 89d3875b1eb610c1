import pytest

from agents.language.proposal import with_components
from benchmarks.real_text.methods import PUBLISHED, is_single, published
from trainers.component import Component
from trainers.components.labels import Median, Soft
from trainers.components.losses import Gce
from trainers.components.optim import Adamw
from trainers.components.orders import BothOrders
from trainers.components.repairs import CrossFit
from trainers.components.selection import Agreement, Curriculum
from trainers.components.staging.refine import Evolve
from trainers.components.students import Probe
from trainers.method import Abilities, Method

NAIVE = Method(student=Probe(), optim=Adamw(lr=0.01, epochs=5))
NOTHING = Abilities(prior=False, intermediates=0)
PAIRS = Abilities(prior=True, intermediates=0, pairs=True)


def test_all_published_methods_train_the_student_of_naive_and_no_two_are_alike() -> None:
    found = published(NAIVE, PAIRS)
    assert found.keys() == PUBLISHED.keys()
    assert len({method.plainest.digest for method in (*found.values(), NAIVE)}) == len(found) + 1
    assert {method.student for method in found.values()} == {Probe()}
    assert {method.optim.lr for method in found.values()} == {0.01}


def test_single_texts_are_spared_what_needs_two_orders_or_an_answer() -> None:
    assert PUBLISHED.keys() - published(NAIVE, NOTHING).keys() == {
        "averaged_answers",
        "both_orders",
        "consistency",
        "consistency_half",
        "agreement",
        "consistency_search",
        "em_posterior_zero_shot",
    }


def test_consistency_search_passes_once_over_both_orders() -> None:
    found = published(NAIVE, PAIRS)["consistency_search"]
    assert found.optim.epochs == 1
    assert (found.inputs, found.select) == (BothOrders(), Agreement())
    assert (found.refine, found.members.count) == (Evolve(), 16)


def test_a_full_fine_tuning_does_not_evolve() -> None:
    assert PUBLISHED.keys() - published(Method(), PAIRS).keys() == {"evolved", "consistency_search"}


def test_the_curriculum_passes_twice_over_a_half_and_then_three_times_over_all() -> None:
    """Two epochs on a half are as many steps as one on everything: a quarter of four epochs."""
    found = published(NAIVE, NOTHING)["mdl_curriculum"]
    assert found.optim.epochs == 4
    assert found.select == Curriculum(share=0.5, switch=0.25, lr_scale=0.5)
    assert found.labels == Soft()


@pytest.mark.parametrize(
    ("components", "single"),
    [
        ({}, False),
        ({"optim": Adamw(lr=0.05)}, False),
        ({"loss": Gce()}, True),
        ({"labels": Soft()}, True),
        ({"labels": Soft(), "repair": CrossFit()}, True),
        ({"labels": Median(), "repair": CrossFit()}, False),
        ({"labels": Soft(), "loss": Gce()}, False),
    ],
)
def test_a_single_component(components: dict[str, Component], single: bool) -> None:
    assert is_single(with_components(NAIVE, components), NAIVE) == single
