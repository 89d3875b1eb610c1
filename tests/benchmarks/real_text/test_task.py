"""A task of real text from its data to its figures."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.real_text.settings import RealTextSettings
from benchmarks.real_text.task import figures_of
from benchmarks.real_text.taught import Taught
from search.scoring.pgr import Baselines, Bools
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


@pytest.mark.parametrize(("search", "test"), [(0.5, 0.9), (0.9, 0.5), (0.9, 0.4)])
def test_a_task_without_a_gap_is_not_searched(
    search: float, test: float, write: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """search, test: how often ceilings are right on the splits; supervisors are half of the time."""
    found = {
        split: Baselines(weak=right(0.5), ceiling=right(share))
        for split, share in (("search", search), ("test", test))
    }
    taught = SimpleNamespace(baselines=lambda split: found[split])
    monkeypatch.setattr(Taught, "of", lambda config, console: taught)
    write(700, test_rows=210)
    config = settings(Path("e")).config(tmp_path, "made_up", pairs=False, cache=tmp_path / "cache")
    row = figures_of(config, tmp_path / "folder", searched=True, hindsight=False)
    assert (row["naive"], row["best"], row["methods"]) == (None, None, {})
    assert row["search_gap"]["clear"] is (search == 0.9)
    assert not (tmp_path / "folder").exists()


def right(share: float) -> Bools:
    """Two seeds, of whose 120 examples this share is right: the first for one, the last for the other."""
    rows = np.arange(120)
    return np.stack([rows < share * 120, rows >= (1 - share) * 120])
