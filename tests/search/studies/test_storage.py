import json
import os
import pwd
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from search.config.load import load_config
from search.config.schema import OptunaConfig
from search.ledger.events import RunStarted
from search.studies.mirror import StudyMirror
from search.studies.sampler import MethodSampler
from search.studies.storage import OneWriterFile, open_journal, require_database
from tests.servers.ports import free_port


def started(run: str) -> RunStarted:
    return RunStarted(at=1.5e9, run=run, config_sha256="c0", commit="abc")


def mirror(storage: BaseStorage, name: str) -> StudyMirror:
    return StudyMirror(storage, name, MethodSampler(0))


def filled(path: Path) -> optuna.Study:
    """A study with a completed trial, a pruned and a running one."""
    study = optuna.create_study(study_name="one", storage=open_journal(path), direction="maximize")
    for state, value in ((TrialState.COMPLETE, 0.5), (TrialState.PRUNED, None)):
        trial = study.ask({"lr": FloatDistribution(1e-4, 1e-2, log=True)})
        trial.report(0.25, 0)
        study.tell(trial, value, state=state)
    study.ask()
    return study


def told(storage: optuna.storages.BaseStorage) -> list[tuple[object, ...]]:
    study = optuna.load_study(study_name="one", storage=storage)
    return [(t.number, t.state, t.value, t.params, t.intermediate_values) for t in study.trials]


def test_optuna_s_own_storage_reads_the_same(tmp_path: Path) -> None:
    study = filled(tmp_path / "a.log")
    seen = told(study._storage)
    assert [one[1] for one in seen] == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING]
    assert told(open_journal(tmp_path / "a.log")) == seen
    assert told(JournalStorage(JournalFileBackend(str(tmp_path / "a.log")))) == seen


def test_what_optuna_s_own_storage_wrote_is_gone_on_with(tmp_path: Path) -> None:
    own = JournalStorage(JournalFileBackend(str(tmp_path / "a.log")))
    optuna.create_study(study_name="one", storage=own).ask()
    study = optuna.load_study(study_name="one", storage=open_journal(tmp_path / "a.log"))
    assert study.ask().number == 1


def test_a_line_cut_short_is_dropped_and_the_next_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    seen = told(filled(path)._storage)
    with path.open("ab") as file:
        file.write(b'{"op_code":4,"trial')
    storage = open_journal(path)
    assert told(storage) == seen
    optuna.load_study(study_name="one", storage=storage).ask()
    assert len([json.loads(line) for line in path.read_text().splitlines()]) > 0
    assert len(told(open_journal(path))) == 4


def test_a_damaged_file_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.log"
    filled(path)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = b"\0" * (len(lines[2]) - 1) + b"\n"
    path.write_bytes(b"".join(lines))
    storage = open_journal(path)
    assert storage.get_all_studies() == []
    assert "a.log is damaged" in caplog.text
    assert (tmp_path / "a.log.damaged").read_bytes() == b"".join(lines)
    optuna.create_study(study_name="one", storage=storage)
    assert len(open_journal(path).get_all_studies()) == 1


