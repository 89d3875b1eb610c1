import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from agents.language.proposal import Branch, Proposal
from search.__main__ import main
from search.config.schema import RunConfig
from search.ledger.events import Proposed
from search.ledger.log import Ledger
from search.storage import object_store as mirror
from search.storage.object_store import Mirror, local_copy, run_path, snapshot, whole_sizes
from search.storage.run_directory import new_run
from tests.servers.s3 import Store, s3_server
from tests.small_runs.settings import SMALL_TASK

FIRST = b'{"event": 1}\n'
SECOND = b'{"event": 2}\n'


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Store]]:
    """The URL of a run on a loopback S3 server, and what the server holds."""
    with s3_server() as (endpoint, store):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setattr(mirror, "LOCAL_COPIES", tmp_path / "copies")
        yield "s3://bucket/runs/one?region=us-east-1", store


def begin(path: Path) -> None:
    (path / "rounds/001").mkdir(parents=True)
    (path / "config.yaml").write_text("name: one\n")
    (path / "ledger.jsonl").write_bytes(FIRST)
    (path / "optuna.log").write_bytes(b"a\n")
    (path / "rounds/001/proposal.json").write_text("{}")
    (path / ".lock").touch()


def append(path: Path, line: bytes) -> None:
    with path.open("ab") as file:
        file.write(line)


def another_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str = "elsewhere") -> None:
    monkeypatch.setattr(mirror, "LOCAL_COPIES", tmp_path / name)


def test_a_path_is_left_alone(tmp_path: Path) -> None:
    with run_path(str(tmp_path / "run")) as path:
        assert path == tmp_path / "run"
    with run_path("~/run") as path:
        assert path == Path.home() / "run"


