from pathlib import Path

import pytest

from search.config.abilities import abilities_of, known_without_a_model
from search.config.load import load_config
from search.config.resources import TrialResources
from trainers.models.settings import HubModel, ToyModel
from trainers.training.settings import EngineConfig

TOY = ToyModel(size="strong")


def test_a_trial_s_memory_is_part_of_what_methods_can_count_on(dev: Path) -> None:
    assert load_config(dev).abilities.room is None  # no GPU, no limit
    config = load_config(dev, ["trial.memory_gb=1.2", "trial.processes=2"])
    room = config.abilities.room
    assert room is not None
    assert (room.gb, room.world_size, room.engine, room.length) == (1.2, 2, config.engine, 64)
    assert config.naive.refused(config.abilities) is None
    tight = load_config(dev, ["trial.memory_gb=0.5"])
    assert str(tight.naive.refused(tight.abilities)).startswith("student.full needs about 1.")


def test_without_a_limit_of_memory_nothing_is_refused_for_it() -> None:
    abilities = abilities_of(TOY, EngineConfig(), TrialResources(), intermediates=3)
    assert (abilities.room, abilities.intermediates) == (None, 3)


def test_a_language_model_can_be_asked_and_an_encoder_cannot(minilm: Path) -> None:
    encoder = HubModel(path=str(minilm), max_length=24)
    found = [abilities_of(model, EngineConfig(), TrialResources(), 0).prior for model in (TOY, encoder)]
    assert found == [True, False]


def test_a_model_whose_settings_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=str(tmp_path)) as caught:
        abilities_of(HubModel(path=str(tmp_path), max_length=8), EngineConfig(), TrialResources(), 0)
    assert "\n" not in str(caught.value)


def test_pairs_are_known_from_the_task(dev: Path) -> None:
    assert not load_config(dev).abilities.pairs
    splits = "splits: {weak_train: 8, transfer: 8, search: 8, test: 8}"
    pairs = load_config(dev, [f"task={{kind: dataset, path: a.jsonl, fields: {{chosen: a}}, {splits}}}"])
    assert pairs.abilities.pairs
    singles = load_config(dev, [f"task={{kind: dataset, path: a.jsonl, {splits}}}"])
    assert not singles.abilities.pairs


def test_a_generated_model_and_no_limit_of_memory_ask_no_model() -> None:
    hub, tight = HubModel(path="elsewhere", max_length=8), TrialResources(memory_gb=1.0)
    assert known_without_a_model(TOY, TrialResources())
    assert not known_without_a_model(hub, TrialResources())
    assert not known_without_a_model(TOY, tight)
