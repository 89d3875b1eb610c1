import shutil
from pathlib import Path

import numpy as np
import pytest

from search.config.schema import RunConfig
from search.config.seeds import PanelConfig
from search.export import learning as module
from search.export.learning import learning
from search.workers.loading import Loaded, load


@pytest.fixture(scope="module")
def loaded(small: RunConfig) -> Loaded:
    return load(small)


def test_weak_labels_are_those_of_the_cache(
    small: RunConfig, loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = learning(small, loaded, 0)
    monkeypatch.delattr(module, "train_baseline")  # a second training would fail
    again = learning(small, loaded, 0)
    np.testing.assert_array_equal(first.weak, again.weak)
    assert first.materials.weak_probs.shape == (1, len(loaded.task.inputs["transfer"]))
    assert first.materials.supervisor(12_345) == 0  # whatever the seed, there is one


def test_a_supervisor_that_is_gone_is_trained_again_alike(small: RunConfig, loaded: Loaded) -> None:
    first = learning(small, loaded, 1)
    shutil.rmtree(Path(small.cache) / "baselines")
    np.testing.assert_allclose(learning(small, loaded, 1).weak, first.weak, atol=1e-6)
    assert not np.allclose(first.weak, learning(small, loaded, 0).weak, atol=1e-3)


def test_a_panel_says_what_its_models_say_together(small: RunConfig, loaded: Loaded) -> None:
    weak = small.weak.model_copy(update={"panel": PanelConfig(size=2)})
    found = learning(small.model_copy(update={"weak": weak}), loaded, 0)
    alone = [learning(small, loaded, supervisor).weak for supervisor in (0, 1)]  # the panel's two models
    np.testing.assert_allclose(found.weak, np.mean(alone, axis=0), atol=1e-6)
    assert found.materials.weak_spread is not None
    np.testing.assert_allclose(found.materials.weak_spread[0], abs(alone[0] - alone[1]) / 2, atol=1e-6)
