"""The `agent` section of a config: which proposer runs, and how. Needs no SDK."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from agents.language.validation import MAX_BRANCHES
from agents.prices import Price
from trainers.component import Frozen

Effort = Literal["low", "medium", "high", "xhigh", "max"]
Direction = Annotated[str, Field(min_length=1, max_length=400)]
Seconds = Annotated[float, Field(ge=0, le=3600)]
Branches = Annotated[int, Field(ge=1, le=MAX_BRANCHES)]


class PlaybookConfig(Frozen):
    """The proposer that needs no key."""

    kind: Literal["playbook"] = "playbook"
    branches: Branches = 4


class ClaudeConfig(Frozen):
    """Claude proposes; the playbook steps in where it cannot.

    branches: at most so many a lane. lanes: so many proposers a round, at the same time, each with a
    direction of its own: `directions` in turn, or drawn from agents/claude/prompts/directions.md.
    samples: so many inputs of the transfer split are shown to it, without labels and cut where they are long.
    tool_turns: how often a lane may look things up in a round. max_usd: hard cap over the whole campaign.
    prices: for a model that the table does not know. key_file: read where ANTHROPIC_API_KEY is not set; the
    key itself is never written anywhere. base_url: another address of the API. retries: the SDK's own, a
    request; backoff_s: waits before trying again after those.
    """

    kind: Literal["claude"] = "claude"
    model: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@/-]{0,99}$")] = "claude-opus-5-5"
    effort: Effort = "high"
    branches: Branches = 4
    lanes: Annotated[int, Field(ge=1, le=8)] = 1
    directions: Annotated[tuple[Direction, ...], Field(max_length=32)] = ()
    samples: Annotated[int, Field(ge=0, le=32)] = 0
    tool_turns: Annotated[int, Field(ge=0, le=32)] = 8
    max_tokens: Annotated[int, Field(ge=1024, le=128_000)] = 32_000
    max_usd: Annotated[float, Field(ge=0, le=100_000)] = 5.0
    prices: Price | None = None
    key_file: str | None = None
    base_url: Annotated[str, Field(pattern=r"^https?://[^\s@]+$")] | None = None
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = 900.0
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    backoff_s: Annotated[tuple[Seconds, ...], Field(max_length=10)] = (10.0, 60.0)

    @model_validator(mode="after")
    def _all_lanes_fit_in_a_proposal(self) -> "ClaudeConfig":
        if self.lanes * self.branches > MAX_BRANCHES:
            raise ValueError(
                f"lanes x branches must be at most {MAX_BRANCHES}, got {self.lanes} x {self.branches}"
            )
        return self


class ReplayConfig(Frozen):
    """Proposes what the transcripts of another run hold.

    path: that run's directory. branches: of the playbook, which goes on where the transcripts end.
    """

    kind: Literal["replay"] = "replay"
    path: str
    branches: Branches = 4


def _kind(value: Any) -> str:
    given = (
        value.get("kind", "playbook") if isinstance(value, Mapping) else getattr(value, "kind", "playbook")
    )
    return str(given)


AgentConfig = Annotated[
    Annotated[PlaybookConfig, Tag("playbook")]
    | Annotated[ClaudeConfig, Tag("claude")]
    | Annotated[ReplayConfig, Tag("replay")],
    Discriminator(_kind),
]
