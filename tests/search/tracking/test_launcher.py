"""Real wandb, real processes: offline files read back, a loopback server, servers slow or not there."""

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agents.language.proposal import Branch, Proposal
from search.config.schema import RunConfig
from search.config.services import TrackingConfig
from search.ledger.events import AnyEvent, Finished, Interrupted, Proposed
from search.ledger.log import Ledger, read_ledger
from search.ledger.record import Record, TrialRecord
from search.storage.run_directory import RunDirectory, new_run
from search.tracking.launcher import Tracking, main, sweep_parameters
from search.tracking.payloads import flat
from tests.servers.wandb import WandbServer, wandb_server
from tests.servers.wandb_files import OfflineRun, offline_runs
from trainers.components.losses import LogConf
from trainers.components.optim import Adamw
from trainers.method import Method

KEY = "0123456789" * 4
HOSTILE = 'see [this](https://evil.example) <img src=x onerror="alert(1)">\n# **now**\u202e'
OUTCOME: dict[str, Any] = {
    "baselines": {"weak_acc": 0.61},
    "cost": {"usd": 0.25, "wall_s": 12.0},
    "trials": {"completed": 3},
    "grader_queries": {"test": 4},
    "naive": {"pgr": 0.2, "se": 0.1, "ci95": [0.0, 0.4], "seeds": 2, "method": {}},
    "best": {"branch": "one", "pgr": 0.5, "se": 0.1, "ci95": [0.3, 0.7], "seeds": 2, "beats_naive_p": 0.01},
}


