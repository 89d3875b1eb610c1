"""A config file to change, and what is wrong with it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from search.config.load import load_config


@pytest.fixture
def dev(tmp_path: Path, dev_yaml: str) -> Path:
    path = tmp_path / "dev.yaml"
    path.write_text(dev_yaml)
    return path


def changed(path: Path, place: str, value: Any) -> Path:
    """The config with one setting changed, in the file itself."""
    settings = yaml.safe_load(path.read_text())
    node = settings
    *parents, last = place.split(".")
    for parent in parents:
        node = node.setdefault(parent, {})
    node[last] = value
    path.write_text(yaml.safe_dump(settings))
    return path


def complaint(path: Path, *overrides: str) -> str:
    """What is wrong with a config; it is one line that begins with the place."""
    with pytest.raises(ValueError, match=r".") as caught:
        load_config(path, overrides)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(("--set", str(path)))
    return message.removeprefix(f"{path}: ")
