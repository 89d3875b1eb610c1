from pathlib import Path
from typing import Any

import pytest
import yaml

from search.config.load import dump_config, load_config
from search.config.schema import RunConfig
from tests.search.config.conftest import changed, complaint

DATASET = """
kind: dataset
path: reviews.jsonl
fields: {text: sentence, label: label}
splits: {weak_train: 10, transfer: 10, search: 10, test: 10}
"""


def test_a_dumped_config_loads_as_an_equal_one(dev: Path, tmp_path: Path) -> None:
    config = load_config(dev, ["search.pruning.rungs=[0.1111111111111111, 0.7, 1]", "trial.concurrent=2"])
    again = tmp_path / "again.yaml"
    again.write_text(dump_config(config))
    assert load_config(again) == config
    assert load_config(again).sha256 == config.sha256


def test_off_is_off_although_yaml_reads_it_as_false(dev: Path, tmp_path: Path) -> None:
    config = load_config(dev, ["tracking.kind=off"])
    assert config.tracking.kind == "off"
    (again := tmp_path / "again.yaml").write_text(dump_config(config))
    assert load_config(again) == config
    assert load_config(changed(dev, "tracking.kind", False)) == config


def test_the_dump_keeps_every_bit_of_the_rungs(config: RunConfig, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(dump_config(config))
    assert load_config(tmp_path / "c.yaml").search.pruning.rungs == (1 / 3, 1.0)


def test_the_splits_do_not_change_with_the_seed_of_the_run(dev: Path) -> None:
    assert load_config(dev, ["seed=7"]).task == load_config(dev).task
    assert load_config(dev, ["seed=7", "task.seed=3"]).task.seed == 3


def test_overrides_are_yaml_and_reach_any_depth(dev: Path) -> None:
    config = load_config(
        dev,
        [
            "search.trials=9",
            "weak.optim.lr=1e-3",  # YAML 1.1 reads this as a text
            "task.splits.search=50",
            "search.pruning.rungs=[0.5, 1]",
        ],
    )
    assert (config.search.trials, config.weak.optim.lr, config.task.splits.search) == (9, 1e-3, 50)
    assert config.search.pruning.rungs == (0.5, 1.0)


def test_the_last_override_of_a_key_counts(dev: Path) -> None:
    assert load_config(dev, ["search.trials=9", "search.trials=10"]).search.trials == 10


@pytest.mark.parametrize(
    ("place", "nearest"),
    [
        ("sed", "seed"),
        ("serch", "search"),
        ("search.trails", "trials"),
        ("search.pruning.rung", "rungs"),
        ("search.allocation.flor", "floor"),
        ("strong.optim.learning", None),
        ("confirm.seed", "seeds"),
        ("trial.gpu", "gpus"),
        ("engine.zero_stge", "zero_stage"),
    ],
)
def test_an_unknown_key_names_the_nearest(dev: Path, place: str, nearest: str | None) -> None:
    message = complaint(changed(dev, place, 1))
    assert message.startswith(f"{place} is not a setting; ")
    assert f"did you mean {nearest}?" in message if nearest else "there are batch_size, beta1," in message


@pytest.mark.parametrize(
    ("place", "nearest"),
    [
        ("task.splits.serch", "search"),
        ("agent.branch", "branches"),
        ("task.sed", "seed"),
        ("weak.model.sise", "size"),
        ("strong.model.pretrain_step", "pretrain_steps"),
    ],
)
def test_an_unknown_key_inside_a_union_names_the_nearest(dev: Path, place: str, nearest: str) -> None:
    message = complaint(changed(dev, place, 1))
    assert message == f"{place} is not a setting; did you mean {nearest}?"


def test_a_setting_that_a_kind_requires_is_named_as_it_is_written(dev: Path) -> None:
    assert complaint(dev, "agent.kind=replay") == (
        "agent.path is missing; it has no default (Directory of that run)"
    )
    assert complaint(dev, "agent.kind=claude", "agent.lanes=9", "agent.branches=9").startswith("agent")
    assert "agent.claude" not in complaint(dev, "agent.kind=claude", "agent.lanes=9", "agent.branches=9")


@pytest.mark.parametrize(
    ("key", "nearest"),
    [("fields.txt", "text"), ("fields.lable", "label"), ("splits.tset", "test"), ("pth", "path")],
)
def test_an_unknown_key_of_a_data_set_names_the_nearest(dev: Path, key: str, nearest: str) -> None:
    changed(dev, "task", yaml.safe_load(DATASET))
    assert complaint(dev, f"task.{key}=1").endswith(f"is not a setting; did you mean {nearest}?")


def test_an_unknown_field_of_pairs_names_the_nearest(dev: Path) -> None:
    changed(dev, "task", yaml.safe_load(DATASET) | {"fields": {"chosen": "a", "rejected": "b"}})
    assert complaint(dev, "task.fields.promt=q").endswith("is not a setting; did you mean prompt?")


def test_an_unknown_key_far_from_all_lists_what_there_is(dev: Path) -> None:
    said = complaint(dev, "confirm.zzz=1")
    there = "finalists, keep_models, predictions, seeds, supervisors"
    assert said == f"confirm.zzz is not a setting; there are {there}"


def test_an_unknown_key_is_told_before_what_it_leaves_out(dev: Path) -> None:
    settings = yaml.safe_load(dev.read_text())
    settings["search"] = {"trails": 44, "round_trials": 22}  # so that trials is missing, too
    dev.write_text(yaml.safe_dump(settings))
    assert complaint(dev) == "search.trails is not a setting; did you mean trials?"


@pytest.mark.parametrize(
    ("place", "value", "parts"),
    [
        ("search.trials", "many", ["search.trials", "valid integer", "got 'many'"]),
        ("search.trials", 0, ["search.trials", "greater than or equal to 1", "got 0"]),
        ("search.trials", None, ["search.trials", "got None"]),
        ("search", [1, 2], ["search", "got [1, 2]"]),
        ("weak", "toy", ["weak", "got 'toy'"]),
        ("weak.optim.lr", 3, ["weak.optim.lr", "0.1", "got 3"]),
        ("weak.optim.lr", float("nan"), ["weak.optim.lr", "got nan"]),
        ("weak.model.size", "huge", ["weak.model.size", "'weak' or 'strong'", "got 'huge'"]),
        ("weak.model.kind", "toi", ["weak.model", "'toi'", "'hub', 'toy'"]),
        ("task.kind", "toi", ["task", "'toi'", "'toy', 'dataset'"]),
        ("search.pruning.rungs", [0.5, 0.2, 1], ["rungs must be rising shares", "[0.5, 0.2, 1.0]"]),
        ("name", "../up", ["name", "got '../up'"]),
        ("name", "", ["name", "got ''"]),
        ("baselines.seeds", 1, ["baselines.seeds", "greater than or equal to 2", "got 1"]),
        ("trial.concurrent", 0, ["trial.concurrent", "got 0"]),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(
    dev: Path, place: str, value: Any, parts: list[str]
) -> None:
    message = complaint(changed(dev, place, value))
    assert [part for part in parts if part not in message] == []


def test_a_missing_setting_is_named(dev: Path) -> None:
    settings = yaml.safe_load(dev.read_text())
    del settings["search"]["round_trials"]
    dev.write_text(yaml.safe_dump(settings))
    assert complaint(dev) == (
        "search.round_trials is missing; it has no default "
        "(Trials of a round, after which the next proposal is due)"
    )


def test_a_missing_file(tmp_path: Path) -> None:
    assert complaint(tmp_path / "nowhere.yaml") == "there is no such file; see configs/ for examples"


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"name: [unclosed", ["cannot be read as YAML"]),
        (b"a: b: c", ["cannot be read as YAML"]),
        (b"\tname: dev", ["cannot be read as YAML"]),
        (b"\xff\xfe\x00", ["cannot be read as YAML"]),
        (b"name: !!python/object/apply:os.getcwd []", ["cannot be read as YAML"]),
        (b"name: " + 3000 * b"[", ["cannot be read as YAML: it is nested too deeply"]),
        (b"name: 2024-13-45", ["cannot be read as YAML"]),
        (b"", ["must be a mapping of settings", "NoneType"]),
        (b"- name", ["must be a mapping of settings", "list"]),
        (b"dev", ["must be a mapping of settings", "str"]),
        (b"1: 2", []),
    ],
)
def test_what_is_no_config_is_told_in_one_line(tmp_path: Path, content: bytes, parts: list[str]) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    message = complaint(path)
    assert [part for part in parts if part not in message] == []


