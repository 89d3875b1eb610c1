"""Where a run that another machine began may send anything: to addresses that this machine sets."""

import json
import os
from pathlib import Path
from typing import Any

import yaml

from search.config.schema import RunConfig

# Settings that say where keys, prompts or results go, and the environment's variable that allows a value.
ENDPOINTS = {"agent.base_url": "ANTHROPIC_BASE_URL", "optuna.storage": "OPTUNA_STORAGE"}


def check_endpoints(url: str, pulled: Path, here: Path, config: RunConfig | None) -> None:
    """Raise ValueError if a pulled config.yaml sets an endpoint that this machine does not.

    This machine sets what is in its own config.yaml `here`, in the user's `config`, and in the environment.
    """
    own = [_settings(here)]
    if config is not None:
        own.append(json.loads(config.model_dump_json()))
    theirs = _settings(pulled)
    for place, variable in ENDPOINTS.items():
        value = _at(theirs, place)
        if value is not None and value not in [os.environ.get(variable), *(_at(one, place) for one in own)]:
            raise ValueError(
                f"{url}: its config.yaml sets {place} to {str(value)[:200]!r}, and nothing on this machine "
                f"does; set {variable} to that if you trust it"
            )


def _settings(file: Path) -> Any:
    try:
        return yaml.safe_load(file.read_bytes())
    except (FileNotFoundError, yaml.YAMLError, ValueError):
        return None  # refused where the run is loaded


def _at(settings: Any, place: str) -> Any:
    for name in place.split("."):
        settings = settings.get(name) if isinstance(settings, dict) else None
    return settings
