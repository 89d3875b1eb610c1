import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from search.storage import lease as module
from search.storage.bucket import Bucket
from search.storage.lease import MANIFEST, Lease, LostRunError, Manifest, Owner, safe_name, this_process
from tests.servers.s3 import Store

KEY = f"bucket/runs/one/{MANIFEST}"


def lease(url: str, lease_s: float = 0.01) -> Lease:
    return Lease(url, Bucket(url), lease_s)


def planted(store: Store, owner: Owner, **changes: object) -> None:
    manifest = Manifest(owner=owner, epoch=3, beat=1, released=False, held=3, files=("a",), sizes={})
    store.objects[KEY] = manifest.model_copy(update=changes).model_dump_json().encode()


ELSEWHERE = this_process().model_copy(update={"host": "other"})


def meet(count: int) -> Callable[[str], None]:
    """Lets the first so many writes go on only once all have come: each has seen the same before."""
    barrier, turns = Barrier(count), iter(range(count))

    def wait(key: str) -> None:
        if next(turns, None) is not None:
            barrier.wait(10)

    return wait


def test_two_claims_at_once_one_wins(storage: tuple[str, Store], monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight times: of a new run, and of one that was left behind and waited for."""
    url, store = storage

    def claim(one: Lease) -> int | str:
        try:
            return one.claim().epoch
        except ValueError as error:
            return str(error)

    for planted_first in (False, True) * 4:
        store.objects.clear()
        if planted_first:
            planted(store, ELSEWHERE)
        store.before_put = meet(4)
        with ThreadPoolExecutor(4) as pool:
            outcomes = list(pool.map(claim, [lease(url) for _ in range(4)]))
        losers = [outcome for outcome in outcomes if isinstance(outcome, str)]
        assert [outcome for outcome in outcomes if isinstance(outcome, int)] == [4 if planted_first else 1]
        assert len(losers) == 3
        assert all("is at work on this run; stop it first" in loser and "\n" not in loser for loser in losers)


def test_who_slept_while_another_took_over_is_told_at_its_next_write(storage: tuple[str, Store]) -> None:
    url, store = storage
    slept, next_owner = lease(url), lease(url)
    slept.claim()
    planted(store, ELSEWHERE, **{"epoch": 1})
    assert next_owner.claim().epoch == 2
    before = dict(store.objects)
    for call in (slept.beat, lambda: slept.sign(("a",), {}, released=True)):
        with pytest.raises(
            LostRunError, match=r"another process \(.*, process \d+\) has taken over this run; this one"
        ):
            call()
    assert store.objects == before
    next_owner.beat()
    next_owner.sign(("a",), {}, released=True)


def test_a_beat_during_the_wait_keeps_the_run(
    storage: tuple[str, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, store = storage
    planted(store, ELSEWHERE)
    waits: list[float] = []

    def beating(seconds: float) -> None:
        waits.append(seconds)
        planted(store, ELSEWHERE, beat=2)

    monkeypatch.setattr(module.time, "sleep", beating)
    with pytest.raises(ValueError, match=r"another process \(other, process \d+\) is at work on this run"):
        lease(url, 30.0).claim()
    assert waits == [3.0]  # seconds of the thirty
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    assert lease(url).claim().epoch == 4


def died() -> Owner:
    """A process of this machine that has ended."""
    code = "from search.storage.lease import this_process; print(this_process().model_dump_json())"
    return Owner.model_validate_json(subprocess.check_output([sys.executable, "-c", code]))


def test_only_a_process_of_this_machine_and_namespace_can_be_known_to_be_dead(
    storage: tuple[str, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not waited for: a dead neighbour, also when its number is another process's now."""
    url, store = storage
    waits: list[float] = []
    monkeypatch.setattr(module.time, "sleep", waits.append)
    dead, alive = died(), this_process()
    reused = dead.model_copy(update={"pid": os.getpid()})
    assert (dead.has_died, reused.has_died, alive.has_died) == (True, True, False)
    for owner in (dead, reused):
        planted(store, owner)
        lease(url).claim()
    assert waits == []
    for change in (
        {"host": "other"},
        {"boot": "another"},
        {"namespace": "pid:[1]"},
        {"namespace": ""},
        {"boot": ""},
    ):
        owner = dead.model_copy(update=change)
        assert not owner.has_died
        planted(store, owner)
        lease(url).claim()
    assert sum(waits) == pytest.approx(5 * 0.01)


@pytest.mark.parametrize(
    "name",
    [
        "../out",
        "a/../../out",
        "/etc/passwd",
        "a//b",
        "./a",
        "",
        "a\\..\\b",
        "a\n",
        ".mirror.json",
        ".lock",
        "wandb/settings",
    ],
)
def test_a_planted_name_is_refused(name: str, storage: tuple[str, Store]) -> None:
    url, store = storage
    for change in ({"files": (name,)}, {"sizes": {name: 1}}):
        planted(store, ELSEWHERE, **change)
        for call in (lease(url).look, lease(url).claim):
            with pytest.raises(
                ValueError, match=r"s3://bucket/runs/one.*: it names the file .*, which no run holds"
            ) as caught:
                call()
            assert "\n" not in str(caught.value)


def test_names_of_a_run_are_taken() -> None:
    for name in (
        "config.yaml",
        "rounds/001/proposal.json",
        "checkpoints/t1/stage-0/steps-4/state/a.pt",
        "a..b",
        "é",
    ):
        assert safe_name(name) == name


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"owner": "h/1/a", "beat": 1, "sizes": {}, "released": false}']
)
def test_a_manifest_of_another_version_is_one_line(content: bytes, storage: tuple[str, Store]) -> None:
    url, store = storage
    store.objects[KEY] = content
    with pytest.raises(ValueError, match="is damaged, or of another version"):
        lease(url).claim()


def test_a_storage_without_conditions_is_refused(storage: tuple[str, Store]) -> None:
    url, store = storage
    store.lax = True
    with pytest.raises(ValueError, match=r"this storage has no conditional writes \(If-Match\)"):
        lease(url).claim()
