import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from agents.language.proposal import Branch, Proposal
from search.__main__ import main
from search.config.schema import RunConfig
from search.ledger.events import Proposed
from search.ledger.log import Ledger
from search.storage.bucket import Bucket
from search.storage.local_files import whole_sizes
from search.storage.object_store import local_copy, run_path, snapshot
from search.storage.run_directory import new_run
from tests.search.storage.mirrored import (
    FIRST,
    SECOND,
    another_machine,
    append,
    begin,
    claimed,
    held,
    manifest,
)
from tests.servers.s3 import Store


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
    files = ("config.yaml", "ledger.jsonl", "optuna.log", "rounds/001/proposal.json")
    sent = [f"epoch-000001/{name}" for name in files]
    for_people = ["config.yaml", "ledger.jsonl"]
    assert set(store.objects) == {f"bucket/runs/one/{name}" for name in (*sent, *for_people, ".mirror.json")}
    assert store.objects["bucket/runs/one/ledger.jsonl"] == FIRST
    another_machine(monkeypatch, tmp_path)
    with run_path(url) as fresh:
        assert fresh != path
        assert (fresh / "ledger.jsonl").read_bytes() == FIRST
        assert (fresh / "rounds/001/proposal.json").read_text() == "{}"
        append(fresh / "ledger.jsonl", SECOND)
    with snapshot(url) as seen:
        assert (seen / "ledger.jsonl").read_bytes() == FIRST + SECOND
    epochs = {name.split("/")[3] for name in store.objects if "/epoch-" in name}
    assert epochs == {"epoch-000002"}  # what earlier ones have sent is gone


def test_the_thread_keeps_up_and_what_has_not_changed_is_not_sent_again(
    storage: tuple[str, Store], tmp_path: Path
) -> None:
    url, store = storage
    one = claimed(url, tmp_path / "run")
    begin(tmp_path / "run")
    one.sync()
    store.puts.clear()
    one.sync()
    assert store.puts == ["bucket/runs/one/.mirror.json"]
    append(tmp_path / "run/ledger.jsonl", SECOND)
    one.sync()
    assert store.puts.count("bucket/runs/one/epoch-000001/ledger.jsonl") == 1
    assert store.puts.count("bucket/runs/one/epoch-000001/config.yaml") == 0


