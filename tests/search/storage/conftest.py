from collections.abc import Iterator
from pathlib import Path

import pytest

from search.storage import object_store
from tests.servers.s3 import Store, s3_server


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Store]]:
    """The URL of a run on a loopback S3 server, and what the server holds."""
    with s3_server() as (endpoint, store):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setattr(object_store, "LOCAL_COPIES", tmp_path / "copies")
        yield "s3://bucket/runs/one?region=us-east-1", store