def test_on_a_full_disk_what_is_written_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.log"
    journal = OneWriterFile(path)
    journal.append_logs([{"n": 0}])
    list(journal.read_logs(0))

    class Full:
        """A disk with room for three more bytes."""

        def __init__(self, file: object) -> None:
            self._file = file

        def __getattr__(self, name: str) -> object:
            return getattr(self._file, name)

        def write(self, data: bytes) -> int:
            return self._file.write(data[:3])

    room = journal._file
    journal._file = Full(room)
    with pytest.raises(OSError, match="is the disk full"):
        journal.append_logs([{"n": 1}])
    journal._file = room
    journal.append_logs([{"n": 2}])
    assert list(journal.read_logs(1)) == [{"n": 2}]
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"n": 0}, {"n": 2}]
    assert os.path.getsize(path) == 16


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
    database: str, tmp_path: Path
) -> None:
    def opened() -> StudyMirror:
        return mirror(open_journal(tmp_path / "optuna.log", database, started("first")), "one")

    ours = opened()
    lr = {"optim.adamw.lr": FloatDistribution(1e-4, 1e-2, log=True)}
    done, stopped, open_ = (ours.add({"optim.adamw.lr": 1e-3}, lr, {"trial": f"t{i}"}) for i in range(3))
    ours.report(done, 0, 0.5, {"standard error": 0.125})
    ours.end(done, "completed", 0.5, {})
    ours.report(stopped, 0, 0.25, {})
    ours.end(stopped, "pruned", None, {"cause": "why"})

    again = opened()
    again.report(open_, 0, 0.125, {})
    again.settle(set())
    assert again.ask().number == 3
    assert not (tmp_path / "optuna.log").exists()

    study = optuna.load_study(study_name=f"first-{started('first').id}/one", storage=database)
    states = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING]
    assert [trial.state for trial in study.trials] == states
    assert study.trials[0].user_attrs == {"trial": "t0", "standard error": 0.125}
    assert study.trials[1].intermediate_values == {0: 0.25}
    assert study.trials[1].user_attrs == {"trial": "t1", "cause": "why"}
    assert study.metric_names == ["PGR"]
    assert study.best_params["optim.adamw.lr"] == 1e-3


def test_two_runs_share_a_database_without_sharing_studies(database: str, tmp_path: Path) -> None:
    both = [mirror(open_journal(tmp_path, database, started(run)), "same") for run in ("a", "b")]
    assert [one.ask().number for one in (*both, *both)] == [0, 0, 1, 1]
    names = {study.study_name for study in RDBStorage(database).get_all_studies()[-2:]}
    assert names == {f"{run}-{started(run).id}/same" for run in ("a", "b")}


def test_a_password_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "sqlite:///${OPTUNA_FOLDER}/studies.db"
    with pytest.raises(ValueError, match=r"optuna\.storage: the environment has no OPTUNA_FOLDER; set it"):
        open_journal(tmp_path / "optuna.log", url)
    monkeypatch.setenv("OPTUNA_FOLDER", str(tmp_path))
    open_journal(tmp_path / "optuna.log", url)
    assert (tmp_path / "studies.db").is_file()


@pytest.mark.parametrize(
    "url", ["sqlite:////nowhere/at/all.db", "postgresql://me:${OPTUNA_SECRET}@127.0.0.1:9/db", "what://x"]
)
def test_a_database_that_cannot_be_opened_is_one_line_without_its_password(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTUNA_SECRET", "hunter2")
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
        "postgresql://me@h/db?sslmode=require&sslpassword=hunter2",
        "postgresql://me:slash/hunter2@h/db",
        "postgresql://me:${OPTUNA_PW}hunter2@h/db",
        "mssql://?odbc_connect=DRIVER%3DX%3BPWD%3Dhunter2",
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
        "postgresql+psycopg2://me:${OPTUNA_PASSWORD}@host/db",
        "mysql+pymysql://me:${OPTUNA_PW}@host:3306/db",
    ],
)
def test_urls_without_a_password_in_clear(url: str) -> None:
    assert OptunaConfig(storage=url).storage == url


def test_a_database_is_opened_with_its_tables_and_no_study(tmp_path: Path) -> None:
    require_database(None)
    url = f"sqlite:///{tmp_path}/studies.db"
    require_database(url)
    assert RDBStorage(url, skip_table_creation=True).get_all_studies() == []


def test_tables_of_another_optuna_are_one_line_with_the_remedy(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    require_database(url)
    with sqlite3.connect(tmp_path / "studies.db") as tables:
        tables.execute("UPDATE alembic_version SET version_num = 'v0.9.0.a'")
    tables.close()
    with pytest.raises(
        ValueError, match=r"optuna\.storage: .* cannot be opened: .*; mend the URL or"
    ) as caught:
        require_database(url)
    assert "\n" not in str(caught.value)
