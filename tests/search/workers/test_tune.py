"""Workers that are lost, told by a real Tuner to a real director."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from ray import tune
from ray.tune.utils.object_cache import _ObjectCache

from cluster.patience import WaitTooLongError
from search.config.schema import RunConfig
from search.ledger.events import TrialEnded, WorkerLost
from search.ledger.log import read_ledger
from search.ledger.record import Record
from search.policy.faults import FaultConfig
from search.workers.member import Work
from search.workers.remote_grader import RemoteGrader
from search.workers.shared_arrays import SharedArrays
from search.workers.tune import _DirectorScheduler, _FirstError, run_trials
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


class Stuck(NoTraining):
    """Workers that never become ready for t00001."""

    def setup(self, config: dict[str, Any]) -> None:
        if config["trial"] == "t00001":
            time.sleep(1e6)
        super().setup(config)


def searched(
    config: RunConfig, out: Path, runner: type[NoTraining], every_step: Callable[[], None] = lambda: None
) -> Record:
    """Run a campaign in such workers to its end; its record."""
    record, ledger = begun(out)
    director = new_director(config, out, record, ledger, RemoteGrader(labels(), labels()))
    work = Work(config=config, materials=None, shared=SharedArrays(), checkpoints=out)  # type: ignore[arg-type]
    try:
        run_trials(director, work, 1, every_step, runner)
        assert director.done
    finally:
        director.close()
        ledger.close()
    return record


def test_idle_workers_are_kept_for_the_next_trial(tmp_path: Path) -> None:
    work = Work(config=configured(1, 3), materials=None, shared=Mock(), checkpoints=tmp_path)  # type: ignore[arg-type]
    needs = work.config.trial.needs.resources
    trial = Mock(placement_group_factory=tune.PlacementGroupFactory([needs]), trial_id="t")
    kept = _ObjectCache(may_keep_one=True)  # as Tune makes it
    actors = SimpleNamespace(_live_actors_to_ray_actors_resources={None: (object(), None)})
    inner = SimpleNamespace(_actor_cache=kept, _actor_manager=actors, _trial_to_actor={})
    controller = SimpleNamespace(get_live_trials=lambda: [trial], _tune_controller=inner)
    trial.is_finished.return_value = False
    scheduler = _DirectorScheduler(Mock(), _FirstError(), set(), work, concurrent=3)
    for _ in range(2):  # turns of Tune's loop
        scheduler.choose_trial_to_run(controller)
    same = tune.PlacementGroupFactory([needs])
    assert [kept.cache_object(same, worker) for worker in range(4)] == [True, True, True, False]
    assert list(kept.flush_cached_objects()) == []


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_a_worker_that_is_never_ready_is_replaced_and_its_method_not_judged(tmp_path: Path) -> None:
    faults = FaultConfig(retries=0, start_limit_s=5)
    config = configured(TRIALS, workers=1).model_copy(update={"faults": faults})
    ledger = tmp_path / "ledger.jsonl"

    def until_the_next_trial() -> None:
        if ledger.is_file() and '"trial":"t00002"' in ledger.read_text():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        searched(config, tmp_path, Stuck, until_the_next_trial)
    events = read_ledger(ledger)
    [lost] = [event for event in events if isinstance(event, WorkerLost)]
    assert (lost.trial, lost.begun) == ("t00001", True)
    assert lost.cause == "it was not ready within faults.start_limit_s (5 s)"
    failed = [event for event in events if isinstance(event, TrialEnded) and event.state == "failed"]
    assert [(end.trial, end.judged) for end in failed] == [("t00001", False)]
    assert str(failed[0].cause).startswith(lost.cause)


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_a_node_that_never_comes_ends_the_run_after_it_was_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = configured(TRIALS, workers=1)
    larger = config.trial.model_copy(update={"cpus": 64.0})
    config = config.model_copy(update={"trial": larger, "faults": FaultConfig(cluster_limit_s=5)})
    with pytest.raises(WaitTooLongError) as caught:
        searched(config, tmp_path, NoTraining)
    awaited = "room in the cluster for trial t00001 (trial.cpus 64, trial.gpus 0)"
    assert str(caught.value) == (
        f"{awaited} did not come within faults.cluster_limit_s (5 s); add the nodes or free them, then resume"
    )
    assert f"waiting for {awaited}, for " in caplog.text


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_only_a_worker_in_which_a_trial_had_begun_counts_against_its_retries(tmp_path: Path) -> None:
    config = configured(TRIALS, workers=1).model_copy(update={"faults": FaultConfig(retries=0)})
    record = searched(config, tmp_path, lossy(tmp_path))
    events = read_ledger(tmp_path / "ledger.jsonl")
    lost = [(event.trial, event.begun) for event in events if event.event == "worker_lost"]
    assert lost == [("t00002", False), ("t00003", True)]
    states = [trial.state for trial in record.of_purpose("search")]
    assert states.count("failed") == 1
    assert record.trials["t00003"].state == "failed"
    assert "its worker was lost" in str(record.trials["t00003"].cause)
