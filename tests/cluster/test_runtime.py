import json
import os
import signal

import pytest
import ray

from cluster.runtime import WORKER_SETTINGS, ray_runtime, worker_settings


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


@pytest.mark.slow
def test_signals_stay_with_who_handled_them_and_a_jobs_environment_does_not_clash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    job = {"runtime_env": {"env_vars": {"TOKENIZERS_PARALLELISM": "true"}}, "metadata": {}}
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps(job))
    told: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    try:
        with ray_runtime():
            os.kill(os.getpid(), signal.SIGTERM)
            seen = ray.get(ray.remote(lambda: os.environ["TOKENIZERS_PARALLELISM"]).remote(), timeout=60)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert told == [signal.SIGTERM]
    assert seen == "true"
    assert not ray.is_initialized()
