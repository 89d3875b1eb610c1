import pytest
from pydantic import TypeAdapter, ValidationError

from trainers.models.settings import HubModel, ModelConfig, ToyModel

MODEL: TypeAdapter[HubModel | ToyModel] = TypeAdapter(ModelConfig)


def test_the_kind_chooses_the_model() -> None:
    hub = {"kind": "hub", "path": "Qwen/Qwen3-4B", "max_length": 512}
    assert MODEL.validate_python(hub) == HubModel(path="Qwen/Qwen3-4B", max_length=512)
    assert MODEL.validate_python({"kind": "toy", "size": "weak"}) == ToyModel(size="weak")


@pytest.mark.parametrize("pool", ["auto", "last"])
def test_label_tokens_are_read_at_the_last_token(pool: str) -> None:
    settings = {"path": "a/b", "max_length": 16, "readout": "label_tokens", "pool": pool}
    assert HubModel.model_validate(settings).pool == pool


@pytest.mark.parametrize("pool", ["mean", "cls"])
def test_label_tokens_cannot_be_read_anywhere_else(pool: str) -> None:
    settings = {"path": "a/b", "max_length": 16, "readout": "label_tokens", "pool": pool}
    with pytest.raises(ValidationError, match=f"got pool {pool}: leave it at auto"):
        HubModel.model_validate(settings)
