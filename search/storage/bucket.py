"""The objects below a URL in object storage, with writes that fail if somebody else has written meanwhile."""

import os
from collections.abc import Iterable, Iterator, Mapping
from configparser import ConfigParser
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from trainers.lazy import LazyModule

if TYPE_CHECKING:
    from obstore import UpdateVersion

# A run on a disk needs none of these.
obstore, stores = LazyModule("obstore"), LazyModule("obstore.store")
refusals, aws = LazyModule("obstore.exceptions"), LazyModule("obstore.auth.boto3")

SCHEMES = ("s3", "gs", "az")
PATIENCE = timedelta(seconds=20)  # for a request and its retries
OPTIONS = {"region": "region", "endpoint": "endpoint", "endpoint_override": "endpoint"}  # after the URL's ?
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")


class TakenError(Exception):
    """Another process has written the object since this one read it."""


class Bucket:
    """The objects below a URL, by names relative to it."""

    def __init__(self, url: str) -> None:
        """Raises ValueError, one line, for a URL of another kind and for unusable credentials."""
        parts = urlsplit(url)
        if "@" in parts.netloc:
            raise ValueError(
                "--out: a key in the URL would be printed and kept; set it in the environment, as "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
        try:
            if parts.scheme not in SCHEMES:
                raise ValueError(f"no {parts.scheme}:// here")
            self._store = _store(parts.scheme, f"{parts.scheme}://{parts.netloc}{parts.path}", parts.query)
        except (ValueError, ImportError, refusals.BaseError) as error:
            raise ValueError(
                f"{url}: cannot hold a run ({line(error)}); use s3://, gs://, az:// or a path"
            ) from None

    def read(self, name: str) -> bytes:
        """An object; raises FileNotFoundError if it is missing."""
        with _os_errors():
            return bytes(obstore.get(self._store, name).bytes())

    def read_version(self, name: str) -> tuple[bytes, "UpdateVersion"] | None:
        """An object and its version; None if it is missing."""
        try:
            with _os_errors():
                found = obstore.get(self._store, name)
                return bytes(found.bytes()), _version(found.meta)
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes | IO[bytes]) -> None:
        """Write an object, whatever was there."""
        with _os_errors():
            obstore.put(self._store, name, content)

    def write_if(self, name: str, content: bytes, version: "UpdateVersion | None") -> "UpdateVersion":
        """Write an object only if it has this version, or, for None, is missing; returns its new version.

        Raises TakenError if it has another.
        """
        if (put := self._put_if(name, content, version)) is not None:
            return put
        written = self.read_version(name)
        if written is not None and written[0] == content:  # the answer to an earlier try was lost
            return written[1]
        raise TakenError(name)

    def _put_if(self, name: str, content: bytes, version: "UpdateVersion | None") -> "UpdateVersion | None":
        """Write an object on a condition; None if that fails."""
        try:
            with _os_errors():
                mode = "create" if version is None else version
                return _version(obstore.put(self._store, name, content, mode=mode))
        except _ConditionError:
            return None
        except FileNotFoundError:
            if version is None:  # there is no such bucket
                raise
            return None

    def honours_conditions(self, name: str, content: bytes) -> bool:
        """Whether the storage refuses writes whose condition fails. content: what the object holds."""
        wrong: UpdateVersion = {"e_tag": '"0"', "version": "0"}
        return self._put_if(name, content, None) is None and self._put_if(name, content, wrong) is None

    def names(self) -> list[str]:
        """The names of all objects."""
        with _os_errors():
            return [found["path"] for found in obstore.list(self._store).collect()]

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects; a missing one is no error."""
        if listed := list(names):
            with _os_errors():
                obstore.delete(self._store, listed)


class _ConditionError(Exception):
    """A write's condition does not hold."""


@contextmanager
def _os_errors() -> Iterator[None]:
    """Raise the library's errors as OSError, except that a condition does not hold."""
    try:
        yield
    except (refusals.AlreadyExistsError, refusals.PreconditionError) as error:
        raise _ConditionError from error
    except refusals.BaseError as error:
        raise OSError(line(error)) from error


def _version(about: Any) -> "UpdateVersion":
    """The parts of an object's version that the storage has: S3 an ETag, Google Cloud a generation."""
    version: UpdateVersion = {}
    if about["e_tag"] is not None:
        version["e_tag"] = about["e_tag"]
    if about["version"] is not None:
        version["version"] = about["version"]
    return version


def _store(scheme: str, url: str, query: str) -> Any:
    options = dict(parse_qsl(query))
    if unknown := options.keys() - OPTIONS.keys():
        raise ValueError(f"{min(unknown)} is not an option, only {', '.join(OPTIONS)} are")
    settings = {OPTIONS[name]: value for name, value in options.items()}
    endpoint = settings.get("endpoint") or next(
        (os.environ[name] for name in ENDPOINTS if name in os.environ), ""
    )
    more: dict[str, Any] = {}
    if scheme == "s3":
        settings, more["credential_provider"] = _aws_profile(settings)
    return stores.from_url(
        url,
        config=settings,
        client_options={"allow_http": endpoint.startswith("http://"), "timeout": PATIENCE},
        retry_config={"max_retries": 4, "retry_timeout": PATIENCE},
        **more,
    )


def _aws_profile(settings: Mapping[str, str]) -> tuple[dict[str, str], Any]:
    """Keys and region of the profile in ~/.aws, unless the environment has its own; and what provides them.

    boto3, where it is installed, takes care of a profile without keys, such as SSO. Without a profile the
    library itself asks the machine or the pod for its role.
    """
    profile = os.environ.get("AWS_PROFILE", "default")
    keys = _section("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials", profile)
    about = _section(
        "AWS_CONFIG_FILE", "~/.aws/config", profile if profile == "default" else f"profile {profile}"
    )
    found = {} if {"AWS_REGION", "AWS_DEFAULT_REGION"} & os.environ.keys() else _only(about, "region")
    if "AWS_ACCESS_KEY_ID" in os.environ:
        return {**found, **settings}, None
    if "aws_access_key_id" in keys:
        names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
        return {**found, **_only(keys, *names), **settings}, None
    if about.keys() & {"sso_session", "sso_start_url", "role_arn", "credential_process"}:
        try:
            return {**found, **settings}, aws.Boto3CredentialProvider()
        except ImportError:
            raise ValueError(f"the AWS profile {profile} has no keys of its own; pip install boto3") from None
    return {**found, **settings}, None


def _section(variable: str, usual: str, name: str) -> Mapping[str, str]:
    parser = ConfigParser(interpolation=None)
    parser.read(Path(os.environ.get(variable, usual)).expanduser())
    return parser[name] if parser.has_section(name) else {}


def _only(section: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: section[name] for name in names if name in section}


def line(error: BaseException) -> str:
    """What an error says, in one line of at most 300 characters."""
    return " ".join(str(error).partition("Debug source:")[0].split())[:300]
