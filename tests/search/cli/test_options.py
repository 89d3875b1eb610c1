from pathlib import Path

import pytest

from search.cli.options import complete_config, complete_place, complete_run, complete_setting


def values(completed: list[tuple[str, str]]) -> list[str]:
    return [value for value, _ in completed]


def test_a_setting_is_completed_part_by_part() -> None:
    assert values(complete_setting("sea")) == ["search."]
    assert values(complete_setting("search.tr")) == ["search.trials="]
    assert values(complete_setting("search.pruning.")) == [
        f"search.pruning.{name}=" for name in ("rungs", "keep", "doubt", "seed_sd", "min_rivals", "min_steps")
    ]
    assert {"name=", "seed=", "search.", "weak."} <= set(values(complete_setting("")))
    assert complete_setting("search.zzz") == []
    assert complete_setting("zzz.") == []


def test_a_union_s_settings_are_those_of_all_kinds_each_once() -> None:
    names = values(complete_setting("agent."))
    assert {"agent.kind=", "agent.lanes=", "agent.path=", "agent.prices.", "agent.prices="} <= set(names)
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("typed", "choices"),
    [
        ("agent.kind=", ["playbook", "claude", "replay"]),
        ("agent.kind=c", ["claude"]),
        ("task.kind=", ["toy", "dataset"]),
        ("tracking.kind=", ["off", "offline", "online"]),
        ("trial.elastic=", ["true", "false"]),
        ("weak.student.target=a", ["all", "attention"]),
        ("search.trials=", []),
        ("agent.knid=", []),
    ],
)
def test_the_values_of_a_setting_that_has_few(typed: str, choices: list[str]) -> None:
    place = typed.partition("=")[0]
    assert values(complete_setting(typed)) == [f"{place}={choice}" for choice in choices]


def test_a_completed_name_comes_with_its_meaning() -> None:
    [(_, meaning)] = complete_setting("search.tri")
    assert meaning == "Methods to try"


def test_a_place_to_look_at_is_completed_without_a_value() -> None:
    assert values(complete_place("search.tri")) == ["search.trials"]
    assert values(complete_place("sea")) == ["search."]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("configs/dev.yaml", "configs/small.yml", "configs/notes.txt", "runs/a/config.yaml", ".h/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "runs/other").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_configs_are_yaml_files(folder: Path) -> None:
    assert complete_config("") == ["configs/", "runs/"]
    assert complete_config("con") == ["configs/"]
    assert complete_config("configs/") == ["configs/dev.yaml", "configs/small.yml"]
    assert complete_config("configs/s") == ["configs/small.yml"]
    assert complete_config(f"{folder}/con") == [f"{folder}/configs/"]
    assert complete_config("nowhere/x") == []


def test_runs_are_folders_with_a_config(folder: Path) -> None:
    assert complete_run("ru") == ["runs/"]
    assert complete_run("runs/") == ["runs/a", "runs/other/"]
    assert complete_run("configs/") == []
    assert complete_run(".") == [".h/"]
