import json
from pathlib import Path

import pytest

from tests.small_runs.site import Site


@pytest.mark.slow
def test_trained_baselines_are_shown_to_a_script_and_to_a_person(warm: Path, tmp_path: Path) -> None:
    site = Site(tmp_path / "run", warm)
    code, table, errors = site.baselines().wait()
    assert code == 0, errors
    assert "weak" in table
    assert "ceiling" in table

    code, answer, errors = site.baselines("--json").wait()
    assert code == 0, errors
    [line] = answer.splitlines()  # and nothing else on stdout
    scores = json.loads(line)
    assert scores.keys() == {"weak_acc", "weak_se", "ceiling_acc", "ceiling_se", "seeds", "split"}
    assert (scores["seeds"], scores["split"]) == (2, "search")
    assert 0.5 < scores["weak_acc"] < scores["ceiling_acc"] <= 1