@pytest.mark.slow
def test_a_run_is_mirrored_and_pulled_on_another_machine(
    storage: tuple[str, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, store = storage
    with run_path(url) as path:
        assert path.name == "one"
        begin(path)
    assert set(store.objects) == {
        f"bucket/runs/one/{name}"
        for name in ("config.yaml", "ledger.jsonl", "optuna.log", "rounds/001/proposal.json", ".mirror.json")
    }
    another_machine(monkeypatch, tmp_path)
    with run_path(url) as fresh:
        assert fresh != path
        assert (fresh / "ledger.jsonl").read_bytes() == FIRST
        assert (fresh / "rounds/001/proposal.json").read_text() == "{}"
        append(fresh / "ledger.jsonl", SECOND)
    with snapshot(url) as seen:
        assert (seen / "ledger.jsonl").read_bytes() == FIRST + SECOND


def test_the_thread_keeps_up_and_what_has_not_changed_is_not_sent_again(
    storage: tuple[str, Store], tmp_path: Path
) -> None:
    url, store = storage
    one = Mirror(url, tmp_path / "run")
    begin(tmp_path / "run")
    one.sync()
    store.puts.clear()
    one.sync()
    assert store.puts == ["bucket/runs/one/.mirror.json"]
    append(tmp_path / "run/ledger.jsonl", SECOND)
    one.sync()
    assert store.puts.count("bucket/runs/one/ledger.jsonl") == 1
    assert store.puts.count("bucket/runs/one/config.yaml") == 0


@pytest.mark.slow
def test_the_state_of_a_trial_goes_when_the_trial_has_ended(
    storage: tuple[str, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, store = storage
    path = tmp_path / "run"
    one = Mirror(url, path)
    begin(path)
    for trial in ("t1", "t2"):
        (path / "checkpoints" / trial).mkdir(parents=True)
        (path / "checkpoints" / trial / "state.pt").write_bytes(b"1")
    one.sync()
    shutil.rmtree(path / "checkpoints/t1")
    (path / "config.yaml").unlink()  # nothing else goes: it may be a mistake here
    one.sync()
    kept = {name for name in store.objects if not name.endswith("/")}
    assert "bucket/runs/one/checkpoints/t1/state.pt" not in kept
    assert {"bucket/runs/one/checkpoints/t2/state.pt", "bucket/runs/one/config.yaml"} <= kept
    with snapshot(url) as seen:
        assert (seen / "checkpoints/t2/state.pt").read_bytes() == b"1"

    def ends_meanwhile(name: str, content: bytes) -> None:
        shutil.rmtree(path / "checkpoints/t2", ignore_errors=True)
        send(name, content)

    send = one._send
    monkeypatch.setattr(one, "_send", ends_meanwhile)
    (path / "a").write_text("sent before the states")
    (path / "checkpoints/t2/state.pt").write_bytes(b"22")
    append(path / "ledger.jsonl", SECOND)
    one.sync()
    assert store.objects["bucket/runs/one/ledger.jsonl"] == FIRST + SECOND


def test_only_whole_lines_and_what_the_manifest_counts(
    storage: tuple[str, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, store = storage
    one = Mirror(url, tmp_path / "run")
    begin(tmp_path / "run")
    append(tmp_path / "run/ledger.jsonl", b'{"half')
    assert whole_sizes(tmp_path / "run") == {"ledger.jsonl": len(FIRST), "optuna.log": 2}
    one.sync()
    # A machine that dies between sending the files and the manifest leaves more than is counted.
    store.objects["bucket/runs/one/optuna.log"] += b"b\n"
    with snapshot(url) as seen:
        assert (seen / "ledger.jsonl").read_bytes() == FIRST
        assert (seen / "optuna.log").read_bytes() == b"a\n"


@pytest.mark.slow
def test_the_storage_failing_does_not_stop_the_run_but_is_said_at_the_end(
    storage: tuple[str, Store], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url, store = storage
    one = Mirror(url, tmp_path / "run", interval_s=0.01)
    with one.running():
        begin(tmp_path / "run")
        store.down = True
        while "cannot be written" not in caplog.text:
            time.sleep(0.01)
        store.down = False
    assert store.objects["bucket/runs/one/ledger.jsonl"] == FIRST
    with pytest.raises(OSError, match=r"the last copy failed .* everything is in"), one.running():
        store.down = True
    store.down = False
    append(tmp_path / "run/ledger.jsonl", SECOND)
    with pytest.raises(KeyboardInterrupt), Mirror(url, tmp_path / "run").running():
        raise KeyboardInterrupt
    assert store.objects["bucket/runs/one/ledger.jsonl"] == FIRST + SECOND


def manifest(owner: str, beat: int) -> bytes:
    return json.dumps({"owner": owner, "beat": beat, "sizes": {}, "released": False}).encode()


def test_two_machines_at_once_are_refused_and_a_dead_one_is_replaced(
    storage: tuple[str, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, store = storage
    key = "bucket/runs/one/.mirror.json"
    store.objects[key] = manifest("other/1/abc", 1)
    Mirror(url, tmp_path / "run", lease_s=0.05).take_over()  # no sign of life
    store.objects[key] = manifest("other/1/abc", 1)
    beats = iter(range(2, 100))

    def alive(seconds: float) -> None:
        store.objects[key] = manifest("other/1/abc", next(beats))

    monkeypatch.setattr(mirror.time, "sleep", alive)
    with pytest.raises(ValueError, match=r"another process \(other/1/abc\) is at work on this run"):
        Mirror(url, tmp_path / "run").take_over()


@pytest.mark.slow
def test_what_went_on_elsewhere_is_taken_and_two_continuations_are_refused(
    storage: tuple[str, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, _ = storage
    with run_path(url) as path:
        begin(path)
    another_machine(monkeypatch, tmp_path)
    with run_path(url) as fresh:
        append(fresh / "ledger.jsonl", SECOND)
    another_machine(monkeypatch, tmp_path, "copies")
    with run_path(url) as path:
        assert (path / "ledger.jsonl").read_bytes() == FIRST + SECOND
        append(path / "ledger.jsonl", b"3\n")
    append(path / "ledger.jsonl", b"4\n")  # written, and never sent: a crash
    with run_path(url) as path:
        assert (path / "ledger.jsonl").read_bytes().endswith(b"3\n4\n")
    another_machine(monkeypatch, tmp_path)
    append(local_copy(url) / "ledger.jsonl", b"another 3\n")
    with pytest.raises(ValueError, match="has diverged from the local copy in"), run_path(url):
        pass


def test_a_url_of_no_known_kind_is_one_line() -> None:
    with pytest.raises(ValueError, match=r"nowhere://x/y: cannot hold a run") as caught:
        Mirror("nowhere://x/y", Path("x"))
    assert "\n" not in str(caught.value)


def test_a_url_is_reported_and_proposed_for_and_left_as_it_is(
    storage: tuple[str, Store],
    config: RunConfig,
    events: SimpleNamespace,
    branch: Callable[..., Branch],
    capsys: pytest.CaptureFixture[str],
) -> None:
    url, store = storage
    with run_path(url) as path:
        ledger = Ledger(new_run(path, config).ledger)
        proposal = Proposal(branches=(branch("first-light"),), rationale="")
        trial = [
            events.started("t1", branch="first-light"),
            events.reached("t1", 1.0, 0.5),
            events.ended("t1"),
        ]
        proposed = Proposed(round=1, proposal=proposal, seconds=0.0)
        for event in (events.run_started(), events.baselines(), proposed, *trial):
            ledger.append(event)
        ledger.close()
    there = dict(store.objects)
    assert main(["report", url]) == 0
    report = Path(capsys.readouterr().out.strip())
    assert report == local_copy(url) / "report.html"
    assert "<bdi>first-light</bdi>" in report.read_text()
    assert main(["propose", "configs/dev.yaml", "--out", url]) == 0
    assert "The best branches so far are first-light" in capsys.readouterr().out
    assert store.objects == there


@pytest.mark.parametrize("command", [["report"], ["status"], ["propose", "configs/dev.yaml", "--out"]])
def test_a_url_without_a_run_is_named(
    storage: tuple[str, Store], command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, storage[0]]) == 2
    assert f"error: {storage[0]}: holds no run; start one with" in capsys.readouterr().err


SMALL = [
    *SMALL_TASK,
    "search.trials=4",
    "search.round_trials=4",
    "replication={methods: 1, seeds: 1}",
    "confirm={finalists: 1, seeds: 2}",
]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_stopped_on_one_machine_is_finished_on_another(
    storage: tuple[str, Store],
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, store = storage

    def start(machine: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "search", *arguments],
            cwd=Path(__file__).parents[3],
            env={**os.environ, "HOME": str(tmp_path / machine)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    settings = [part for one in [*SMALL, f"cache={cache}"] for part in ("--set", one)]
    first = start("one", "run", "configs/dev.yaml", "--out", url, *settings)
    while first.poll() is None and not list((tmp_path / "one").rglob("ledger.jsonl")):
        time.sleep(0.1)
    first.send_signal(signal.SIGTERM)
    said, _ = first.communicate(timeout=120)
    assert first.returncode == 130, said
    assert f"python -m search resume {url}" in said.replace("\n", "")
    assert b'"interrupted"' in store.objects["bucket/runs/one/ledger.jsonl"]

    another_machine(monkeypatch, tmp_path, "two")
    assert main(["resume", url]) == 0
    result = json.loads(store.objects["bucket/runs/one/result.json"])
    assert sum(result["trials"].values()) == 4
    ledger = store.objects["bucket/runs/one/ledger.jsonl"].decode()
    assert ledger.count('"run_started"') == ledger.count('"resumed"') == ledger.count('"finished"') == 1


def test_a_key_in_the_url_is_refused_and_not_repeated() -> None:
    with (
        pytest.raises(ValueError, match="set it in the environment") as caught,
        run_path("s3://key:hunter2@bucket/run"),
    ):
        pass
    assert "hunter2" not in str(caught.value)