def test_a_folder_is_no_config(tmp_path: Path) -> None:
    assert "cannot be read as YAML" in complaint(tmp_path)


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("search.trials", ["--set search.trials", "must be key=value, such as search.trials=100"]),
        ("=5", ["--set =5", "must be key=value"]),
        ("name.sub=1", ["--set name.sub=1", "name is a value, not a group of settings"]),
        ("search.trials=[1", ["--set search.trials=[1", "'[1' cannot be read as YAML"]),
        ("search=" + 3000 * "[", ["cannot be read as YAML"]),
        ("name=2024-13-45", ["--set name=2024-13-45", "cannot be read as YAML"]),
        ("search.trails=5", ["search.trails is not a setting; did you mean trials?"]),
        ("search.trials=", ["search.trials", "got None"]),
        (".=1", ["is not a setting"]),
    ],
)
def test_a_bad_override_is_named(dev: Path, override: str, parts: list[str]) -> None:
    message = complaint(dev, override)
    assert [part for part in parts if part not in message] == []


def test_data_in_the_place_of_a_config_is_told_from_one(tmp_path: Path) -> None:
    data = tmp_path / "reviews.csv"
    data.write_text("text,label\na,1\n")
    with pytest.raises(ValueError, match=r"is data and no config: `python -m search init --data .*reviews"):
        load_config(data)
    with pytest.raises(ValueError, match="there is no such file"):
        load_config(tmp_path / "other.csv")
