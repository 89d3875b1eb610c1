from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from search.storage.bucket import Bucket, TakenError
from tests.servers.s3 import Store, s3_server


def test_objects_are_written_read_listed_and_removed(storage: tuple[str, Store]) -> None:
    url, store = storage
    bucket, large = Bucket(url), b"12345678" * 1_000_000  # sent in parts
    bucket.write("a/b", b"1")
    bucket.write("large", large)
    assert store.objects == {"bucket/runs/one/a/b": b"1", "bucket/runs/one/large": large}
    assert (bucket.read("a/b"), bucket.read("large"), sorted(bucket.names())) == (
        b"1",
        large,
        ["a/b", "large"],
    )
    bucket.remove(["large", "never there"])
    assert bucket.names() == ["a/b"]
    with pytest.raises(FileNotFoundError):
        bucket.read("large")
    assert bucket.read_version("large") is None


def test_of_many_writes_on_the_same_version_one_succeeds(storage: tuple[str, Store]) -> None:
    url, store = storage
    version = Bucket(url).write_if("a", b"first", None)
    for condition in (None, version):
        seen = Bucket(url).read("a")

        def attempt(i: int, condition: object = condition) -> bool:
            try:
                Bucket(url).write_if("a", b"%d" % i, condition)
            except TakenError:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(attempt, range(8)))
        assert sum(won) == (condition is not None)
        assert store.objects["bucket/runs/one/a"] == (b"%d" % won.index(True) if any(won) else seen)
    del store.objects["bucket/runs/one/a"]
    with pytest.raises(TakenError):
        Bucket(url).write_if("a", b"x", version)


def test_a_write_whose_answer_was_lost_counts(storage: tuple[str, Store]) -> None:
    url, store = storage
    store.objects["bucket/runs/one/a"] = b"mine"  # an earlier try of the same request
    version = Bucket(url).write_if("a", b"mine", None)
    assert Bucket(url).write_if("a", b"next", version)


def test_a_storage_that_ignores_conditions_is_noticed(storage: tuple[str, Store]) -> None:
    url, store = storage
    bucket = Bucket(url)
    bucket.write("a", b"1")
    assert bucket.honours_conditions("a", b"1")
    store.lax = True
    assert not bucket.honours_conditions("a", b"1")


def test_what_the_storage_refuses_is_an_os_error_of_one_line(storage: tuple[str, Store]) -> None:
    url, store = storage
    store.down = True
    for call in (
        lambda: Bucket(url).read("a"),
        lambda: Bucket(url).write("a", b""),
        lambda: Bucket(url).write_if("a", b"", None),
        lambda: Bucket(url).names(),
    ):
        with pytest.raises(OSError, match=r"AccessDenied|privileges|403") as caught:
            call()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("nowhere://x/y", "no nowhere:// here"),
        ("memory://x", "no memory:// here"),
        ("s3://b/r?colour=1", "colour is not"),
    ],
)
def test_a_url_of_no_known_kind_is_one_line(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"cannot hold a run .*{reason}") as caught:
        Bucket(url)
    assert str(caught.value).startswith(url)
    assert "\n" not in str(caught.value)


def test_keys_come_from_the_user_s_profile_where_the_environment_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_PROFILE", "lab")
    for name, text in (
        ("AWS_SHARED_CREDENTIALS_FILE", "[lab]\naws_access_key_id = k%y\naws_secret_access_key = s\n"),
        ("AWS_CONFIG_FILE", "[profile lab]\nregion = eu-west-1\n[profile sso]\nsso_session = x\n"),
    ):
        (tmp_path / name).write_text(text)
        monkeypatch.setenv(name, str(tmp_path / name))
    with s3_server() as (endpoint, store):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        Bucket("s3://bucket/run").write("a", b"1")
        [signed] = store.signed
        assert "Credential=k%y/" in signed
        assert "/eu-west-1/s3/" in signed
    monkeypatch.setenv("AWS_PROFILE", "sso")
    with pytest.raises(ValueError, match="the AWS profile sso has no keys of its own; pip install boto3"):
        Bucket("s3://bucket/run")