@pytest.fixture(autouse=True)
def no_wandb_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, no settings, no server and no temporary folder but what a test asks for or can look into."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", None)  # it was read from the environment before


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbServer]:
    with wandb_server() as one:
        monkeypatch.setenv("WANDB_BASE_URL", one.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        yield one


def tracked(config: RunConfig, **changes: Any) -> RunConfig:
    return config.model_copy(update={"tracking": TrackingConfig(**({"patience_s": 90.0} | changes))})


class Campaign:
    """A run whose events a test writes; each `at_work` is a process that is at work on it."""

    def __init__(self, path: Path, config: RunConfig) -> None:
        self.run = new_run(path, config)
        self.config = config

    def at_work(
        self,
        *events: AnyEvent,
        config: RunConfig | None = None,
        then: Callable[[], object] = lambda: None,
    ) -> Tracking:
        config = config or self.config
        _, record = self.run.load()
        with Tracking(self.run, config) as tracking, self.run.open_ledger(record, config, 1.5e9) as ledger:
            tracking.start(record.started)
            for event in events:
                ledger.append(event)
            then()
        return tracking

    @property
    def record(self) -> Record:
        return Record.of(read_ledger(self.run.ledger))

    @property
    def id(self) -> str:
        assert self.record.started is not None
        return self.record.started.id


@pytest.fixture
def campaign(tmp_path: Path, config: RunConfig) -> Campaign:
    return Campaign(tmp_path / "run", tracked(config))


@pytest.fixture
def story(
    events: SimpleNamespace, branch: Callable[..., Branch], proposal: Callable[..., Proposal]
) -> list[AnyEvent]:
    """Two rounds; trials that complete, are pruned and fail; a replicate; a confirmation."""
    hostile = branch("two").model_copy(update={"hypothesis": HOSTILE, "family": "filtering"})
    logconf = Method(loss=LogConf(aux=0.25), optim=Adamw(lr=2e-3))
    told = [
        events.baselines(),
        Proposed(round=1, proposal=proposal(branch("one")), seconds=1),
        events.started("t00001"),
        events.reached("t00001", 1 / 3, 0.6, se=0.11, accuracy=0.78),
        events.reached("t00001", 1.0, 0.5, se=0.1, accuracy=0.75),
        events.ended("t00001"),
        events.started("t00002", number=1, method=logconf),
        events.reached("t00002", 1 / 3, -0.1),
        events.ended("t00002", "pruned", "PGR -0.100 at 0.33 of its training"),
        Proposed(round=2, proposal=proposal(hostile), seconds=1),
        events.started("t00003", branch="two", lr=3e-3),
        events.ended("t00003", "failed", f"Diverged: {HOSTILE}"),
        events.started("r00001", purpose="replicate", number=None, seed=10_001),
        events.reached("r00001", 1.0, 0.4),
        events.ended("r00001"),
    ]
    for i, method in enumerate((Method(), Method(optim=Adamw(lr=1e-3)))):
        trial = f"c0000{i}"
        told += [
            events.started(trial, purpose="confirm", branch="", number=None, method=method, seed=10_100),
            events.reached(trial, 1.0, None),
            events.ended(trial),
        ]
    return told


def report_late(run: RunDirectory) -> None:
    """Write the report once W&B knows every trial: the search has finished, its process has not."""
    trials, told = set(Record.of(read_ledger(run.ledger)).trials), run.path / "tracking.json"
    while not (told.is_file() and trials <= set(json.loads(told.read_text())["offline"])):
        time.sleep(0.05)
    time.sleep(1)  # twice the pause between two looks at the ledger
    (run.path / "report.html").write_text("<!doctype html><p>report")


def outcome(run: RunDirectory) -> Finished:
    run.result.write_text(json.dumps(OUTCOME))
    (run.path / "report.html").write_text("<!doctype html><p>report")
    return Finished()


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
    assert {row["best_pgr"] for row in rows} == {0.5}
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
    assert server.exit_codes[f"{campaign.id}-t00002"] == 130
    assert campaign.at_work(*story[6:], outcome(campaign.run), config=online).complete
    [sweep] = server.sweeps
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


def test_a_server_that_was_away_is_told_everything_once_it_is_back(
    campaign: Campaign, story: list[AnyEvent], server: WandbServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.working = False
    impatient = tracked(campaign.config, kind="online", patience_s=0)
    began = time.monotonic()
    assert not campaign.at_work(*story, outcome(campaign.run), config=impatient).complete
    assert time.monotonic() - began < 10
    assert f"python -m search.tracking {campaign.run.path}" in caplog.text
    server.working = True
    assert main([str(campaign.run.path)]) == 0
    assert set(server.exit_codes) == {campaign.id} | {
        f"{campaign.id}-{name}" for name in campaign.record.trials
    }
    assert main([str(campaign.run.path)]) == 0
    assert len(server.sweeps) == 1


@pytest.mark.parametrize("delay_s", [0.0, 5.0], ids=["dead", "slow"])
def test_the_search_does_not_wait_for_a_server(
    campaign: Campaign,
    events: SimpleNamespace,
    server: WandbServer,
    delay_s: float,
    request: pytest.FixtureRequest,
) -> None:
    """Appending goes on at its own pace, and the end is bounded by tracking.patience_s."""
    server.delay_s, server.working = delay_s, bool(delay_s)
    online = tracked(campaign.config, kind="online", patience_s=0.5)
    _, record = campaign.run.load()
    with (
        Tracking(campaign.run, online) as tracking,
        campaign.run.open_ledger(record, online, 1.5e9) as ledger,
    ):
        tracking.start(record.started)
        slowest = max(_append_s(ledger, events, i) for i in range(300))
        ended = time.monotonic()
    assert time.monotonic() - ended < 0.5 + 2 + 2
    assert slowest < 1
    assert not _processes(campaign.run.path)
    assert not list(Path(tempfile.gettempdir()).iterdir())


def _append_s(ledger: Ledger, events: SimpleNamespace, i: int) -> float:
    began = time.perf_counter()
    ledger.append(events.started(f"t{i}", branch=""))
    return time.perf_counter() - began


def _processes(path: Path) -> list[str]:
    """Command lines, of processes that are alive, that name the path."""
    lines = []
    for one in Path("/proc").glob("[0-9]*"):
        try:
            lines.append((one / "cmdline").read_text())
        except OSError:
            continue
    return [line for line in lines if str(path) in line]


def test_off_starts_nothing(campaign: Campaign, story: list[AnyEvent]) -> None:
    off = tracked(campaign.config, kind="off")
    assert campaign.at_work(*story, outcome(campaign.run), config=off).complete
    assert not (campaign.run.path / "wandb").exists()


def test_a_process_that_cannot_be_started_does_not_stop_the_search(
    campaign: Campaign, story: list[AnyEvent], caplog: pytest.LogCaptureFixture
) -> None:
    (campaign.run.path / "wandb").write_text("in the way")
    campaign.at_work(*story)
    assert "tracking could not be started, the search goes on without" in caplog.text
    assert len(campaign.record.trials) == 6


@pytest.mark.parametrize("place", ["environment", "netrc", "nowhere"])
def test_online_needs_a_key(campaign: Campaign, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    online = tracked(campaign.config, kind="online")
    if place == "environment":
        monkeypatch.setenv("WANDB_API_KEY", KEY)
    if place == "netrc":
        monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example")
        Path(os.environ["HOME"], ".netrc").write_text(
            f"machine wandb.example\n login user\n password {KEY}\n"
        )
    if place == "nowhere":
        with pytest.raises(
            ValueError, match=r"tracking\.kind is online and no W&B key was found: run `wandb login`"
        ):
            Tracking(campaign.run, online)
    else:
        Tracking(campaign.run, online)


def test_an_upload_without_a_key_is_a_mistake_in_the_input(
    campaign: Campaign, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(campaign.run.path)]) == 2
    assert capsys.readouterr().err.startswith("error: tracking.kind is online and no W&B key was found")


def test_every_method_has_every_parameter_of_the_sweep() -> None:
    """The six slots, and the nine numbers of the one optimiser."""
    parameters = sweep_parameters()
    assert len(parameters) == 6 + 9
    for method in (Method(), Method(loss=LogConf(aux=0.25))):
        assert parameters.keys() <= flat(method.model_dump(mode="json")).keys()
    assert parameters["loss.kind"]["values"][:2] == ["xent", "logconf"]
    assert parameters["optim.adamw.lr"] == {"min": 1e-6, "max": 0.1, "distribution": "log_uniform_values"}
    assert parameters["optim.adamw.batch_size"] == {"min": 1, "max": 1024}
    assert parameters["optim.adamw.schedule"] == {"values": ["linear", "cosine", "constant"]}
