"""The `agent` section of a config: which proposer runs, and how. Needs no SDK."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from agents.language.validation import MAX_BRANCHES
from agents.prices import Price
from trainers.component import Frozen

Effort = Literal["low", "medium", "high", "xhigh", "max"]
Cache = Literal["auto", "5m", "1h"]
Direction = Annotated[str, Field(min_length=1, max_length=400)]
Seconds = Annotated[float, Field(ge=0, le=3600)]
ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@/-]{0,99}$")]
Branches = Annotated[int, Field(ge=1, le=MAX_BRANCHES)]


class PlaybookConfig(Frozen):
    """The built-in playbook proposes: methods from the literature and their variations. Needs no key."""

    kind: Literal["playbook"] = "playbook"
    branches: Annotated[Branches, Field(description="Branches of a proposal.")] = 4


class CriticConfig(Frozen):
    """A second model that reviews each proposed branch before trials are spent on it."""

    model: Annotated[
        ModelName, Field(description="Name of the critic's model in the API; a cheap one will do.")
    ]
    effort: Annotated[Effort, Field(description="How much the critic thinks before it answers.")] = "low"
    refused: Annotated[
        Literal["return", "drop"],
        Field(
            description="What becomes of a branch that the critic refuses. return: it goes back to its lane, "
            "once, and what is refused again is dropped. drop: it is dropped at once."
        ),
    ] = "return"
    max_tokens: Annotated[
        int, Field(ge=1024, le=128_000, description="Most tokens of the critic's answer.")
    ] = 8_000
    prices: Annotated[
        Price | None,
        Field(description="Prices of the critic's model if the built-in table lacks it. null: that table's."),
    ] = None


class ClaudeConfig(Frozen):
    """Claude proposes; the playbook steps in where it cannot."""

    kind: Literal["claude"] = "claude"
    model: Annotated[ModelName, Field(description="Name of the model in the API.")] = "claude-opus-5-5"
    fallbacks: Annotated[
        tuple[ModelName, ...],
        Field(
            max_length=3,
            description="Models that the API itself asks, in turn, where `model` declines a second time. "
            "They need a price in the built-in table.",
        ),
    ] = ()
    other_model: Annotated[
        ModelName | None,
        Field(
            description="Model that is asked where `model` and `fallbacks` decline. It needs a price in the "
            "built-in table. null: the playbook proposes."
        ),
    ] = None
    effort: Annotated[Effort, Field(description="How much the model thinks before it answers.")] = "high"
    efforts: Annotated[
        tuple[Effort, ...],
        Field(
            max_length=32,
            description="Efforts of the first rounds in turn; the last holds for all later ones. Empty: "
            "`effort` in every round.",
        ),
    ] = ()
    cache: Annotated[
        Cache,
        Field(
            description="How long the API keeps what all rounds share: five minutes, or an hour at a dearer "
            "write. auto: an hour where the last two rounds began between 4 and 48 minutes apart."
        ),
    ] = "auto"
    diagnose_cache: Annotated[
        bool,
        Field(
            description="Ask the API (beta) why its cache was missed; the reason goes to the transcript. An "
            "API that refuses the question is not asked again."
        ),
    ] = True
    patience: Annotated[
        float,
        Field(
            ge=0,
            le=86_400,
            description="Seconds that a request may take as a batch, at half price, in rounds that nobody "
            "waits for: all but the first. Then it is sent as usual. 0: no batches. "
            "`faults.proposer_limit_s` bounds the whole round.",
        ),
    ] = 0.0
    branches: Annotated[Branches, Field(description="Most branches of a lane's proposal.")] = 4
    lanes: Annotated[
        int,
        Field(ge=1, le=8, description="Proposers of a round, at the same time, each with its own direction."),
    ] = 3
    directions: Annotated[
        tuple[Direction, ...],
        Field(
            max_length=32,
            description="Directions that lanes take in turn. Empty: drawn from "
            "agents/claude/prompts/directions.md.",
        ),
    ] = ()
    suggestions: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Largest share of the search's draws that Claude names itself, asked within a round "
            "and shown what the surrogate believes. 0: it proposes branches alone.",
        ),
    ] = 0.3
    critic: Annotated[
        CriticConfig | None,
        Field(description="A critic of proposed branches, under the same cap of dollars. null: none."),
    ] = None
    samples: Annotated[
        int,
        Field(
            ge=0,
            le=32,
            description="Inputs of the transfer split that Claude sees, without labels, long ones shortened.",
        ),
    ] = 0
    tool_turns: Annotated[
        int, Field(ge=0, le=32, description="Most answers of a lane in a round that may call tools.")
    ] = 8
    earlier: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...],
        Field(
            max_length=8,
            description="Directories or URLs of earlier runs, whose branches and trials of the search Claude "
            "may read. None whose scores tell of a hidden task or of examples of the test split.",
        ),
    ] = ()
    reading: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...],
        Field(
            max_length=16,
            description="Files for Claude to read, Markdown or plain text of at most 2 MB each: their "
            "beginnings in its instructions, the rest by its tools.",
        ),
    ] = ()
    web_search: Annotated[
        int,
        Field(
            ge=0,
            le=8,
            description="Most questions of a lane in a round to Anthropic's web search, where the account "
            "allows it. Each is a request of its own that holds the question alone. 0: the web is not asked.",
        ),
    ] = 0
    notes: Annotated[
        Annotated[str, Field(min_length=1)] | None,
        Field(
            description="File in which the notes of lanes outlive a campaign, and which campaigns share; the "
            "200 newest are kept. null: notes stay in their run."
        ),
    ] = None
    max_tokens: Annotated[int, Field(ge=1024, le=128_000, description="Most tokens of an answer.")] = 32_000
    max_usd: Annotated[
        float,
        Field(ge=0, le=100_000, description="Hard cap on the cost of the whole campaign, in US dollars."),
    ] = 5.0
    prices: Annotated[
        Price | None,
        Field(description="Prices of a model that the built-in table lacks. null: that table's."),
    ] = None
    key_file: Annotated[
        str | None,
        Field(
            description="File with the API key, read if ANTHROPIC_API_KEY is not set. The key is never "
            "written anywhere. null: no file."
        ),
    ] = None
    base_url: Annotated[
        Annotated[str, Field(pattern=r"^https?://[^\s@]+$")] | None,
        Field(description="Another address of the API. null: Anthropic's."),
    ] = None
    timeout_s: Annotated[
        float, Field(gt=0, le=3600, description="Longest wait for an answer, in seconds.")
    ] = 900.0
    retries: Annotated[
        int,
        Field(ge=0, le=10, description="Quick retries of a request. Each attempt counts against max_usd."),
    ] = 2
    backoff_s: Annotated[
        tuple[Seconds, ...],
        Field(
            max_length=10,
            description="Waits before further tries after the quick retries, in seconds each.",
        ),
    ] = (10.0, 60.0)

    def effort_of(self, round: int) -> Effort:
        """The effort of a round, counted from 1."""
        return self.efforts[min(round, len(self.efforts)) - 1] if self.efforts else self.effort

    @model_validator(mode="after")
    def _key_file_is_a_file(self) -> "ClaudeConfig":
        if self.key_file is not None and (self.key_file.startswith("sk-") or "\n" in self.key_file):
            raise ValueError("key_file must be the path of a file; a key itself would stand in config.yaml")
        return self

    @model_validator(mode="after")
    def _all_lanes_fit_in_a_proposal(self) -> "ClaudeConfig":
        if self.lanes * self.branches > MAX_BRANCHES:
            raise ValueError(
                f"lanes x branches must be at most {MAX_BRANCHES}, got {self.lanes} x {self.branches}: "
                "lower one of them"
            )
        return self


class ReplayConfig(Frozen):
    """Proposals come from the transcripts of an earlier run, again and without a key."""

    kind: Literal["replay"] = "replay"
    path: Annotated[str, Field(description="Directory of that run.")]
    branches: Annotated[
        Branches,
        Field(description="Branches of a proposal of the playbook, which goes on where the transcripts end."),
    ] = 4


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
