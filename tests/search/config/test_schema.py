import hashlib
import json
from pathlib import Path

import pytest
import yaml

from search.config.load import dump_config, load_config
from search.config.schema import RunConfig
from trainers.component import Component
from trainers.components.students import BagOfWords, Full, Lora, Probe
from trainers.method import Method


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[3] / "configs").glob("*.yaml")), ids=str)
def test_every_config_of_the_repository_loads(path: Path) -> None:
    assert isinstance(load_config(path), RunConfig)


def test_naive_is_the_plain_method_with_the_ceiling_s_optimiser(config: RunConfig) -> None:
    assert config.naive == Method(optim=config.strong.optim)


@pytest.mark.parametrize(
    ("written", "student"),
    [
        ("{kind: full}", Full()),
        ("{kind: lora, rank: 4}", Lora(rank=4)),
        ("{kind: probe, layer: 0.5}", Probe(layer=0.5)),
    ],
)
def test_naive_is_trained_as_the_ceiling_whatever_its_student(
    dev: Path, written: str, student: Component
) -> None:
    config = load_config(dev, [f"weak.student={written}", f"strong.student={written}"])
    assert config.weak.student == config.strong.student == student
    assert config.naive == Method(student=student, optim=config.strong.optim)


def test_a_bag_of_words_teaches_and_never_learns_from_weak_labels(dev: Path) -> None:
    assert load_config(dev, ["weak.student.kind=bag_of_words"]).weak.student == BagOfWords()
    with pytest.raises(ValueError, match=r"strong\.student.*bag_of_words") as caught:
        load_config(dev, ["strong.student.kind=bag_of_words"])
    assert "\n" not in str(caught.value)
    assert "probe" in str(caught.value)


def test_the_digest_changes_with_a_setting_and_not_with_the_cache(dev: Path) -> None:
    digest = load_config(dev).sha256
    assert load_config(dev, ["cache=/elsewhere"]).sha256 == digest
    assert load_config(dev, ["search.trials=45"]).sha256 != digest
    assert load_config(dev, ["seed=1"]).sha256 != digest


def test_seeds_of_two_runs_never_meet(dev: Path) -> None:
    def seeds(seed: int) -> set[int]:
        config = load_config(dev, [f"seed={seed}", "baselines.seeds=64", "confirm.seeds=64"])
        baselines = range(config.first_seed, config.first_seed + config.supervisors)
        confirmation = set(config.confirm_seeds())
        assert len(confirmation) == 64
        assert not confirmation & {*baselines, config.search_seed()}  # fresh
        return confirmation | {*baselines, config.search_seed()}

    assert not seeds(0) & seeds(1)


def test_a_supervisor_is_one_weak_model_or_a_panel_of_its_own(dev: Path) -> None:
    sizes = {"baselines.seeds=3", "confirm.seeds=4"}
    alone, panels = (load_config(dev, [*sizes, *more]) for more in ([], ["weak.panel.size=5"]))
    assert (alone.supervisors, alone.weak_models, alone.abilities.panel) == (7, 7, False)
    assert (panels.supervisors, panels.weak_models, panels.abilities.panel) == (7, 35, True)
    assert not set(panels.confirm_seeds()) & set(range(panels.first_seed, panels.first_seed + 35))


def taught(config: RunConfig, seeds: list[int]) -> list[int]:
    return [config.supervisor(seed) for seed in seeds]


def test_the_confirmation_has_supervisors_that_nothing_was_chosen_on(dev: Path) -> None:
    config = load_config(dev, ["baselines.seeds=3", "confirm.seeds=6", "replication.seeds=6", "seed=2"])
    assert (config.supervisors, config.search_seed(), config.supervisor(config.search_seed())) == (
        9,
        20_000,
        0,
    )
    assert taught(config, config.replication_seeds()) == [1, 2, 0, 1, 2]
    assert taught(config, config.confirm_seeds()) == [3, 4, 5, 6, 7, 8]
    assert len({config.search_seed(), *config.replication_seeds()}) == 6


def test_seeds_of_the_confirmation_are_spread_evenly_over_fewer_supervisors(dev: Path) -> None:
    config = load_config(dev, ["baselines.seeds=3", "confirm.seeds=6", "confirm.supervisors=2", "seed=2"])
    assert taught(config, config.confirm_seeds()) == [3, 4, 3, 4, 3, 4]
    assert len(set(config.confirm_seeds())) == 6


def test_rounds_take_turns_by_supervisor_where_asked(dev: Path) -> None:
    config = load_config(dev, ["baselines.seeds=3", "search.supervisors=alternate"])
    seeds = [config.search_seed(number) for number in (1, 2, 3, 4)]
    assert taught(config, seeds) == [0, 1, 2, 0]
    assert not set(seeds) & set(config.replication_seeds())  # a replicate is no repetition
    shared = load_config(dev, ["baselines.seeds=3"])
    assert {shared.search_seed(number) for number in (1, 2, 3, 4)} == {shared.first_seed}


@pytest.mark.parametrize("mode", ["shared", "alternate"])
@pytest.mark.parametrize(("seeds", "supervisors"), [(2, 2), (2, 64), (64, 2), (64, 64)])
def test_all_seeds_lie_within_those_of_the_run(dev: Path, mode: str, seeds: int, supervisors: int) -> None:
    config = load_config(
        dev,
        [
            f"baselines.seeds={seeds}",
            f"confirm.supervisors={supervisors}",
            "confirm.seeds=64",
            "replication.seeds=64",
            f"search.supervisors={mode}",
        ],
    )
    before = {config.search_seed(number) for number in range(1, 200)} | set(config.replication_seeds())
    assert len(set(config.confirm_seeds())) == 64
    assert not before & set(config.confirm_seeds())
    assert max(before | set(config.confirm_seeds())) < 10_000


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            ["baselines.seeds=4", "confirm.seeds=4", "baselines.own_rows=201"],
            "need 1608 examples, but task.splits.weak_train has 1600: set it to at most 200",
        ),
        (
            ["baselines.seeds=2", "confirm.seeds=2", "baselines.own_rows=201", "weak.panel.size=3"],
            r", each of the 3 models of a panel\) need 2412 .* set it to at most 133",
        ),
        (["weak.panel={size: 2, pooling: weighted}"], "pooling weighted needs a size of at least 3, got 2: "),
    ],
)
def test_supervisors_that_cannot_be_are_refused(dev: Path, settings: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        load_config(dev, settings)


def test_torch_alone_trains_no_gang(dev: Path) -> None:
    with pytest.raises(ValueError, match=r"engine\.backend torch trains in one process, got 2: set"):
        load_config(dev, ["engine.backend=torch", "trial.processes=2"])
    assert load_config(dev, ["trial.processes=2"]).engine.runs_on(2) == "deepspeed"


def test_a_run_of_a_version_with_fewer_settings_has_the_same_digest(dev: Path, tmp_path: Path) -> None:
    config = load_config(dev)
    settings = yaml.safe_load(dump_config(config))
    del settings["search"]["sampler"]  # as an earlier version wrote config.yaml, and made its digest of it
    earlier = {
        key: value for key, value in settings.items() if key not in ("cache", "tracking", "faults", "report")
    }
    sha256 = hashlib.sha256(json.dumps(earlier, separators=(",", ":")).encode()).hexdigest()
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    read = load_config(tmp_path / "config.yaml")
    assert read == config
    assert read.sha256 == config.sha256 != sha256
    assert read.has_sha256(sha256)
    assert read.has_sha256(config.sha256)
    assert not load_config(tmp_path / "config.yaml", ["seed=5"]).has_sha256(sha256)
