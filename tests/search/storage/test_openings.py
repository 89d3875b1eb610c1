import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from search.storage.openings import FOLDER, Opening, Registry
from tests.servers.s3 import Store, s3_server


def opening(run: str, at: float, *examples: str) -> Opening:
    return Opening(run=run, id=f"{run}-id", at=at, examples=examples)


def test_every_opening_of_any_of_the_examples_counts(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "cache")
    assert registry.add(opening("late", 20.0, "a", "b")) == ()
    [late] = registry.add(opening("early", 10.0, "b", "c"))
    assert (late.run, late.at, late.shared) == ("late", 20.0, 1)
    assert registry.add(opening("other", 15.0, "d")) == ()
    found = Registry(tmp_path / "cache").add(opening("last", 30.0, "a", "b"))
    assert [(one.run, one.at, one.shared) for one in found] == [("early", 10.0, 1), ("late", 20.0, 2)]


def test_one_run_may_open_often(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    for at in (1.0, 2.0, 3.0):
        found = registry.add(opening("again", at, "a"))
    assert [one.at for one in found] == [1.0, 2.0]


def test_of_openings_at_once_none_is_lost_and_one_at_least_sees_the_others(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: Registry(tmp_path).add(opening(f"r{i}", float(i), "a")), range(8)))
    assert max(map(len, found)) == 7
    assert len(Registry(tmp_path).add(opening("after", 9.0, "a"))) == 8


def test_a_damaged_entry_is_told_and_the_others_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry = Registry(tmp_path)
    registry.add(opening("whole", 1.0, "a"))
    (tmp_path / FOLDER / "half.json").write_text('{"run": "ha')
    with caplog.at_level(logging.WARNING):
        assert [one.run for one in registry.add(opening("next", 2.0, "a"))] == ["whole"]
    assert "half.json cannot be read" in caplog.text
    assert "an opening may be missing" in caplog.text


def test_a_registry_that_cannot_be_written_raises(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("a file in the way")
    with pytest.raises(OSError, match=FOLDER):
        Registry(tmp_path).add(opening("one", 1.0, "a"))


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with s3_server() as (endpoint, store):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield store


def test_runs_beside_each_other_in_a_bucket_share_a_registry_whatever_their_machines(
    store: Store, tmp_path: Path
) -> None:
    here = Registry(tmp_path / "here", "s3://bucket/runs/one?region=us-east-1")
    assert here.add(opening("one", 1.0, "a")) == ()
    [key] = store.objects
    assert key.startswith(f"bucket/runs/{FOLDER}/")
    there = Registry(tmp_path / "there", "s3://bucket/runs/two/?region=us-east-1")
    assert [one.run for one in there.add(opening("two", 2.0, "a"))] == ["one"]
    again = here.add(opening("one", 3.0, "a"))
    assert [one.run for one in again] == ["one", "two"], "each once, though two places hold one of them"
    elsewhere = Registry(tmp_path / "other", "s3://bucket/elsewhere/one?region=us-east-1")
    assert elsewhere.add(opening("one", 4.0, "a")) == ()
