"""Runs on the loopback S3 server."""

from pathlib import Path

import pytest

from search.storage import object_store
from search.storage.lease import Manifest
from search.storage.mirror import Mirror
from tests.servers.s3 import Store

FIRST = b'{"event": 1}\n'
SECOND = b'{"event": 2}\n'


def begin(path: Path) -> None:
    (path / "rounds/001").mkdir(parents=True)
    (path / "config.yaml").write_text("name: one\n")
    (path / "ledger.jsonl").write_bytes(FIRST)
    (path / "optuna.log").write_bytes(b"a\n")
    (path / "rounds/001/proposal.json").write_text("{}")
    (path / ".lock").touch()


def manifest(store: Store) -> Manifest:
    return Manifest.model_validate_json(store.objects["bucket/runs/one/.mirror.json"])


def held(store: Store, name: str) -> bytes:
    """A file of the run as the storage holds it."""
    return store.objects[f"bucket/runs/one/{manifest(store).object(name)}"]


def claimed(url: str, path: Path, **settings: float) -> Mirror:
    one = Mirror(url, path, **({"lease_s": 0.01} | settings))
    one.take_over()
    return one


def append(path: Path, line: bytes) -> None:
    with path.open("ab") as file:
        file.write(line)


def another_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str = "elsewhere") -> None:
    monkeypatch.setattr(object_store, "LOCAL_COPIES", tmp_path / name)
