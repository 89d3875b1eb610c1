import hashlib
import json
from pathlib import Path

import pytest
import yaml

from search.config.load import dump_config, load_config
from search.config.schema import RunConfig
from trainers.method import Method


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[3] / "configs").glob("*.yaml")), ids=str)
def test_every_config_of_the_repository_loads(path: Path) -> None:
    assert isinstance(load_config(path), RunConfig)


def test_naive_is_the_plain_method_with_the_ceiling_s_optimiser(config: RunConfig) -> None:
    assert config.naive == Method(optim=config.strong.optim)


def test_the_digest_changes_with_a_setting_and_not_with_the_cache(dev: Path) -> None:
    digest = load_config(dev).sha256
    assert load_config(dev, ["cache=/elsewhere"]).sha256 == digest
    assert load_config(dev, ["search.trials=45"]).sha256 != digest
    assert load_config(dev, ["seed=1"]).sha256 != digest


def test_seeds_of_two_runs_never_meet(dev: Path) -> None:
    def seeds(seed: int) -> set[int]:
        config = load_config(dev, [f"seed={seed}", "baselines.seeds=64", "confirm.seeds=64"])
        baselines = range(config.first_seed, config.first_seed + 64)
        confirmation = set(config.confirm_seeds())
        assert len(confirmation) == 64
        assert not confirmation & {*baselines, config.search_seed()}  # fresh
        return confirmation | {*baselines, config.search_seed()}

    assert not seeds(0) & seeds(1)


def test_confirmation_seeds_are_spread_evenly_over_the_supervisors(dev: Path) -> None:
    config = load_config(dev, ["baselines.seeds=3", "confirm.seeds=6", "seed=2"])
    assert sorted(seed % 3 for seed in config.confirm_seeds()) == [0, 0, 1, 1, 2, 2]


def test_a_run_of_a_version_with_fewer_settings_has_the_same_digest(dev: Path, tmp_path: Path) -> None:
    config = load_config(dev)
    settings = yaml.safe_load(dump_config(config))
    del settings["search"]["sampler"]  # as an earlier version wrote config.yaml, and made its digest of it
    earlier = {key: value for key, value in settings.items() if key not in ("cache", "tracking", "faults")}
    sha256 = hashlib.sha256(json.dumps(earlier, separators=(",", ":")).encode()).hexdigest()
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    read = load_config(tmp_path / "config.yaml")
    assert read == config
    assert read.sha256 == config.sha256 != sha256
    assert read.has_sha256(sha256)
    assert read.has_sha256(config.sha256)
    assert not load_config(tmp_path / "config.yaml", ["seed=5"]).has_sha256(sha256)