@pytest.mark.slow
def test_the_state_of_a_trial_goes_when_the_trial_has_ended(
    storage: tuple[str, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, store = storage
    path = tmp_path / "run"
    one = claimed(url, path)
    begin(path)
    for trial in ("t1", "t2"):
        (path / "checkpoints" / trial).mkdir(parents=True)
        (path / "checkpoints" / trial / "state.pt").write_bytes(b"1")
    one.sync()
    shutil.rmtree(path / "checkpoints/t1")
    (path / "config.yaml").unlink()  # nothing else goes: it may be a mistake here
    one.sync()
    kept = {name for name in store.objects if not name.endswith("/")}
    prefix = "bucket/runs/one/epoch-000001"
    assert f"{prefix}/checkpoints/t1/state.pt" not in kept
    assert {f"{prefix}/checkpoints/t2/state.pt", f"{prefix}/config.yaml"} <= kept
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
    assert held(store, "ledger.jsonl") == FIRST + SECOND
    assert "checkpoints/t2/state.pt" not in manifest(store).files


def test_only_whole_lines_and_what_the_manifest_counts(
    storage: tuple[str, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, store = storage
    one = claimed(url, tmp_path / "run")
    begin(tmp_path / "run")
    append(tmp_path / "run/ledger.jsonl", b'{"half')
    assert whole_sizes(tmp_path / "run") == {"ledger.jsonl": len(FIRST), "optuna.log": 2}
    one.sync()
    # A machine that dies between sending the files and the manifest leaves more than is counted.
    store.objects["bucket/runs/one/epoch-000001/optuna.log"] += b"b\n"
    with snapshot(url) as seen:
        assert (seen / "ledger.jsonl").read_bytes() == FIRST
        assert (seen / "optuna.log").read_bytes() == b"a\n"


@pytest.mark.slow
def test_the_storage_failing_does_not_stop_the_run_but_is_said_at_the_end(
    storage: tuple[str, Store], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url, store = storage
    one = claimed(url, tmp_path / "run", interval_s=0.01)
    with one.running():
        begin(tmp_path / "run")
        store.down = True
        while "cannot be written" not in caplog.text:
            time.sleep(0.01)
        store.down = False
    assert held(store, "ledger.jsonl") == FIRST
    with pytest.raises(OSError, match=r"the last copy failed .* everything is in"), one.running():
        store.down = True
    store.down = False
    append(tmp_path / "run/ledger.jsonl", SECOND)
    with pytest.raises(KeyboardInterrupt), claimed(url, tmp_path / "run").running():
        raise KeyboardInterrupt
    assert held(store, "ledger.jsonl") == FIRST + SECOND


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


def test_a_pull_that_breaks_off_changes_nothing(
    storage: tuple[str, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, _ = storage
    with run_path(url) as path:
        begin(path)
    another_machine(monkeypatch, tmp_path)
    with run_path(url) as fresh:
        (fresh / "rounds/001/proposal.json").write_text("new")
        append(fresh / "ledger.jsonl", SECOND)
    another_machine(monkeypatch, tmp_path, "copies")
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    with monkeypatch.context() as broken:

        def breaks_off(bucket: Bucket, name: str) -> bytes:
            if name.endswith("proposal.json"):
                raise OSError("the connection is lost")
            return read(bucket, name)

        read = Bucket.read
        broken.setattr(Bucket, "read", breaks_off)
        with pytest.raises(OSError, match="the connection is lost"), run_path(url):
            pass
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before
    assert [folder.name for folder in path.parent.iterdir()] == ["one"]
    with run_path(url):
        assert (path / "rounds/001/proposal.json").read_text() == "new"


def test_a_state_is_sent_before_what_names_it_and_a_missing_one_costs_its_trial_alone(
    storage: tuple[str, Store], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url, store = storage
    one, stage = claimed(url, tmp_path / "run"), tmp_path / "run/checkpoints/t1/stage-0"
    begin(tmp_path / "run")
    (stage / "steps-9").mkdir(parents=True)
    (stage / "steps-9/state.pt").write_bytes(b"state")
    (stage / "latest.json").write_text("{}")
    one.sync()
    sent = [name.removeprefix("bucket/runs/one/epoch-000001/checkpoints/t1/stage-0/") for name in store.puts]
    assert sent.index("steps-9/state.pt") < sent.index("latest.json")
    del store.objects["bucket/runs/one/epoch-000001/checkpoints/t1/stage-0/steps-9/state.pt"]
    with snapshot(url) as seen:
        assert (seen / "ledger.jsonl").read_bytes() == FIRST
    assert "steps-9/state.pt is missing: its trial starts anew" in caplog.text
    del store.objects["bucket/runs/one/epoch-000001/config.yaml"]
    with pytest.raises(ValueError, match=r"epoch-000001/config.yaml is missing"), snapshot(url):
        pass


def test_a_file_that_vanishes_is_skipped_only_where_it_is_read(
    storage: tuple[str, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bucket that is not there any more is no vanished file."""
    url, _ = storage
    one = claimed(url, tmp_path / "run")
    begin(tmp_path / "run")

    def no_such_bucket(bucket: Bucket, name: str, content: bytes) -> None:
        raise FileNotFoundError("NoSuchBucket")

    monkeypatch.setattr(Bucket, "write", no_such_bucket)
    with pytest.raises(FileNotFoundError, match="NoSuchBucket"):
        one.sync()


def test_a_key_in_the_url_is_refused_and_not_repeated() -> None:
    with (
        pytest.raises(ValueError, match="set it in the environment") as caught,
        run_path("s3://key:hunter2@bucket/run"),
    ):
        pass
    assert "hunter2" not in str(caught.value)
