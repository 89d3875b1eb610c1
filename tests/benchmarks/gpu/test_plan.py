import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gpu.figures import H200
from benchmarks.gpu.plan import main, plan, priced, read_lengths
from search.config.load import load_config
from tests.small_runs.settings import REPO

QWEN = REPO / "configs/qwen.yaml"


def test_phases_add_up_and_cost_their_hours() -> None:
    config = load_config(QWEN, [])
    found = plan(config, "chat", H200, int(141e9))
    priced(found, gpus_a_trial=1.0, gpus=8, usd_per_hour=3.0)
    trial, *run, whole = found["phases"]
    assert [phase["name"] for phase in run] == ["baselines", "search", "replication", "confirmation"]
    assert (trial["trainings"], run[1]["trainings"]) == (1, 200)
    assert whole["train_s"] == pytest.approx(sum(phase["train_s"] for phase in run))
    assert whole["usd"] == pytest.approx(3.0 * whole["train_s"] / 3600)
    assert (trial["wall_h"], run[1]["wall_h"]) == (trial["gpu_hours"], run[1]["gpu_hours"] / 8)
    # 5 epochs of 214 batches, and 2,000 examples predicted
    speed = found["tasks"]["qwen"]["models"]["strong"]["speed"]
    assert trial["train_s"] == pytest.approx(
        speed["start_s"] + 1070 * speed["step_s"] + 2000 * speed["row_s"]
    )


def test_a_plan_of_several_tasks_adds_them_up() -> None:
    config = load_config(REPO / "configs/qwen-tasks.yaml", [])
    found = plan(config, "chat", H200, int(141e9))
    assert list(found["tasks"]) == ["chat", "sums", "programs"]
    trial, baselines, *_ = found["phases"]
    alone = [plan(one, "chat", H200, int(141e9))["phases"] for one in config.searched.values()]
    assert trial["trainings"] == 3
    assert trial["train_s"] == pytest.approx(sum(phases[0]["train_s"] for phases in alone))
    assert baselines["train_s"] == pytest.approx(sum(phases[1]["train_s"] for phases in alone))
    assert alone[1][0]["train_s"] < alone[0][0]["train_s"] / 5  # 700 examples to learn from, not 6,826


def test_lengths_of_a_file_are_drawn_and_cut(tmp_path: Path) -> None:
    path = tmp_path / "lengths.txt"
    path.write_text("100\n200\n5000\n")
    lengths = read_lengths(load_config(QWEN, []), str(path))
    assert {role: len(of) for role, of in lengths.items()} == {"weak": 6826, "strong": 6826}
    assert set(np.unique(lengths["strong"])) == {100, 200, 1024}  # max_length
    for wrong in ("a few", "", "0"):
        path.write_text(wrong)
        with pytest.raises(ValueError, match="--lengths"):
            read_lengths(load_config(QWEN, []), str(path))


def test_the_command_prints_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    main([str(QWEN), "--lengths", "chat", "--usd-per-hour", "3"])
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert found["tasks"]["qwen"]["models"]["strong"]["model"] == "Qwen/Qwen3-4B-Base"
    assert "confirmation" in printed.err
    main([str(QWEN), "--lengths", "chat"])
    assert json.loads(capsys.readouterr().out)["phases"][0]["usd"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([str(QWEN), "--lengths", "nowhere.txt"], "error: --lengths nowhere.txt cannot be read"),
        ([str(QWEN), "--lengths", "chat", "--set", "engine.precision=fp32"], "engine.precision is fp32"),
        ([str(QWEN), "--lengths", "chat", "--figures", "nowhere.json"], "--figures nowhere.json cannot"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line
