import json
import os
import signal
import threading
from pathlib import Path
from secrets import token_hex

import numpy as np
import pytest
import ray
from ray.cluster_utils import Cluster

from cluster.access import with_token
from cluster.runtime import WORKER_SETTINGS, ray_runtime, worker_settings
from tests.small_runs.exposure import shown_to
from tests.small_runs.settings import ONE_CPU


def test_workers_get_our_settings_outside_a_job() -> None:
    assert worker_settings({}) == WORKER_SETTINGS
    assert (
        worker_settings({"RAY_JOB_CONFIG_JSON_ENV_VAR": json.dumps({"runtime_env": None})}) == WORKER_SETTINGS
    )


def test_what_the_job_sets_is_left_to_it() -> None:
    job = {"runtime_env": {"env_vars": {"TOKENIZERS_PARALLELISM": "true", "A": "b"}}, "metadata": {}}
    assert worker_settings({"RAY_JOB_CONFIG_JSON_ENV_VAR": json.dumps(job)}) == {
        "HF_HUB_DISABLE_PROGRESS_BARS": "1"
    }


def test_a_ray_that_is_not_up_in_time_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray gives a node 30 s to start, and raises a bare Exception."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    def never(*_: object, **__: object) -> None:
        raise Exception("The current node timed out during startup. This could happen because of the GCS.")

    monkeypatch.setattr(ray, "init", never)
    with pytest.raises(
        RuntimeError, match=r"did not start .*\(The current node timed out .*\).*try again.*logs$"
    ):
        ray_runtime().__enter__()


def sigterm_is_handled() -> bool:
    """Whether the operating system calls a handler of this process, whatever Python has recorded."""
    [caught] = [
        line.split()[1]
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("SigCgt")
    ]
    return bool(int(caught, 16) & 1 << (signal.SIGTERM - 1))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux' /proc")
def test_signals_stay_with_who_handled_them_until_ray_is_down_and_a_jobs_environment_does_not_clash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv(*ONE_CPU)
    job = {"runtime_env": {"env_vars": {"TOKENIZERS_PARALLELISM": "true"}}, "metadata": {}}
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps(job))
    handled: list[bool] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            handled.append(sigterm_is_handled())

    told: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    watching = threading.Thread(target=watch)
    try:
        with ray_runtime():
            os.kill(os.getpid(), signal.SIGTERM)
            seen = ray.get(ray.remote(lambda: os.environ["TOKENIZERS_PARALLELISM"]).remote(), timeout=60)
            assert told == [signal.SIGTERM]
            watching.start()
        over.set()
        watching.join()
        assert sigterm_is_handled()
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert told == [signal.SIGTERM] * 2
    assert np.mean(handled) > 0.5  # Ray alone takes the handler away for nine tenths of the time
    assert seen == "true"
    assert not ray.is_initialized()


@pytest.fixture
def secrets_set(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Keys and passwords in this process's environment, as a user has them there."""
    names = ("ANTHROPIC_API_KEY", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "OPTUNA_PASSWORD", "DATABASE_URL")
    values = {name: token_hex(16) for name in names}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return values


def environ_of() -> str:
    return Path("/proc/self/environ").read_text() + repr(dict(os.environ))


@pytest.mark.slow
def test_no_process_of_a_ray_that_starts_here_is_given_a_secret(
    secrets_set: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv(*ONE_CPU)
    with ray_runtime(["OPTUNA_PASSWORD"]):
        seen = ray.get(ray.remote(environ_of).remote(), timeout=60)
        assert shown_to(secrets_set["OPTUNA_PASSWORD"])  # named by the user: the search finds it
        for name in secrets_set.keys() - {"OPTUNA_PASSWORD"}:
            assert shown_to(secrets_set[name]) == []
            assert secrets_set[name] not in seen
    assert {name: os.environ[name] for name in secrets_set} == secrets_set


@pytest.mark.slow
def test_workers_of_a_cluster_whose_nodes_hold_the_secrets_are_given_none(
    secrets_set: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = {"runtime_env": {"env_vars": {"WANDB_API_KEY": secrets_set["WANDB_API_KEY"]}}, "metadata": {}}
    with with_token():
        spare = {"include_dashboard": False, "no_monitor": True, "include_log_monitor": False}
        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **spare})
        monkeypatch.setenv("RAY_ADDRESS", nodes.address)
        monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps(job))
        try:
            with ray_runtime():
                seen = ray.get(ray.remote(environ_of).remote(), timeout=60)
        finally:
            nodes.shutdown()
    for name in secrets_set.keys() - {"DATABASE_URL"}:  # its name does not say that it is one
        assert secrets_set[name] not in seen
