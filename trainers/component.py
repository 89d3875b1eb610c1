"""The base of every frozen value object in this project."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Frozen(BaseModel):
    """A frozen, keyword-only record that refuses unknown keys, NaN and infinity when it is made."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Component(Frozen):
    """One filler of a method's slot; subclasses fix `kind` and give every parameter bounds and a default.

    The default of a parameter is its value in the component's source, so that naming a component
    without parameters means the published one.
    """

    kind: Annotated[str, Field(description="name of the component")]
