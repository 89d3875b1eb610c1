"""The base of every frozen value object in this project."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Frozen(BaseModel):
    """A frozen, keyword-only record; validation refuses unknown keys, NaN and infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Component(Frozen):
    """A component of a slot; subclasses fix `kind` and give every parameter bounds and a default.

    Defaults are the values of the publication that a component comes from, so that a component named without
    parameters is the published one.
    """

    kind: Annotated[str, Field(description="name of the component")]
