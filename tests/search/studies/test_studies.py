"""Optuna's studies as others see them: the real dashboard on a journal, and databases in its place."""

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from agents.language.proposal import Branch, Proposal
from search.config.load import load_config
from search.config.schema import RunConfig
from search.config.services import OptunaConfig
from search.ledger.events import Proposed, RunStarted
from search.ledger.record import Record
from search.studies.branch_sampler import BranchSampler
from search.studies.storage import open_journal
from search.studies.studies import Studies
from trainers.method import Abilities, Method

ABLE = Abilities(prior=True, intermediates=0)


def started(run: str) -> RunStarted:
    return RunStarted(at=1.5e9, run=run, config_sha256="c0", commit="abc")


def sampler(storage: Any, branch: Branch, seed: int = 0) -> BranchSampler:
    return BranchSampler(branch, Method(), ABLE, storage, seed)


@dataclass(frozen=True, kw_only=True)
class Started:
    """A method that was drawn and started, and its trial's number in the study."""

    number: int
    method: Method


def draw(one: BranchSampler) -> Started:
    drawn = one.offer(1, set(), None)[0]
    return Started(number=one.start(drawn), method=drawn.method)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def dashboard() -> Iterator[Callable[[str], Callable[[str], Any]]]:
    """dashboard(storage): the real program as README starts it; answers its API by path, as JSON."""
    processes = []

    def start(storage: str) -> Callable[[str], Any]:
        port = free_port()
        program = Path(sys.executable).with_name("optuna-dashboard")
        process = subprocess.Popen(
            [str(program), storage, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        processes.append(process)

        def get(path: str) -> Any:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
                return json.load(answer)

        for _ in range(300):
            try:
                get("/api/meta")
                return get
            except OSError:
                assert process.poll() is None
                time.sleep(0.1)
        raise AssertionError("the dashboard does not answer")

    yield start
    for process in processes:
        process.kill()
        process.wait()


def test_the_dashboard_shows_a_journal_while_a_campaign_writes_it(
    tmp_path: Path, branch: Callable[..., Branch], dashboard: Callable[[str], Callable[[str], Any]]
) -> None:
    journal = tmp_path / "optuna.log"
    one = sampler(open_journal(journal), branch("one"))
    first, second = draw(one), draw(one)
    one.report(first.number, 0, 0.125)
    one.report(first.number, 1, 0.25)
    one.tell(first.number, "completed", 0.25)
    get = dashboard(str(journal))
    [study] = get("/api/studies")["study_summaries"]
    assert (study["study_name"], study["directions"]) == ("one", ["maximize"])
    shown = get(f"/api/studies/{study['study_id']}?after=0")["trials"]
    assert [trial["state"] for trial in shown] == ["Complete", "Running"]
    assert shown[0]["values"] == [0.25]
    assert [(point["step"], point["value"]) for point in shown[0]["intermediate_values"]] == [
        (0, 0.125),
        (1, 0.25),
    ]
    params = {param["name"]: param["param_external_value"] for param in shown[0]["params"]}
    assert params["loss.kind"] == first.method.loss.kind
    assert float(params["optim.adamw.lr"]) == first.method.optim.lr

    one.report(second.number, 0, -0.5)  # the campaign goes on, unhindered by who looks on
    one.tell(second.number, "pruned", None)
    third = draw(one)
    for _ in range(100):
        shown = get(f"/api/studies/{study['study_id']}?after=0")["trials"]
        if len(shown) == 3:
            break
        time.sleep(0.1)
    assert [trial["state"] for trial in shown] == ["Complete", "Pruned", "Running"]
    assert third.number == 2


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/studies.db"
    url: str = request.getfixturevalue("postgres")
    return url


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of this test's own, on a free port of this machine."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    folder = tmp_path_factory.mktemp("postgres")
    run: dict[str, Any] = {"check": True, "capture_output": True, "cwd": "/"}
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        try:
            owner = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL needs a user that is not root, and there is no user postgres")
        folder = Path("/tmp") / f"{folder.parent.name}-{folder.name}-{os.getpid()}"
        folder.mkdir()
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        run |= {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    port, data = free_port(), str(folder / "data")
    environment = {"PATH": f"{programs[-1]}:/usr/bin:/bin", "LC_ALL": "C"}
    settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    control = str(programs[-1] / "pg_ctl")
    try:
        subprocess.run(
            [str(programs[-1] / "initdb"), "-D", data, "-U", "me", "-E", "UTF8", "--auth=trust", "--no-sync"],
            env=environment,
            **run,
        )
        subprocess.run(
            [control, "-D", data, "-o", settings, "-l", f"{data}.log", "-w", "start"],
            env=environment,
            **(run | {"capture_output": False}),
            stdout=subprocess.DEVNULL,
        )
        yield f"postgresql://me@127.0.0.1:{port}/postgres"
        subprocess.run([control, "-D", data, "-m", "immediate", "stop"], env=environment, **run)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_database_does_what_the_journal_does_and_a_resumed_run_goes_on_in_it(
    database: str, tmp_path: Path, branch: Callable[..., Branch]
) -> None:
    ours = sampler(open_journal(tmp_path / "optuna.log", database, started("first")), branch("one"))
    done, stopped, open_ = draw(ours), draw(ours), draw(ours)
    ours.report(done.number, 0, 0.5)
    ours.tell(done.number, "completed", 0.5)
    ours.report(stopped.number, 0, 0.25)
    ours.tell(stopped.number, "pruned", None)

    again = sampler(open_journal(tmp_path / "optuna.log", database, started("first")), branch("one"), seed=1)
    assert again.open_numbers() == [open_.number]
    again.tell(open_.number, "failed", None)
    assert draw(again).number == 3
    assert not (tmp_path / "optuna.log").exists()

    study = optuna.load_study(study_name=f"first-{started('first').id}/one", storage=database)
    states = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING]
    assert [trial.state for trial in study.trials] == states
    assert study.trials[1].intermediate_values == {0: 0.25}
    assert study.best_params["optim.adamw.lr"] == done.method.optim.lr


def test_two_runs_share_a_database_without_sharing_studies(
    database: str, tmp_path: Path, branch: Callable[..., Branch]
) -> None:
    both = [sampler(open_journal(tmp_path, database, started(run)), branch("same")) for run in ("a", "b")]
    assert [draw(one).number for one in (*both, *both)] == [0, 0, 1, 1]
    names = {study.study_name for study in RDBStorage(database).get_all_studies()[-2:]}
    assert names == {f"{run}-{started(run).id}/same" for run in ("a", "b")}


def test_a_password_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "sqlite:///${STUDIES_FOLDER}/studies.db"
    with pytest.raises(ValueError, match=r"optuna\.storage: the environment has no STUDIES_FOLDER; set it"):
        open_journal(tmp_path / "optuna.log", url)
    monkeypatch.setenv("STUDIES_FOLDER", str(tmp_path))
    open_journal(tmp_path / "optuna.log", url)
    assert (tmp_path / "studies.db").is_file()


@pytest.mark.parametrize(
    "url", ["sqlite:////nowhere/at/all.db", "postgresql://me:${SECRET}@127.0.0.1:9/db", "what://x"]
)
def test_a_database_that_cannot_be_opened_is_one_line_without_its_password(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    with pytest.raises(ValueError, match=r"optuna\.storage: .* cannot be opened: ") as caught:
        open_journal(tmp_path / "optuna.log", url)
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@host/db",
        "mysql+pymysql://me:hunter2@host:3306/db",
        "postgresql://:hunter2@h/db",
        "postgresql://h/db?user=me&password=hunter2",
    ],
)
def test_a_password_in_the_config_is_refused_and_not_repeated(
    tmp_path: Path, dev_yaml: str, url: str
) -> None:
    path = tmp_path / "dev.yaml"
    path.write_text(dev_yaml)
    with pytest.raises(ValueError, match=r"optuna: storage must name its password's variable") as caught:
        load_config(path, [f"optuna.storage={url}"])
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///studies.db",
        "postgresql://host/db",
        "postgresql://me@host:5432/db",
        "postgresql+psycopg2://me:${PGPASSWORD}@host/db",
        "mysql+pymysql://me:${PW}@host:3306/db",
    ],
)
def test_urls_without_a_password_in_clear(url: str) -> None:
    assert OptunaConfig(storage=url).storage == url


