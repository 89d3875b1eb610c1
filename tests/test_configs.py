"""The configs that the README names can be read, and say what they are for."""

from pathlib import Path

import pytest

from search.config.load import dump_config, load_config
from trainers.components.students import Lora

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_loads_and_survives_being_written(path: Path, tmp_path: Path) -> None:
    config = load_config(path)
    assert config.name == path.stem
    copy = tmp_path / "copy.yaml"
    copy.write_text(dump_config(config))
    assert load_config(copy) == config


def test_dev_needs_nothing_but_this_machine() -> None:
    config = load_config(Path(__file__).parents[1] / "configs/dev.yaml")
    assert config.task.kind == config.weak.model.kind == config.strong.model.kind == "toy"
    assert config.trial.gpus == 0
    assert config.agent.kind == "playbook"
    assert config.search.trials >= 40
    assert config.search.trials > config.search.round_trials


def test_qwen_is_the_published_recipe() -> None:
    """LoRA r 32, alpha 32, rsLoRA; lr 1e-4 linear, warm-up 0.1, batch 32, 5 epochs, betas (0.9, 0.95)."""
    config = load_config(Path(__file__).parents[1] / "configs/qwen.yaml")
    assert config.naive.student == Lora(rank=32, alpha=32, rslora=True, dropout=0.0, target="all")
    optim = config.naive.optim
    assert (optim.lr, optim.schedule, optim.warmup) == (1e-4, "linear", 0.1)
    assert (optim.batch_size, optim.epochs, optim.beta1, optim.beta2) == (32, 5, 0.9, 0.95)
