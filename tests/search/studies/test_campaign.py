from collections.abc import Callable

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from agents.language.naming import method_values
from agents.language.proposal import Branch
from search.studies.campaign import campaign_params, catalogue_distributions, searched_names, study_name
from trainers.components.losses import LogConf
from trainers.components.optim import Adamw
from trainers.method import SLOTS, Method


def test_every_parameter_of_the_catalogue_has_one_distribution_by_its_bounds() -> None:
    found = catalogue_distributions()
    assert found["loss.kind"] == CategoricalDistribution(tuple(SLOTS["loss"]))
    assert found["loss.logconf.aux"] == FloatDistribution(0.0, 1.0)
    assert found["optim.adamw.lr"] == FloatDistribution(1e-6, 0.1, log=True)  # a range of five decades
    assert found["optim.adamw.batch_size"] == IntDistribution(1, 1024, log=True)
    assert found["members.ensemble.count"] == IntDistribution(2, 16)
    assert found["student.lora.rslora"] == CategoricalDistribution((False, True))
    assert found["student.lora.target"] == CategoricalDistribution(("all", "attention", "mlp"))


def test_a_slot_without_a_choice_has_no_axis() -> None:
    assert "optim.kind" not in catalogue_distributions()


def test_the_values_of_every_component_can_be_shown() -> None:
    for slot, kinds in SLOTS.items():
        for component in kinds.values():
            method = Method().model_copy(update={slot: component()})
            values = {
                name: v for name, v in method_values(method).items() if not name.endswith(".expression")
            }
            assert campaign_params(method, searched=values) | {"optim.kind": "adamw"} == values


def test_a_formula_is_no_axis() -> None:
    assert [name for name in catalogue_distributions() if "formula" in name] == [
        f"{slot}.formula.{number}"
        for slot in ("labels", "repair", "second_repair", "select", "loss")
        for number in "abc"
    ]


def test_what_is_off_its_default_or_searched_is_shown() -> None:
    method = Method(loss=LogConf(aux=0.25), optim=Adamw(lr=1e-3))
    kinds = {f"{slot}.kind": getattr(method, slot).kind for slot in SLOTS if slot != "optim"}
    shown = {"loss.logconf.aux": 0.25, "optim.adamw.lr": 1e-3}
    assert campaign_params(method, searched=()) == kinds | shown
    searched = ("optim.adamw.epochs", "loss.logconf.aux", "loss.gce.q")
    assert campaign_params(method, searched) == kinds | shown | {"optim.adamw.epochs": 3.0}


def test_a_value_outside_its_field_s_bounds_is_left_out() -> None:
    strange = Method().model_copy(update={"loss": LogConf.model_construct(aux=None)})
    assert "loss.logconf.aux" not in campaign_params(strange, searched=())


def test_a_branch_searches_what_it_does_not_fix(branch: Callable[..., Branch]) -> None:
    assert searched_names(branch("one")) == {"loss.logconf.aux", "optim.adamw.lr"}


def test_a_branch_called_campaign_has_a_study_of_its_own() -> None:
    assert study_name("one") == "one"
    assert study_name("campaign") not in ("campaign", "one")