def test_what_a_crash_kept_from_optuna_is_told_when_the_next_process_starts(
    tmp_path: Path,
    config: RunConfig,
    branch: Callable[..., Branch],
    proposal: Callable[..., Proposal],
    events: SimpleNamespace,
) -> None:
    record = Record.of([Proposed(round=1, proposal=proposal(branch("one")), seconds=0)])
    storage = open_journal(tmp_path / "optuna.log")
    studies = Studies(config, record, storage)
    ended, running, _unheard_of = (draw(studies.of("one")) for _ in range(3))
    for event in (
        events.started("t1", number=ended.number, method=ended.method),
        events.reached("t1", 1 / 3, 0.25),
        events.reached("t1", 1.0, 0.5),
        events.ended("t1"),
        events.started("t2", number=running.number, method=running.method),
        events.reached("t2", 1 / 3, 0.75),
    ):
        record.apply(event)
    Studies(config, record, storage).level()
    first, second, third = optuna.load_study(study_name="one", storage=storage).get_trials()
    assert (first.state, first.value) == (TrialState.COMPLETE, 0.5)
    assert first.intermediate_values == {0: 0.25, 1: 0.5}
    assert (second.state, second.intermediate_values) == (TrialState.RUNNING, {0: 0.75})
    assert third.state == TrialState.FAIL
    studies.level()  # once is enough
    assert [trial.state for trial in optuna.load_study(study_name="one", storage=storage).get_trials()] == [
        TrialState.COMPLETE,
        TrialState.RUNNING,
        TrialState.FAIL,
    ]


