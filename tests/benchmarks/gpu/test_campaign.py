import json
import sys
from pathlib import Path

import pytest

from benchmarks.gpu.campaign import stages, within


def test_the_stages_of_a_search_that_was_interrupted(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    assert stages(ledger) == {}
    happened = [
        (100, "run_started"),
        (130, "baselines_ready"),
        (150, "rung_reached"),
        (151, "trial_ended"),
        (170, "rung_reached"),
        (171, "trial_ended"),
        (180, "interrupted"),
    ]
    ledger.write_text("".join(json.dumps({"at": at, "event": event}) + "\n" for at, event in happened))
    assert stages(ledger) == {
        "baselines_after_s": 30,
        "first_rung_after_s": 50,
        "last_event_after_s": 80,
        "ended": 2,
    }


@pytest.mark.slow
def test_a_command_that_is_too_slow_is_interrupted(capfd: pytest.CaptureFixture[str]) -> None:
    slow = "import sys, time\ntry:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    sys.exit(130)"
    assert within([sys.executable, "-c", slow], 2) == 130
    assert "time.sleep(60)" in capfd.readouterr().out  # the list of what ran
    assert within([sys.executable, "-c", ""], 60) == 0
