from collections.abc import Callable

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import FixedTrial

from agents.language.proposal import Branch, Option, Range, Slot
from search.studies.space import recalled, suggest
from trainers.components.losses import LogConf, Xent
from trainers.components.optim import Adamw
from trainers.method import Method


def test_a_trial_s_values_make_a_method_and_the_rest_is_naive(branch: Callable[..., Branch]) -> None:
    values = {"loss.kind": "logconf", "loss.logconf.aux": 0.25, "optim.adamw.lr": 1e-3}
    naive = Method(optim=Adamw(epochs=9))
    method = suggest(FixedTrial(values), branch("one"), naive)
    assert method.loss == LogConf(aux=0.25)
    assert method.optim == Adamw(lr=1e-3, epochs=1.0)
    assert method.student == naive.student


def test_a_combination_that_cannot_work_is_refused(branch: Callable[..., Branch]) -> None:
    slot = Slot(
        slot="optim",
        options=(Option(component="adamw", params=(Range(name="lr", low=1e-3, high=5, log=True),)),),
    )
    wild = branch("wild").model_copy(update={"slots": (slot,)})
    with pytest.raises(ValueError, match=r"less than or equal to 0\.1"):
        suggest(FixedTrial({"optim.adamw.lr": 2.0}), wild, Method())


def test_a_method_is_recalled_as_the_parameters_it_was_made_of(branch: Callable[..., Branch]) -> None:
    one = branch("one")
    method = Method(loss=Xent(), optim=Adamw(lr=1e-3, epochs=1.0))
    known = recalled(one, Method(), method)
    assert known.params == {"loss.kind": "xent", "optim.adamw.lr": 1e-3}
    assert known.distributions == {
        "loss.kind": CategoricalDistribution(("xent", "logconf")),
        "optim.adamw.lr": FloatDistribution(1e-4, one.slots[1].options[0].params[0].high, log=True),
    }
    other = recalled(one, Method(), method.model_copy(update={"loss": LogConf(aux=0.5)}))
    assert other.params["loss.logconf.aux"] == 0.5
