"""Real wandb, real processes: offline files read back, a loopback server."""

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from search.ledger.events import AnyEvent, Interrupted
from search.ledger.log import read_ledger
from search.ledger.record import Record
from search.ledger.trial_record import TrialRecord
from search.steering.sweep import SweepState, read_state
from search.storage.run_directory import RunDirectory
from search.tracking.payloads import flat
from tests.search.tracking.conftest import KEY, OUTCOME, Campaign, outcome, tracked
from tests.servers.wandb import WandbServer
from tests.servers.wandb_files import OfflineRun, offline_runs

pytestmark = pytest.mark.slow


def report_late(run: RunDirectory) -> None:
    """Write the report once W&B knows every trial: the search has finished, its process has not."""
    trials, told = set(Record.of(read_ledger(run.ledger)).trials), run.path / "tracking.json"
    while not (told.is_file() and trials <= set(json.loads(told.read_text())["offline"])):
        time.sleep(0.05)
    time.sleep(1)  # twice the pause between two looks at the ledger
    (run.path / "report.html").write_text("<!doctype html><p>report")


def check_trial(trial: TrialRecord, told: OfflineRun, round_: int, family: str) -> None:
    """What W&B was told of a trial is what the ledger says of it."""
    assert told.config == flat(trial.method.model_dump(mode="json")) | {"seed": trial.seed}
    assert told.run.job_type == trial.purpose
    assert told.run.run_group == ("confirmation" if trial.purpose == "confirm" else f"round-{round_:03d}")
    ending = [trial.state] if trial.state != "completed" else []
    if trial.purpose != "confirm":
        assert list(told.run.tags) == [trial.branch, family, *ending]
    rungs = [rung for _, rung in sorted(trial.rungs.items())]
    assert [row["share"] for row in told.history] == [rung.share for rung in rungs]
    assert [row.get("pgr") for row in told.history] == [rung.pgr for rung in rungs]
    assert [row.get("pgr_se") for row in told.history] == [rung.se for rung in rungs]
    assert [row.get("accuracy") for row in told.history] == [rung.accuracy for rung in rungs]
    assert told.summary["state"] == trial.state
    assert told.exit_code == (1 if trial.state == "failed" else 0)
    if scores := [rung.pgr for rung in rungs if rung.pgr is not None]:
        assert told.summary["pgr"] == {"max": max(scores)}
    assert told.maxima == {"pgr"}
    assert told.steps["pgr"] == told.steps["accuracy"] == "share"


