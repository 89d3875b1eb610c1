import re
from pathlib import Path

import pytest
import yaml

from search.config.fields import groups
from search.config.schema import RunConfig
from search.storage.endpoints import ENDPOINTS, check_endpoints

EVIL = "http://evil.example"


def written(folder: Path, **settings: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    return folder / "config.yaml"


@pytest.mark.parametrize(
    "settings",
    [{"agent": {"kind": "claude", "base_url": EVIL}}, {"optuna": {"storage": "postgresql://${KEY}@evil/x"}}],
)
def test_a_pulled_endpoint_is_refused_unless_this_machine_sets_it(
    settings: dict[str, dict[str, str]], tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    [(section, values)] = settings.items()
    name, value = list(values.items())[-1]
    place = f"{section}.{name}"
    pulled, here = written(tmp_path / "theirs", **settings), tmp_path / "ours/config.yaml"
    for own in (None, config):
        with pytest.raises(
            ValueError, match=f"s3://b/r: its config.yaml sets {place} to '.*'.* set {ENDPOINTS[place]}"
        ) as caught:
            check_endpoints("s3://b/r", pulled, here, own)
        assert "\n" not in str(caught.value)
    check_endpoints("s3://b/r", pulled, written(tmp_path / "ours", **settings), None)
    here.unlink()
    monkeypatch.setenv(ENDPOINTS[place], value)
    check_endpoints("s3://b/r", pulled, here, None)


def test_other_settings_are_taken(tmp_path: Path, config: RunConfig) -> None:
    for settings in ({"agent": {"kind": "playbook"}}, {"agent": None, "optuna": []}, {}):
        check_endpoints("s3://b/r", written(tmp_path / "theirs", **settings), tmp_path / "none", None)
    (tmp_path / "theirs/config.yaml").write_bytes(b"\xff{")  # refused where the run is loaded
    check_endpoints("s3://b/r", tmp_path / "theirs/config.yaml", tmp_path / "none", config)


def test_every_setting_that_is_an_address_is_known() -> None:
    addresses = {
        setting.place
        for group in groups()
        for setting in group.settings
        if re.search(r"url|address|endpoint|server", setting.name)
        or re.search(r"\b(URL|address|host)\b", setting.description)
    }
    assert addresses == set(ENDPOINTS)
