import optuna

from benchmarks.versus_tune.__main__ import CONFIG
from benchmarks.versus_tune.space import Space
from search.config.load import load_config
from trainers.method import Method


def test_the_flat_space_is_that_of_the_first_proposal() -> None:
    space = Space(load_config(CONFIG))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    methods = [Method.model_validate_json(space(study.ask())["method"]) for _ in range(40)]
    seen = {(one.labels.kind, one.repair.kind, one.select.kind, one.loss.kind) for one in methods}
    assert seen == {
        ("hard", "none", "all", "xent"),
        ("hard", "none", "confidence", "xent"),
        ("median", "propagate", "all", "xent"),
        ("hard", "none", "all", "logconf"),
    }
