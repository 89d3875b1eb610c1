"""One training outside a search."""

from pathlib import Path

import numpy as np
import pytest

from cluster.runtime import ray_runtime
from search.config.load import load_config
from search.workers.loading import load
from search.workers.preparation import prepare
from search.workers.single import check_single, train_once
from tests.small_runs.settings import ONE_CPU
from tests.small_runs.settings import SMALL as WITH_A_GAP
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


@pytest.mark.slow
def test_predictions_of_the_search_split_and_their_score(warm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(*ONE_CPU)
    config = load_config(REPO / "configs/dev.yaml", [*WITH_A_GAP, f"cache={warm}"])
    loaded = load(config)
    with ray_runtime():
        prepared = prepare(config, loaded, lambda done, total: None)
        trained = train_once(config, loaded, prepared, config.naive, 0)
    assert trained.predictions.shape == (300,)
    assert trained.predictions.dtype == np.float32
    assert trained.examples == loaded.task.inputs["search"]
    right = (trained.predictions > 0.5) == loaded.task.truth["search"]
    assert trained.score.accuracy == pytest.approx(right.mean())
    weak, ceiling = trained.baselines.weak.value, trained.baselines.ceiling.value
    assert trained.score.pgr == pytest.approx((right.mean() - weak) / (ceiling - weak))
    assert trained.seconds > 0
    assert trained.queries >= 1
