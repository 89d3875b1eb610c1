"""Workers that are lost, told by a real Tuner to a real director."""

import os
from pathlib import Path
from typing import Any

import pytest

from search.ledger.log import read_ledger
from search.policy.faults import FaultConfig
from search.workers.member import Work
from search.workers.remote_grader import RemoteGrader
from search.workers.shared_arrays import SharedArrays
from search.workers.tune import run_trials
from tests.small_runs.no_training import NoTraining
from tests.small_runs.untrained import begun, configured, labels, new_director

TRIALS = 4


def lossy(marks: Path) -> type[NoTraining]:
    """Workers that die at the reset to t00002, and later at a step of t00003, once each."""

    class Lossy(NoTraining):
        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.trial = new_config["trial"]
            self.die_once("t00002")
            return super().reset_config(new_config)

        def step(self) -> dict[str, Any]:
            self.die_once("t00003")
            return super().step()

        def die_once(self, trial: str) -> None:
            if self.trial == trial and not (marks / trial).exists():
                (marks / trial).touch()
                os._exit(1)

    return Lossy


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_only_a_worker_in_which_a_trial_had_begun_counts_against_its_retries(tmp_path: Path) -> None:
    config = configured(TRIALS, workers=1).model_copy(update={"faults": FaultConfig(retries=0)})
    record, ledger = begun(tmp_path)
    director = new_director(config, tmp_path, record, ledger, RemoteGrader(labels(), labels()))
    work = Work(config=config, materials=None, shared=SharedArrays(), checkpoints=tmp_path)  # type: ignore[arg-type]
    run_trials(director, work, 1, lambda: None, lossy(tmp_path))
    director.close()
    ledger.close()
    events = read_ledger(tmp_path / "ledger.jsonl")
    lost = [(event.trial, event.begun) for event in events if event.event == "worker_lost"]
    assert lost == [("t00002", False), ("t00003", True)]
    states = [trial.state for trial in record.of_purpose("search")]
    assert states.count("failed") == 1
    assert record.trials["t00003"].state == "failed"
    assert "its worker was lost" in str(record.trials["t00003"].cause)
    assert director.done
