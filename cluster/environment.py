"""Which variables of the environment a worker inherits: those it needs, and no key or password.

A trial, a baseline and the grader need paths, and settings of libraries and of the GPU. Claude, W&B, object
storage and Optuna's database are the driver's alone.
"""

import contextlib
import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping

JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # the Jobs API's description of a driver's own job

OF_RAY = (
    "RAY_AUTH_MODE",
    "RAY_AUTH_TOKEN",
    "RAY_AUTH_TOKEN_PATH",
)  # without them a worker could not reach its Ray
_HARMLESS = re.compile(  # whole names, then how names may begin
    r"(?:CC|CPATH|CURL_CA_BUNDLE|CXX|HOME|HOSTNAME|LANG|LANGUAGE|LIBRARY_PATH|LOGNAME|PATH|PWD|REQUESTS_CA_BUNDLE"
    r"|SHELL|SSL_CERT_DIR|SSL_CERT_FILE|TEMP|TERM|TMP|TMPDIR|TZ|USER|VIRTUAL_ENV)$"
    r"|CONDA_|CUBLAS_|CUDA|CUDNN_|DATASETS_|DEEPSPEED_|DS_|FI_|GLOO_|GOMP_|HF_|HIP_|HSA_|IBV_|KMP_|LC_|LD_|MALLOC_"
    r"|MIOPEN_|MKL_|NCCL_|NUMEXPR_|NVIDIA_|OMP_|OPENBLAS_|PYTHON|PYTORCH_|RAY_|ROCM_|ROCR_|TOKENIZERS_|TORCH"
    r"|TRANSFORMERS_|TRITON_|TUNE_|UCX_|XDG_"
)
_PROXY = re.compile(r"(?:all|ftp|http|https|no)_proxy$", re.IGNORECASE)
_SECRET = re.compile(
    r"^(?:ANTHROPIC_|AWS_|AZURE_|GOOGLE_|MYSQL_|OPTUNA_|PG|WANDB_)"
    r"|PASSWORD|PASSWD|PASSPHRASE|SECRET|CREDENTIAL|APIKEY"
    r"|(?:^|_)(?:AUTH|DSN|JWT|KEYS?|NETRC|PASS|PAT|PWD|TOKENS?)(?:_|$)",
    re.IGNORECASE,
)


def inherited(environment: Mapping[str, str], passed_on: Collection[str] = ()) -> dict[str, str]:
    """The part of an environment that workers may see. passed_on: further names, which the user chose."""
    return {
        name: value for name, value in environment.items() if name in passed_on or _is_harmless(name, value)
    }


def _is_harmless(name: str, value: str) -> bool:
    if name in OF_RAY:
        return True
    if is_proxy(name):
        return "@" not in value  # a proxy's user and password
    return bool(_HARMLESS.match(name)) and not is_secret(name)


def is_proxy(name: str) -> bool:
    """Whether a variable names a proxy, perhaps with its password."""
    return _PROXY.match(name) is not None


def is_secret(name: str) -> bool:
    """Whether a variable's name says that it holds a key, a password or the like."""
    return name not in (*OF_RAY, "PWD") and _SECRET.search(name) is not None


def blanks(environment: Mapping[str, str], passed_on: Collection[str] = ()) -> dict[str, str]:
    """An empty value for each secret of an environment, for workers whose nodes may hold the same secrets."""
    return {name: "" for name in environment if is_secret(name) and name not in passed_on}


def without_secrets(job: str, passed_on: Collection[str] = ()) -> str:
    """A job's description whose environment for workers holds no secret; the driver has read them by now."""
    described = json.loads(job)
    settings = (described.get("runtime_env") or {}).get("env_vars") or {}
    for name in [name for name in settings if is_secret(name) and name not in passed_on]:
        del settings[name]
    return json.dumps(described)


@contextlib.contextmanager
def hidden(names: Iterable[str]) -> Iterator[None]:
    """Keep variables from processes that start with a copy of `os.environ` in this block, as Ray's do.

    Only Python's copy of the environment changes. The storage's client, in another thread, reads the C
    library's.
    """
    copy = os.environ._data  # type: ignore[attr-defined]  # os.environ.pop would change both
    keys = [os.environ.encodekey(name) for name in names]
    kept = {key: copy.pop(key) for key in keys if key in copy}
    try:
        yield
    finally:
        copy.update(kept)


@contextlib.contextmanager
def lent(settings: Mapping[str, str]) -> Iterator[None]:
    """Give variables to processes that start with a copy of `os.environ` in this block, see `hidden`."""
    copy = os.environ._data  # type: ignore[attr-defined]  # as in hidden
    own = {os.environ.encodekey(name): os.environ.encodevalue(value) for name, value in settings.items()}
    before = {key: copy[key] for key in own if key in copy}
    copy.update(own)
    try:
        yield
    finally:
        for key in own.keys() - before.keys():
            copy.pop(key, None)
        copy.update(before)