@pytest.mark.parametrize("lost", ["the file", "its end"])
def test_a_study_that_was_lost_is_made_again_from_the_ledger(
    tmp_path: Path,
    config: RunConfig,
    branch: Callable[..., Branch],
    proposal: Callable[..., Proposal],
    events: SimpleNamespace,
    lost: str,
) -> None:
    record = Record.of([Proposed(round=1, proposal=proposal(branch("one")), seconds=0)])
    path = tmp_path / "optuna.log"
    studies = Studies(config, record, open_journal(path))
    _unheard_of, ended, pruned, running = (draw(studies.of("one")) for _ in range(4))
    for name, one in (("t1", ended), ("t2", pruned), ("t3", running)):
        record.apply(events.started(name, number=one.number, method=one.method))
        record.apply(events.reached(name, 1 / 3, 0.25))
    record.apply(events.reached("t1", 1.0, 0.5))
    record.apply(events.ended("t1"))
    record.apply(events.ended("t2", "pruned"))
    studies.level()

    def told() -> list[Any]:
        trials = optuna.load_study(study_name="one", storage=open_journal(path)).get_trials()
        return [(one.number, one.state, one.value, one.params, one.intermediate_values) for one in trials]

    before = told()
    if lost == "the file":
        path.unlink()
    else:
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:4]))
    again = Studies(config, record, open_journal(path))
    again.level()
    # What was drawn for a trial that the ledger has never heard of is known to the study alone.
    assert told()[1:] == before[1:]
    assert told()[0][:2] == (0, TrialState.FAIL)
    assert draw(again.of("one")).number == 4


def test_who_takes_over_draws_other_methods(
    tmp_path: Path,
    config: RunConfig,
    branch: Callable[..., Branch],
    proposal: Callable[..., Proposal],
    events: SimpleNamespace,
) -> None:
    record = Record.of([Proposed(round=1, proposal=proposal(branch("one")), seconds=0)])
    storage = open_journal(tmp_path / "optuna.log")
    one, same = (draw(Studies(config, record, storage).of("one")) for _ in range(2))
    assert one.method == same.method
    record.apply(events.started("t1", number=one.number, method=one.method))
    assert draw(Studies(config, record, storage).of("one")).method != one.method


def test_where_a_run_began_its_studies_it_keeps_them_but_who_is_told_may_change(config: RunConfig) -> None:
    elsewhere = config.model_copy(update={"optuna": OptunaConfig(storage="sqlite:///studies.db")})
    told = config.model_copy(update={"tracking": config.tracking.model_copy(update={"kind": "off"})})
    assert elsewhere.sha256 != config.sha256
    assert told.sha256 == config.sha256
