"""A whole run on two tasks with a hidden one, in small: nothing of that is read before the search is over."""

import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from cluster.resources import Needs
from search import phases
from search.__main__ import main
from search.config.load import load_config
from search.config.schema import RunConfig
from search.interrupt import Interruption
from search.ledger.events import RunStarted
from search.ledger.log import Ledger, read_ledger
from search.ledger.record import Record
from search.phases import Phases, trials_together
from search.scoring.grader import BaselinePredictions, Grader
from search.scoring.pgr import NoGapError
from search.storage.run_directory import RunDirectory
from search.workers.loading import Loaded, models_of
from search.workers.sealed import loaded_digests
from tests.small_runs.settings import ONE_CPU, REPO
from tests.small_runs.site import Site, meanwhile
from tests.small_runs.whole import problems
from trainers.data.dataset import load_task
from trainers.data.settings import SplitSizes, ToyTask

SHORT = ("search.trials=2", "replication.seeds=1", "confirm.finalists=1", "tracking.kind=off")
SIZES = {"weak_train": 200, "transfer": 200, "search": 100, "test": 200}
SPLITS = f"splits: {{{', '.join(f'{split}: {size}' for split, size in SIZES.items())}}}"
PARTS = {"reviews": 0, "quarrels": 2}
TWO = [f"{{name: {name}, task: {{kind: toy, part: {part}, {SPLITS}}}}}" for name, part in PARTS.items()]


