import pytest
from pydantic import ValidationError

from search.config.services import OptunaConfig, TrackingConfig


def test_a_password_is_named_and_never_written() -> None:
    assert OptunaConfig(storage="postgresql://me:${OPTUNA_PASSWORD}@host/db").storage
    for url in ("postgresql://me:secret@host/db", "mysql://host/db?password=secret"):
        with pytest.raises(ValidationError, match="must name its password's variable") as caught:
            OptunaConfig(storage=url)
        assert "secret" not in caught.value.errors()[0]["msg"]


def test_a_file_is_no_storage() -> None:
    with pytest.raises(ValidationError, match="must be a database's URL"):
        OptunaConfig(storage="studies.db")


def test_off_as_yaml_reads_it() -> None:
    assert TrackingConfig.model_validate({"kind": False}).kind == "off"
    with pytest.raises(ValidationError):
        TrackingConfig.model_validate({"kind": True})
