import json

import numpy as np
import pytest

from agents.findings.predictions import unpack
from benchmarks.scale.__main__ import main
from tests.small_runs.no_training import EXAMPLES, GAP, TRUTH, WEAK, predictions


def test_predictions_look_recorded() -> None:
    """Better with more training, different between methods, alike between seeds of one."""

    def pgr(method: str, seed: int, share: float) -> float:
        right = unpack(predictions(method, seed, share), EXAMPLES) == TRUTH
        return (float(right.mean()) - WEAK) / GAP

    methods = [f"m{i}" for i in range(200)]
    first, last, again = (
        np.array([pgr(method, seed, share) for method in methods])
        for seed, share in ((0, 1 / 9), (0, 1.0), (1, 1.0))
    )
    assert predictions("a", 0, 1.0) == predictions("a", 0, 1.0)
    assert last.mean() > first.mean() + 0.1
    assert np.corrcoef(last, again)[0, 1] > 0.7
    # 0.2 between methods, times 1 - e^-3; 0.08 between seeds; 0.05 from 1,000 examples over a gap of 0.3.
    assert last.std() == pytest.approx(np.hypot(0.19, np.hypot(0.08, 0.05)), abs=0.03)


@pytest.mark.slow
def test_sixty_trials_through_the_real_tuner(capsys: pytest.CaptureFixture[str]) -> None:
    figures = main(["--quick"])
    assert json.loads(capsys.readouterr().out) == figures
    assert figures["trials"] == 60
    assert figures["tune"]
    assert all(cost > 0 for cost in figures["driver_s"].values())
    assert figures["ledger_mb"] > 0
    assert figures["resume_s"] < 30
