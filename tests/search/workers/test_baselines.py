"""Baselines that are lost or stuck, in tasks of a real Ray that train nothing."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cluster.patience import WaitTooLongError
from search.config.schema import RunConfig
from search.policy.faults import FaultConfig
from search.workers import baselines
from search.workers.baselines import BaselineTrainings, Progress
from search.workers.inputs import read_inputs, trainings
from search.workers.shared_arrays import SharedArrays
from tests.small_runs.untrained import configured
from trainers.cache import Arrays
from trainers.component import Component
from trainers.components.students import Full, Probe
from trainers.data.dataset import load_task
from trainers.trial.baselines import BaselineJob
from trainers.trial.model_data import unshared

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("local_ray")]

STOPS_ONCE, DIES_ONCE, DIES, FAILS = 10, 11, 12, 13  # seeds of such baselines
FULL, PROBE = Full(), Probe()


def misfortunes() -> Callable[..., Iterator[Any]]:
    """Stands in for a training; the seed decides what goes wrong.

    Ray copies a function within a function: so a worker imports neither this file nor torch.
    """
    stops_once, dies_once, dies, fails, progress = STOPS_ONCE, DIES_ONCE, DIES, FAILS, SimpleNamespace

    def train(job: Any, data: Any, marks: Path, arrays: Any, trial: Any, reads: bool) -> Iterator[Any]:
        yield None
        if reads:
            (marks / f"reads-{job.role}-{job.seed}").touch()
        (marks / f"began-{job.role}-{job.seed}").touch()
        first = not (marks / str(job.seed)).exists()
        (marks / str(job.seed)).touch()
        if job.seed == stops_once and first:
            while not (marks / "begun").exists():  # until then it would only await its place
                time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGSTOP)
        if job.seed == dies or (job.seed == dies_once and first):
            os._exit(1)
        if job.seed == fails:
            raise KeyError("a bug")
        yield progress(share=0.25, seconds=0.25, predictions=None)
        yield progress(
            share=1.0, seconds=0.5, predictions={"transfer": np.full(2, job.seed, dtype=np.float32)}
        )

    return train


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    monkeypatch.setattr(baselines, "_train", misfortunes())
    faults = FaultConfig(step_limit_s=10, retries=1)
    return configured(4, workers=1).model_copy(update={"cache": str(tmp_path), "faults": faults})


def trained(
    config: RunConfig,
    *seeds: int,
    student: Component = FULL,
    every_poll: Callable[[int], None] = lambda unfinished: None,
) -> dict[int, tuple[Arrays, float]]:
    """The weak baselines of these seeds: predictions and seconds."""
    done: dict[int, tuple[Arrays, float]] = {}
    shares: dict[int, float] = {}
    jobs: Any = [SimpleNamespace(role="weak", student=student, seed=seed) for seed in seeds]

    def told(job: BaselineJob, progress: Progress) -> None:
        if progress.predictions is not None:
            assert shares.pop(job.seed) == 0.25
            done[job.seed] = progress.predictions, progress.seconds
        else:
            shares[job.seed] = progress.share

    def watched(unfinished: int) -> None:
        if any(one.job.seed == STOPS_ONCE and one.began is not None for one in trainings._running.values()):
            (config.cache_dir / "begun").touch()
        every_poll(unfinished)

    no_data: Any = "no data"
    trainings = BaselineTrainings(config, SharedArrays(), told)
    trainings.run([(job, no_data) for job in jobs], watched)
    return done


def test_a_stuck_baseline_and_a_lost_one_start_again_and_the_others_go_on(
    config: RunConfig, caplog: pytest.LogCaptureFixture
) -> None:
    done = trained(config, 0, STOPS_ONCE, DIES_ONCE)
    assert {seed: (arrays["transfer"].tolist(), s) for seed, (arrays, s) in done.items()} == {
        seed: ([seed, seed], 0.5) for seed in (0, STOPS_ONCE, DIES_ONCE)
    }
    died, stuck = sorted(line for line in caplog.messages if "again" in line)[::-1]
    assert died.startswith("the baseline weak of seed 11 starts again: its worker died (")
    assert stuck == (
        "the baseline weak of seed 10 starts again: it did not finish within faults.step_limit_s (10 s)"
    )


def test_a_baseline_lost_too_often_ends_the_run_in_one_line(config: RunConfig) -> None:
    with pytest.raises(RuntimeError, match="the baseline weak of seed 12 was lost 2 times, more") as caught:
        trained(config, DIES)
    assert str(caught.value).endswith("Fix the cause and start again: finished baselines are kept")
    assert "\n" not in str(caught.value)


def test_a_baseline_that_fails_says_how(config: RunConfig) -> None:
    with pytest.raises(RuntimeError, match="the baseline weak of seed 13 failed: KeyError: 'a bug'"):
        trained(config, FAILS)


def test_a_gpu_that_never_comes_ends_the_wait(config: RunConfig) -> None:
    trial, faults = config.trial.model_copy(update={"gpus": 1.0}), FaultConfig(cluster_limit_s=1)
    without = config.model_copy(update={"trial": trial, "faults": faults})
    with pytest.raises(WaitTooLongError, match=r"room in the cluster for a baseline \(.*trial\.gpus 1\)"):
        trained(without, 0)


def test_of_a_role_s_probes_the_first_trains_alone_even_if_it_is_lost(
    config: RunConfig, tmp_path: Path
) -> None:
    left: list[int] = []
    done = trained(config, DIES_ONCE, 0, 1, student=PROBE, every_poll=left.append)
    began = {seed: (tmp_path / f"began-weak-{seed}").stat().st_mtime for seed in done}
    assert set(began) == {DIES_ONCE, 0, 1}
    assert min(began[0], began[1]) > began[DIES_ONCE]
    assert [path.name for path in tmp_path.glob("reads-*")] == [f"reads-weak-{DIES_ONCE}"]
    assert left[0] == 3
    assert left[-1] == 0


def test_who_computes_features_says_how_long_it_will_take_before_it_begins(tmp_path: Path) -> None:
    probe = configured(2, workers=1).model_copy(update={"cache": str(tmp_path)})
    probe = probe.model_copy(update={"strong": probe.strong.model_copy(update={"student": PROBE})})
    inputs = read_inputs(probe, load_task(probe.task))
    digests = dict.fromkeys((probe.weak.model, probe.strong.model), "w")
    ceiling = next(one for one in trainings(probe, digests, inputs.data) if one.job.role == "ceiling")
    given = ceiling.job, ceiling.data, tmp_path, unshared, probe.trial
    told = [progress.share for progress in baselines._train(*given, reads=False) if progress is not None]
    assert told == [0.01, 0.05, 0.25, 1.0]
    none, first, *others = baselines._train(*given, reads=True)
    assert none is None
    assert first is not None
    assert first.share == 0
    assert first.due_s > 0
    assert [progress.share for progress in others if progress is not None] == told
