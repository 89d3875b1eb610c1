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
from search.storage.object_store import at_work, check_claimable, local_copy, run_path, snapshot
from search.storage.run_directory import RunDirectory, new_run
from tests.search.storage.mirrored import (
    FIRST,
    SECOND,
    another_machine,
    append,
    begin,
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


@pytest.mark.slow
@pytest.mark.slow
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


def test_whether_a_url_can_be_claimed_is_seen_without_a_change_there(
    storage: tuple[str, Store], config: RunConfig, events: SimpleNamespace
) -> None:
    url, store = storage
    check_claimable(url, config)
    assert not store.objects
    assert not local_copy(url).exists()
    with run_path(url) as path:
        ledger = Ledger(new_run(path, config).ledger)
        ledger.append(events.run_started())
        ledger.close()
    there = dict(store.objects)
    check_claimable(url, config)
    other = config.model_copy(update={"seed": config.seed + 1})
    with pytest.raises(ValueError, match="holds another run") as caught:
        check_claimable(url, other)
    assert str(caught.value).startswith(f"--out {url}: ")
    words = ["run", "configs/dev.yaml", "--dry-run", "--out", url]
    assert main(words) == 2
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


def test_a_key_in_the_url_is_refused_and_not_repeated() -> None:
    with (
        pytest.raises(ValueError, match="set it in the environment") as caught,
        run_path("s3://key:hunter2@bucket/run"),
    ):
        pass
    assert "hunter2" not in str(caught.value)


def test_whether_a_process_works_on_a_run_in_the_storage_nothing_tells(tmp_path: Path) -> None:
    assert at_work("s3://bucket/run") is None
    assert at_work(str(tmp_path)) is None  # no process has ever been
    with RunDirectory(tmp_path).locked():
        assert at_work(str(tmp_path)) is True
    assert at_work(str(tmp_path)) is False