def test_offline_every_run_says_what_the_ledger_says_and_nothing_leaves_the_run_directory(
    campaign: Campaign, story: list[AnyEvent], tmp_path: Path
) -> None:
    finished = outcome(campaign.run)
    (campaign.run.path / "report.html").unlink()
    assert campaign.at_work(*story, finished, then=lambda: report_late(campaign.run)).complete
    told = offline_runs(campaign.run.path)
    record = campaign.record
    assert set(told) == {campaign.id} | {f"{campaign.id}-{name}" for name in record.trials}
    for name, trial in record.trials.items():
        where = {"two": (2, "filtering")}.get(trial.branch, (1, "loss"))
        check_trial(trial, told[f"{campaign.id}-{name}"], *where)
    own = told[campaign.id]
    assert (own.run.job_type, own.run.sweep_id, own.exit_code) == ("campaign", "", 0)
    assert own.summary["outcome"]["cost"] == OUTCOME["cost"]
    assert own.summary["outcome"]["best"]["pgr"] == 0.5
    rows = [row for row in own.history if "weak_acc" in row]
    assert [row["trials"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert {row["best_pgr"] for row in rows} == {0.6}  # of the trial that was not trained further
    assert {(row["weak_acc"], row["ceiling_acc"], row["weak_pgr"], row["ceiling_pgr"]) for row in rows} == {
        (0.6, 0.9, 0, 1)
    }
    assert [(row["completed"], row["pruned"], row["failed"]) for row in rows][2] == (1, 1, 1)
    assert own.artifacts[f"outcome-{campaign.id}"] == {"result.json", "report.html"}
    assert_inert(told[f"{campaign.id}-t00003"])
    tables = {
        p.name.split("_")[0]: json.loads(p.read_text()) for p in campaign.run.path.rglob("*.table.json")
    }
    assert [row[:3] for row in tables["findings"]["data"]] == [[1, "one", "loss"], [2, "two", "filtering"]]
    assert [row[0] for row in tables["all"]["data"]] == list(record.trials)
    assert {path.name for path in tmp_path.iterdir()} == {"run", "home"}
    assert not list((tmp_path / "home").iterdir())


def assert_inert(told: OfflineRun) -> None:
    """What a proposer wrote does nothing where it would be rendered."""
    notes, cause = told.run.notes, told.summary["cause"]
    assert notes.startswith(r"see \[this\]\(https\: \/\/evil\.example\) \<img src\=x")
    for text in (notes, cause):
        assert "://" not in text
        assert not set(text) & {"\n", "\u202e"}


def test_a_resumed_run_goes_on_with_its_runs_and_has_one_of_each(
    campaign: Campaign, story: list[AnyEvent], events: SimpleNamespace
) -> None:
    campaign.at_work(*story[:7], Interrupted())  # t00002 has started
    first = offline_runs(campaign.run.path)
    cut = first[f"{campaign.id}-t00002"]
    assert (cut.exit_code, cut.summary.get("state")) == (130, None)
    campaign.at_work(*story[6:], outcome(campaign.run))
    second = offline_runs(campaign.run.path)
    assert second[f"{campaign.id}-t00001"].run == first[f"{campaign.id}-t00001"].run
    again = second[f"{campaign.id}-t00002"]
    assert (again.exit_code, again.summary["state"], len(again.history)) == (0, "pruned", 1)
    assert len(second) == 1 + len(campaign.record.trials)


def test_online_there_is_one_sweep_with_a_run_for_each_trial_and_the_key_is_kept_nowhere(
    campaign: Campaign, story: list[AnyEvent], server: WandbServer, capfd: pytest.CaptureFixture[str]
) -> None:
    online = tracked(campaign.config, kind="online", project="pgr", entity="me")
    stopped = campaign.at_work(*story[:7], Interrupted(), config=online)
    assert stopped.complete
    assert server.states[-1] == "PAUSED"
    assert server.exit_codes[f"{campaign.id}-t00002"] == 130
    assert campaign.at_work(*story[6:], outcome(campaign.run), config=online).complete
    [sweep] = server.sweeps
    # A process that has hardly begun may end before it says that it runs.
    assert [state for state in server.states if state != "RUNNING"] == ["PAUSED", "FINISHED"]
    assert all(state != after for state, after in zip(server.states, server.states[1:], strict=False))
    assert (sweep["method"], sweep["metric"]) == ("bayes", {"goal": "maximize", "name": "pgr.max"})
    record = campaign.record
    for name, trial in record.trials.items():
        run = server.runs[f"{campaign.id}-{name}"]
        assert (run["sweep"], run["project"], run["entity"]) == ("sweep1", "pgr", "me")
        assert run["jobType"] == trial.purpose
        rows = [row for _, row in sorted(server.history[f"{campaign.id}-{name}"].items())]
        assert [row["share"] for row in rows] == sorted(trial.rungs)
        assert server.summary[f"{campaign.id}-{name}"]["state"] == trial.state
        assert server.exit_codes[f"{campaign.id}-{name}"] == (1 if trial.state == "failed" else 0)
        config = json.loads(run["config"])
        assert sweep["parameters"].keys() <= config.keys()  # or parallel coordinates would leave it out
    assert server.runs[campaign.id].get("sweep") in (None, "")
    assert set(server.runs) == {campaign.id} | {f"{campaign.id}-{name}" for name in record.trials}
    assert f"outcome-{campaign.id}" in server.artifacts
    told = json.loads((campaign.run.path / "tracking.json").read_text())
    assert (told["sweep"], told["url"]) == ("sweep1", f"{server.url}/me/pgr/sweeps/sweep1")
    assert len(server.keys) == 1
    assert "" not in server.keys
    assert_written_nowhere(KEY, campaign.run.path.parent)
    assert capfd.readouterr() == ("", "")


def assert_written_nowhere(secret: str, folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path


def test_what_a_person_does_on_the_page_of_the_sweep_reaches_the_run(
    campaign: Campaign, story: list[AnyEvent], server: WandbServer
) -> None:
    def pressed() -> None:
        """Pause, once the sweep was seen to run."""
        deadline = time.monotonic() + 60
        while read_state(campaign.run.path) != SweepState(state="RUNNING", changed=False):
            assert time.monotonic() < deadline, (campaign.run.path / "wandb" / "tracker.log").read_text()
            time.sleep(0.1)
        server.sweep_state = "PAUSED"
        while read_state(campaign.run.path) != SweepState(state="PAUSED", changed=True):
            assert time.monotonic() < deadline, (campaign.run.path / "wandb" / "tracker.log").read_text()
            time.sleep(0.1)

    online = tracked(campaign.config, kind="online")
    campaign.at_work(*story[:6], config=online, then=pressed)