def write_reviews(path: Path) -> None:
    """Reviews that the run's own task, of another part, cannot have."""
    task = load_task(ToyTask(part=1, contrast=0.6, splits=SplitSizes(**SIZES)))
    rows = [
        {"text": text, "label": int(label)}
        for split, examples in task.inputs.items()
        for text, label in zip(examples.texts, task.truth[split], strict=True)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_hidden_task_that_was_replaced_before_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(REPO / "configs/hidden.yaml")
    hidden = config.hidden[0]
    there = config.on(hidden)
    task = ToyTask(part=1, splits=SplitSizes(**SIZES))
    loaded = Loaded(task=load_task(task), weights={model: "w" for _, model in models_of(there)})
    monkeypatch.setattr("search.phases.load", lambda config: loaded)
    digests = {f"hidden.quarrels.{name}": it for name, it in loaded_digests(there, loaded, "ab").items()}
    sources = {"salt": "ab", "digests": digests | {"hidden.quarrels.test.truth": "another"}, "commits": {}}
    began = RunStarted(run="unit", config_sha256="c", commit="c", sources=sources)
    phases = Phases(
        run=RunDirectory(tmp_path),
        record=Record.of([began]),
        console=Console(quiet=True),
        stop=Interruption(),
        config=config,
    )
    ledger, unneeded = Ledger(tmp_path / "ledger.jsonl"), (object(), object())  # a director and a view
    with pytest.raises(ValueError, match=r"changed: hidden\.quarrels\.test\.truth \(toy\); put them back"):
        phases.confirm_on(there, hidden, ledger, *unneeded)  # type: ignore[arg-type]
    assert read_ledger(tmp_path / "ledger.jsonl") == []


@pytest.mark.parametrize("name", ["", "quarrels"])
def test_a_floor_that_is_a_guess_is_warned_of_before_a_run_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The supervisors name class 1 for all, and 6 of 10 are of it; one ceiling is clear, one is not."""
    truth = np.array([1, 1, 1, 0, 0] * 20, dtype=np.int8)
    ones = np.ones((2, 100), dtype=np.bool_)
    knows = np.stack([truth == 1] * 2)
    hardly = ones.copy()
    hardly[:, 3] = False
    monkeypatch.setattr(Phases, "prepare", lambda self, config, loaded, task: (None, 0.0))
    config = load_config(REPO / "configs/demo-tasks.yaml" if name else REPO / "configs/dev.yaml")
    phases = Phases(
        run=RunDirectory(tmp_path),
        record=Record(),
        console=Console(quiet=True),
        stop=Interruption(),
        config=config,
    )

    def searched(ceiling: np.ndarray) -> None:
        sealed = truth, BaselinePredictions(weak=ones, ceiling=ceiling)
        monkeypatch.setattr("search.phases.new_grader", lambda config, prepared: Grader(sealed, sealed))
        phases.searched(name, config, None)  # type: ignore[arg-type]

    searched(knows)
    with pytest.raises(NoGapError, match="no clear gap"):
        searched(hardly)
    expected = "the weak floor 0.6000 is not clearly above what always naming the larger class gets"
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    for line in lines:
        assert line.startswith(f"{name}: {expected}" if name else expected)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_search_needs_nothing_of_a_hidden_task_and_goes_on_when_it_is_back(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, kept = tmp_path / "there.jsonl", tmp_path / "kept"
    write_reviews(data)
    hidden = f"hidden=[{{name: there, task: {{kind: dataset, path: {data}, {SPLITS}}}}}]"
    site = Site(tmp_path / "run", cache, (*SHORT, "task=null", f"tasks=[{', '.join(TWO)}]", hidden))
    monkeypatch.setenv(*ONE_CPU)
    with meanwhile(site.ledger.is_file, lambda: data.rename(kept)):  # a process of its own has looked at it
        assert main(site.words()) == 2
    assert str(data) in capsys.readouterr().err
    events = read_ledger(site.ledger)
    purposes = {event.purpose for event in events if event.event == "trial_started"}
    assert purposes == {"search", "replicate", "confirm"}  # naive, to compare with
    assert not {event.event for event in events} & {"hidden_read", "test_opened", "finished"}

    kept.rename(data)
    assert main(["resume", str(site.out)]) == 0
    assert "PGR on hidden tasks, which the search has never seen" in capsys.readouterr().out
    assert problems(site.out) == []
    outcome = json.loads((site.out / "result.json").read_text())
    [there] = outcome["hidden"]["tasks"]
    assert there["name"] == "there"
    assert len(there["finalists"]) + len(there["missing"]) == len(outcome["finalists"])
    after = read_ledger(site.ledger)
    assert [task["name"] for task in outcome["tasks"]] == list(PARTS)
    apart = [task["finalists"][0]["over_naive"]["accuracy"] for task in outcome["tasks"]]
    assert outcome["best"]["over_naive"]["accuracy"] == pytest.approx(sum(apart) / 2)
    names = [event.event for event in after]
    planned = [event.trials for event in after if event.event == "hidden_read"]
    started = [event for event in after if event.event == "trial_started" and event.purpose == "hidden"]
    assert planned == [len(started)]
    begun = [
        i for i, event in enumerate(after) if event.event == "trial_started" and event.purpose != "hidden"
    ]
    assert names.index("hidden_read") > max(begun)
    assert names.index("test_opened") > max(i for i, name in enumerate(names) if name == "trial_ended")
    opened = [event.task for event in after if event.event == "test_opened"]
    assert opened == ["", "quarrels", "there"]
    searched = [event.on for event in after if event.event == "trial_started" and event.purpose == "search"]
    assert set(searched) == set(PARTS)


@pytest.mark.parametrize(("places", "trials"), [(2, 1), (5, 2), (1, None), (0, None)])
def test_the_processes_of_a_trial_are_placed_together(
    config: RunConfig, places: int, trials: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def at_once(needs: Needs, *, at_most: int | None, a_round: int, elastic: bool) -> int:
        return min(places, a_round)

    monkeypatch.setattr(phases, "trials_at_once", at_once)
    gang = config.model_copy(update={"trial": config.trial.model_copy(update={"processes": 2})})
    if trials is None:
        with pytest.raises(ValueError, match=r"^trial\.processes 2 do not fit .* lower trial\.processes or "):
            trials_together(gang)
    else:
        assert trials_together(gang) == trials
