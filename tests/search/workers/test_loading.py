from pathlib import Path

import pytest

from search.config.load import load_config
from search.workers.loading import load, models_of
from tests.small_runs.settings import REPO, SMALL_TASK


def test_it_loads_the_task_and_knows_every_model(tmp_path: Path) -> None:
    models = ["strong.model.pretrain_steps=1", "intermediates=[{kind: toy, size: weak}]"]
    config = load_config(REPO / "configs/dev.yaml", [*SMALL_TASK, *models, f"cache={tmp_path}"])
    loaded = load(config)
    assert {split: len(examples) for split, examples in loaded.task.inputs.items()} == {
        "weak_train": 300,
        "transfer": 300,
        "search": 300,
        "test": 400,
    }
    places = dict(models_of(config))
    assert list(places) == ["weak.model", "strong.model", "intermediates.0"]
    assert set(loaded.weights) == set(places.values())


def test_a_cache_that_cannot_be_written_is_refused_first(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    config = load_config(REPO / "configs/dev.yaml", [f"cache={tmp_path / 'file' / 'cache'}"])
    with pytest.raises(ValueError, match="cache"):
        load(config)
