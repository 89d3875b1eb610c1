import json
import os
import subprocess
import sys

import pytest

from cluster.environment import blanks, hidden, inherited, is_secret, lent, without_secrets

SECRETS = [
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_STORAGE_CONNECTION_STRING",
    "DATABASE_PASSWORD",
    "GH_PAT",
    "GITHUB_TOKEN",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "OPTUNA_DB",
    "PGPASSWORD",
    "SENTRY_DSN",
    "SLURM_JWT",
    "WANDB_API_KEY",
    "my_apikey",
]
NEEDED = [
    "CUDA_VISIBLE_DEVICES",
    "HF_HOME",
    "HOME",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "NCCL_SOCKET_IFNAME",
    "OMP_NUM_THREADS",
    "PATH",
    "PWD",
    "PYTHONPATH",
    "RAY_AUTH_MODE",
    "RAY_AUTH_TOKEN",
    "TOKENIZERS_PARALLELISM",
    "TORCHINDUCTOR_CACHE_DIR",
]


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_stays_with_the_driver(name: str) -> None:
    assert is_secret(name)
    assert inherited({name: "x"}) == {}
    assert inherited({name: "x"}, [name]) == {name: "x"}
    assert blanks({name: "x"}) == {name: ""}
    assert blanks({name: "x"}, [name]) == {}


@pytest.mark.parametrize("name", NEEDED)
def test_workers_have_what_they_need(name: str) -> None:
    assert not is_secret(name)
    assert inherited({name: "x"}) == {name: "x"}
    assert blanks({name: "x"}) == {}


def test_a_name_that_says_nothing_stays_with_the_driver() -> None:
    assert inherited({"DATABASE_URL": "postgresql://me:hush@host/db"}) == {}


def test_a_proxy_reaches_workers_without_a_password_in_it() -> None:
    proxies = {"HTTPS_PROXY": "http://me:hush@proxy:3128", "no_proxy": "localhost"}
    assert inherited(proxies) == {"no_proxy": "localhost"}
    assert inherited(proxies, ["HTTPS_PROXY"]) == proxies


def test_a_jobs_environment_for_workers_loses_its_secrets() -> None:
    job = {
        "runtime_env": {"env_vars": {"WANDB_API_KEY": "hush", "A": "b", "HF_TOKEN": "c"}},
        "metadata": {"d": "e"},
    }
    kept = json.loads(without_secrets(json.dumps(job), ["HF_TOKEN"]))
    assert kept == {"runtime_env": {"env_vars": {"A": "b", "HF_TOKEN": "c"}}, "metadata": {"d": "e"}}
    assert json.loads(without_secrets('{"runtime_env": null}')) == {"runtime_env": None}


def test_what_is_hidden_reaches_no_process_and_is_back_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUSH", "secret")
    shown = [sys.executable, "-c", "import os; print(os.environ.get('HUSH'))"]
    with hidden(["HUSH", "NOT_SET"]):
        environment = os.environ.copy()  # as Ray makes it
        told = subprocess.run(shown, env=environment, capture_output=True, text=True, check=True)
        assert told.stdout == "None\n"
        os.environ["ADDED_MEANWHILE"] = "stays"
    assert os.environ["HUSH"] == "secret"
    assert os.environ.pop("ADDED_MEANWHILE") == "stays"


def test_a_lent_variable_reaches_what_starts_in_the_block_and_no_later_process() -> None:
    before = os.environ.copy()
    with lent({"LENT": "a", "HOME": "b"}):
        environment = os.environ.copy()  # as Ray makes it
        assert (environment["LENT"], environment["HOME"]) == ("a", "b")
        assert os.environb[b"LENT"] == b"a"
        os.environ["ADDED_MEANWHILE"] = "stays"
    assert os.environ.pop("ADDED_MEANWHILE") == "stays"
    assert os.environ.copy() == before
