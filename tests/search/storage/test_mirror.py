import shutil
import threading
import time
from pathlib import Path

import pytest

from search.steering.order import Order, put_order, read_order
from search.storage.bucket import Bucket
from search.storage.lease import LostRunError
from search.storage.local_files import whole_sizes
from search.storage.object_store import snapshot
from tests.search.storage.mirrored import (
    FIRST,
    SECOND,
    append,
    begin,
    claimed,
    held,
    manifest,
)
from tests.servers.s3 import Store


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


def test_the_storage_failing_does_not_stop_the_run_but_is_said_at_the_end(
    storage: tuple[str, Store],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("search.storage.mirror.LAST_TRIES_AFTER_S", (0.0, 0.01))
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


def test_a_driver_that_slept_past_its_lease_overwrites_nothing(
    storage: tuple[str, Store], tmp_path: Path
) -> None:
    """It wakes up right after it has shown that it owns the run: what it sends then counts for nobody."""
    url, store = storage
    slept, ours, theirs = claimed(url, tmp_path / "slept"), b"ours\n", b"theirs\n"
    begin(tmp_path / "slept")
    slept.sync()

    def sleeps(key: str) -> None:
        if key.endswith("epoch-000001/ledger.jsonl"):
            store.before_put = lambda key: None
            successor = claimed(url, tmp_path / "next")
            successor.pull()
            append(tmp_path / "next/ledger.jsonl", ours)
            successor.sync()

    store.before_put = sleeps
    append(tmp_path / "slept/ledger.jsonl", theirs)
    with pytest.raises(LostRunError, match=r"has taken over this run; this one stops$"):
        slept.sync()
    assert held(store, "ledger.jsonl") == FIRST + ours
    before = dict(store.objects)
    for released in (False, True):
        with pytest.raises(LostRunError):
            slept.sync(released=released)
    assert store.objects == before
    with snapshot(url) as seen:
        assert (seen / "ledger.jsonl").read_bytes() == FIRST + ours


def test_a_large_file_on_its_way_is_no_sign_of_death(storage: tuple[str, Store], tmp_path: Path) -> None:
    url, store = storage
    ours = claimed(url, tmp_path / "run", interval_s=0.05)
    begin(tmp_path / "run")
    sending, sent = threading.Event(), threading.Event()

    def slow(key: str) -> None:
        if key.endswith("optuna.log"):
            sending.set()
            sent.wait(20)

    store.before_put = slow
    with ours.running():
        assert sending.wait(20)
        with pytest.raises(ValueError, match="is at work on this run"):
            claimed(url, tmp_path / "next", lease_s=3)
        sent.set()
    assert held(store, "ledger.jsonl") == FIRST
    assert manifest(store).released


def test_an_order_left_in_the_storage_is_brought_once(storage: tuple[str, Store], tmp_path: Path) -> None:
    url, store = storage
    path = tmp_path / "run"
    one = claimed(url, path, interval_s=0.05)
    begin(path)
    put_order(url, Order(pause=True))
    put_order(url, Order(trials=9))
    with one.running():
        deadline = time.monotonic() + 20
        while not (path / "steer.yaml").exists() or store.objects["bucket/runs/one/steer.yaml"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    order = read_order((path / "steer.yaml").read_bytes())
    assert (order.trials, order.pause) == (9, True)
    kept = {name: content for name, content in store.objects.items() if name.endswith("steer.yaml")}
    assert kept == {"bucket/runs/one/steer.yaml": b""}  # nor is it mirrored back
    put_order(url, Order(trials=10))
    later = read_order(store.objects["bucket/runs/one/steer.yaml"])
    assert (later.trials, later.pause) == (10, None)  # what was taken does not come again


def test_an_order_that_comes_while_one_is_brought_is_not_lost(
    storage: tuple[str, Store], tmp_path: Path
) -> None:
    url, store = storage
    one = claimed(url, tmp_path / "run")
    begin(tmp_path / "run")
    put_order(url, Order(stop=("first",)))

    def meanwhile(key: str) -> None:
        store.before_put = lambda key: None
        put_order(url, Order(stop=("second",)))

    store.before_put = meanwhile
    one._bring_order()
    assert not (tmp_path / "run" / "steer.yaml").exists()
    one._bring_order()
    order = read_order((tmp_path / "run" / "steer.yaml").read_bytes())
    assert order.stop == ("first", "second")


def test_of_two_orders_at_the_same_moment_none_replaces_the_other(storage: tuple[str, Store]) -> None:
    url, store = storage

    def meanwhile(key: str) -> None:
        store.before_put = lambda key: None
        put_order(url, Order(stop=("second",), trials=9))

    store.before_put = meanwhile
    put_order(url, Order(stop=("first",)))
    order = read_order(store.objects["bucket/runs/one/steer.yaml"])
    assert (order.stop, order.trials) == (("second", "first"), 9)
