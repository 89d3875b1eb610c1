"""The settings of a model: one from the hub, or a toy model."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trainers.component import Frozen

Pool = Literal["last", "mean", "cls"]
Readout = Literal["head", "label_tokens"]

_READOUT = "head: a linear classifier on the body; label_tokens: the next word of the language model"


class HubModel(Frozen):
    """A pretrained encoder or decoder, from the hub or from a folder."""

    kind: Literal["hub"] = "hub"
    path: Annotated[str, Field(min_length=1, description="hub id or folder")]
    revision: Annotated[str | None, Field(description="hub branch, tag or commit; null: main")] = None
    max_length: Annotated[int, Field(ge=8, le=1_048_576, description="tokens kept of an example")]
    pool: Annotated[
        Literal["auto"] | Pool,
        Field(description="hidden states to read; auto: a decoder's last token, the mean of an encoder's"),
    ] = "auto"
    dtype: Annotated[
        Literal["float32", "bfloat16"], Field(description="data type of the pretrained weights")
    ] = "float32"
    readout: Annotated[Readout, Field(description=_READOUT)] = "head"

    @model_validator(mode="after")
    def _label_tokens_come_last(self) -> Self:
        if self.readout == "label_tokens" and self.pool not in ("auto", "last"):
            raise ValueError(
                f"readout label_tokens reads the last token, got pool {self.pool}: leave it at auto"
            )
        return self


class ToyModel(Frozen):
    """A tiny model for the toy task; only the strong size is pretrained, the weak size starts at random."""

    kind: Literal["toy"] = "toy"
    size: Annotated[Literal["weak", "strong"], Field(description="weak: 1 layer; strong: 3 layers")]
    pretrain_steps: Annotated[
        int, Field(ge=1, le=10_000, description="optimizer steps of pretraining, of the strong size only")
    ] = 500
    readout: Annotated[Readout, Field(description=_READOUT)] = "head"


ModelConfig = Annotated[HubModel | ToyModel, Field(discriminator="kind")]
