import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.search.cli.conftest import Measured
from tests.small_runs.settings import ONE_CPU, SMALL


@pytest.mark.slow
def test_trained_baselines_are_shown_to_a_script_and_to_a_person(
    warm: Path, measured: Callable[..., Measured]
) -> None:
    table = (warm / "table").read_text()
    assert "weak" in table
    assert "ceiling" in table
    assert "gap" in table
    assert "within two standard errors" not in table

    words = ["baselines", "configs/dev.yaml"]
    for setting in [*SMALL, f"cache={warm}"]:
        words += ["--set", setting]
    answer = measured(*words, "--json", WANDB_MODE="offline", **dict([ONE_CPU]))
    assert answer.code == 0, answer.errors
    [line] = answer.output.splitlines()  # and nothing else on stdout
    scores = json.loads(line)
    assert scores.keys() == {
        *("weak_acc", "weak_se", "ceiling_acc", "ceiling_se"),
        *("gap", "gap_se", "seeds", "split"),
    }
    assert scores["gap"] == pytest.approx(scores["ceiling_acc"] - scores["weak_acc"])
    assert 0 < scores["gap_se"] < scores["gap"] / 2
    assert (scores["seeds"], scores["split"]) == (2, "search")
    assert 0 < scores["weak_acc"] < scores["ceiling_acc"] <= 1
    assert 0 < scores["ceiling_se"] < 0.1
