"""A proposer's usage: requests, tokens and dollars."""

from typing import Annotated

from pydantic import Field

from trainers.component import Frozen

Count = Annotated[int, Field(ge=0)]


class Usage(Frozen):
    """Answered requests, their tokens and dollars; `input_tokens` counts only tokens outside the cache."""

    requests: Count = 0
    input_tokens: Count = 0
    cache_write_tokens: Count = 0
    cache_read_tokens: Count = 0
    output_tokens: Count = 0
    usd: Annotated[float, Field(ge=0)] = 0.0

    @property
    def all_input_tokens(self) -> int:
        """Every input token, from the cache or not."""
        return self.input_tokens + self.cache_write_tokens + self.cache_read_tokens

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in Usage.model_fields})
