import json
from pathlib import Path

import numpy as np
import pytest

from search.__main__ import main
from search.scoring.grader import BaselinePredictions, Grader
from tests.small_runs.settings import ONE_CPU, SMALL


def test_a_floor_that_is_a_guess_is_said_to_a_person_and_to_a_script(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = np.array([1, 1, 1, 0, 0] * 20, dtype=np.int8)
    ones, knows = np.ones((2, 100), dtype=np.bool_), np.stack([truth == 1] * 2)
    sealed = truth, BaselinePredictions(weak=ones, ceiling=knows)
    found = Grader(sealed, sealed).baselines()
    monkeypatch.setattr("search.campaign.baseline_scores", lambda config, console: found)
    assert main(["baselines", "configs/dev.yaml"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "the weak floor 0.6000 is not clearly above what always naming the larger class gets" in said
    assert main(["baselines", "configs/dev.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["majority"] == 0.6


@pytest.mark.slow
def test_trained_baselines_are_shown_to_a_script_and_to_a_person(
    warm: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    table = (warm / "table").read_text()
    assert "weak" in table
    assert "ceiling" in table
    assert "gap" in table
    assert "within two standard errors" not in table

    words = ["baselines", "configs/dev.yaml"]
    for setting in [*SMALL, f"cache={warm}"]:
        words += ["--set", setting]
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv(*ONE_CPU)
    code, said = main([*words, "--json"]), capfd.readouterr()
    assert code == 0, said.err
    [line] = said.out.splitlines()  # and nothing else on stdout
    scores = json.loads(line)
    assert scores.keys() == {
        *("weak_acc", "weak_se", "ceiling_acc", "ceiling_se"),
        *("gap", "gap_se", "majority", "seeds", "split"),
    }
    assert scores["gap"] == pytest.approx(scores["ceiling_acc"] - scores["weak_acc"])
    assert 0 < scores["gap_se"] < scores["gap"] / 2
    assert (scores["seeds"], scores["split"]) == (2, "search")
    assert 0.5 <= scores["majority"] < scores["weak_acc"] < scores["ceiling_acc"] <= 1
    assert 0 < scores["ceiling_se"] < 0.1
