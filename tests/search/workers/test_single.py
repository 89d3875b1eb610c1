"""One training outside a search: what is refused. What it returns: tests/search/test_api.py."""

from pathlib import Path

import pytest

from search.config.load import load_config
from search.workers.single import check_single
from trainers.components.orders import BothOrders
from trainers.method import Method

REPO = Path(__file__).parents[3]
SMALL = [
    "task.splits={weak_train: 120, transfer: 90, search: 110, test: 130}",
    "strong.model={kind: toy, size: weak}",
    "baselines.seeds=2",
    "confirm.seeds=2",
]


def test_a_gang_and_a_method_that_cannot_run_are_refused() -> None:
    config = load_config(REPO / "configs/dev.yaml", SMALL)
    gang = config.model_copy(update={"trial": config.trial.model_copy(update={"processes": 2})})
    with pytest.raises(ValueError, match=r"trial.processes: a single training has one process"):
        check_single(gang, config.naive)
    with pytest.raises(ValueError, match="needs pairs"):
        check_single(config, Method(inputs=BothOrders()))
    check_single(config, config.naive)
