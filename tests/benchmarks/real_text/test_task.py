"""A task of real text from its data to its figures."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.real_text.settings import RealTextSettings
from benchmarks.real_text.task import figures_of
from tests.small_runs.settings import ONE_CPU


def settings(encoder: Path) -> RealTextSettings:
    return RealTextSettings(
        encoder=str(encoder),
        minutes=0.1,
        trials=20,
        max_length=24,
        weak_rows=60,
        transfer=120,
        search=120,
        test=120,
        supervisors=2,
        fresh=2,
    )


@pytest.fixture(autouse=True)
def one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(*ONE_CPU)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_naive_and_best_are_those_of_the_run(shared: Path, minilm: Path, tmp_path: Path) -> None:
    config = settings(minilm).config(shared / "data", "agnews_bt", pairs=False, cache=tmp_path / "cache")
    found = figures_of(config, tmp_path / "folder", searched=True, hindsight=True)
    run = json.loads((tmp_path / "folder" / "run" / "result.json").read_text())
    assert found["weak"]["acc"] == pytest.approx(run["baselines"]["weak_acc"])
    assert found["ceiling"]["per_seed"] == pytest.approx(run["baselines"]["ceiling_per_seed"])
    # This process and a worker of the run train the same students on the same supervisors' labels.
    assert found["naive"]["per_seed"] == pytest.approx([seed["pgr"] for seed in run["naive"]["per_seed"]])
    best = found["best"]
    assert best["pgr"] == run["best"]["pgr"] == pytest.approx(sum(best["per_seed"]) / best["seeds"])
    assert best["over_naive"] == pytest.approx(best["pgr"] - found["naive"]["pgr"])
    rival = found["methods"][best["over_single"]["name"]]
    assert best["over_single"]["pgr"] == pytest.approx(best["pgr"] - rival["pgr"])
    assert rival["pgr"] == max(one["pgr"] for one in found["methods"].values() if one["single"])
    tried = [one["pgr"] for one in found["hindsight"]]
    assert tried == sorted(tried, reverse=True)
    (same,) = (one for one in found["hindsight"] if one["method"] == best["method"])
    assert same["per_seed"] == pytest.approx(best["per_seed"])


@pytest.mark.slow
def test_a_task_without_a_gap_is_not_searched(
    write: Callable[..., None], minilm: Path, tmp_path: Path
) -> None:
    rng = random.Random(0)
    write(700, test_rows=210, label=lambda i: rng.randrange(2))
    config = settings(minilm).config(tmp_path, "made_up", pairs=False, cache=tmp_path / "cache")
    found = figures_of(config, tmp_path / "folder", searched=True, hindsight=False)
    assert (found["naive"], found["best"], found["methods"]) == (None, None, {})
    assert not found["search_gap"]["clear"]
    assert not (tmp_path / "folder").exists()
