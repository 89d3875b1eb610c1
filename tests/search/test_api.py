"""The search from Python."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import search
from search import Run, check, configure, load, method, methods
from search.config.load import load_config
from search.config.schema import RunConfig
from search.output.openings import openings_text
from tests.small_runs.settings import ONE_CPU, SMALL
from tests.small_runs.synthetic import synthetic_run
from tests.test_docs import blocks
from trainers.components.losses import Gce, LogConf
from trainers.data.dataset import load_task

REPO = Path(__file__).parents[2]
DEV = str(REPO / "configs/dev.yaml")


def test_a_config_of_a_file_a_mapping_or_a_config() -> None:
    run = configure(DEV, search={"trials": 9}, **{"confirm.seeds": 3})
    assert (run.search.trials, run.search.round_trials, run.confirm.seeds) == (9, 36, 3)
    assert configure(run.model_dump(mode="json"), seed=4).seed == 4
    agent = configure(run, agent={"kind": "claude", "max_usd": 2}).agent
    assert agent.model_dump()["max_usd"] == 2
    assert configure(run) == run


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"trails": 3}, r"^trails is not a setting; did you mean trial\?"),
        ({"seed": -1}, "^seed: Input should be"),
    ],
)
def test_a_mistake_in_a_config_is_one_line(settings: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line) as error:
        configure(configure(DEV), **settings)
    assert "\n" not in str(error.value)


def test_methods_by_name_and_by_hand() -> None:
    assert method(DEV, "confidence-loss").loss == LogConf()
    mine = method(DEV, "mine", loss={"kind": "gce", "q": 0.5})
    assert (mine.loss, mine.optim) == (Gce(q=0.5), configure(DEV).naive.optim)
    assert methods()[0]["name"] == "early-stopping"


def test_a_run_is_read_as_frames(tmp_path: Path) -> None:
    synthetic_run(tmp_path / "run", 12)
    found = load(tmp_path / "run")
    assert isinstance(found, Run)
    assert found.methods().method[0] == "naive"
    assert found.best is not None
    assert found.best.model_dump() == load(tmp_path / "run").outcome["best"]["method"]  # type: ignore[index]
    assert len(found.trials()) == len(found.record.trials)
    assert len(found.curves()) > 12
    assert len(found.seeds()) == 4 * found.config.confirm.seeds
    assert re.fullmatch(r"<Run .*run: best \S+, accuracy 0\.\d{3}, PGR -?\d\.\d{3} ± 0\.\d{3}>", repr(found))


def test_a_finished_run_says_who_has_opened_its_test_split(tmp_path: Path) -> None:
    found = load(synthetic_run(tmp_path / "run", 12).path)
    assert found.record.test_opened is not None
    assert found.outcome is not None
    assert found.openings == openings_text(found.outcome)
    assert found.openings == "the test split has been opened once, by synthetic-12"
    found.record.test_opened = None
    assert found.openings == ""


def test_a_run_without_an_outcome_has_trials_alone(tmp_path: Path) -> None:
    synthetic_run(tmp_path / "run", 12).result.unlink()
    found = load(tmp_path / "run")
    assert found.best is None
    assert len(found.trials())
    assert repr(found) == f"<Run {tmp_path / 'run'}: {len(found.trials())} trials, no outcome yet>"
    with pytest.raises(ValueError, match="has no outcome yet; go on with `python -m search resume"):
        found.methods()
    with pytest.raises(ValueError, match="holds no run"):
        load(tmp_path / "nowhere")


def test_what_a_run_would_meet(tmp_path: Path) -> None:
    small = configure(DEV, strong={"model": {"kind": "toy", "size": "weak"}}, cache=str(tmp_path))
    assert check(small, timed=False)["data"]["splits"]["search"] == 1000


@pytest.mark.slow
def test_a_price_of_gpu_hours_is_that_of_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the check makes of it is in its own tests: this machine has no GPU, so its hours are 0."""
    asked: dict[str, Any] = {}

    def checked(config: RunConfig, **named: object) -> dict[str, Any]:
        asked.update(named)
        return {}

    monkeypatch.setattr("search.preflight.check.check", checked)
    check(DEV, usd_per_gpu_hour=2.5)
    assert asked == {"timed": True, "usd_per_hour": 2.5}


def test_every_name_of_the_page_is_there_and_no_other() -> None:
    page = (REPO / "docs/api.md").read_text()
    table = [line.split("`")[1].partition("(")[0] for line in page.splitlines() if line.startswith("| `")]
    assert sorted(table) == sorted(search.__all__) == sorted(dir(search))
    with pytest.raises(AttributeError, match="module 'search' has no attribute 'lode'"):
        _ = search.lode


@pytest.mark.slow
def test_the_example_of_the_page_runs(warm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = blocks(REPO / "docs/api.md", "python")
    line = 'config = configure("configs/dev.yaml")'
    assert line in example
    short = ["confirm={finalists: 1, seeds: 2}", "trial.concurrent=1", "tracking.kind=off"]
    small = load_config(Path(DEV), [*SMALL, *short, f"cache={warm}"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(*ONE_CPU)
    names: dict[str, Any] = {"small": small}
    exec(example.replace(line, "config = small"), names)
    assert names["best"] == load("runs/api").best
    assert list(names["table"].methods().method[:1]) == ["naive"]
    assert set(names["table"].methods().method[1:]) == {"confidence-loss", "a-quarter"}
    trained, task = names["trained"], load_task(small.task)
    assert trained.method.loss == Gce(q=0.5)
    assert trained.predictions.shape == (300,)
    assert trained.predictions.dtype == np.float32
    assert trained.examples == task.inputs["search"]
    right = (trained.predictions > 0.5) == task.truth["search"]
    assert trained.score.accuracy == pytest.approx(right.mean())
    weak, ceiling = trained.baselines.weak.value, trained.baselines.ceiling.value
    assert trained.score.pgr == pytest.approx((right.mean() - weak) / (ceiling - weak))
    assert trained.seconds > 0
    assert trained.queries >= 1
