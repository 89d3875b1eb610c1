"""Requests to Claude beside the lanes of a round: each has a transcript and a report, as a lane has."""

from pathlib import Path
from typing import Any, TypeVar

from agents.claude.budget import Account, Budget
from agents.claude.conversation import Conversation
from agents.claude.ending import Ending
from agents.claude.messages import Claude
from agents.claude.service.replies import without_key
from agents.claude.tools import ToolContext
from agents.claude.transcript import Opened, Transcript
from agents.findings.round_proposal import LaneReport
from agents.settings import ClaudeConfig

AConversation = TypeVar("AConversation", bound=Conversation)


class Aside:
    """What such requests are made with, under a cap that they share with the lanes."""

    def __init__(
        self,
        config: ClaudeConfig,
        claude: Claude,
        budget: Budget,
        account: Account,
        *,
        run_dir: Path | None,
        key: str,
    ) -> None:
        """config: with the model and the effort that are asked. budget: at this model's prices.

        run_dir: where transcripts are kept, None to keep none. key: blotted out of them.
        """
        self._config = config
        self._claude = claude
        self._budget = budget
        self._account = account
        self._run_dir = run_dir
        self._key = key

    def _opened(
        self, kind: type[AConversation], context: ToolContext, system: str, round: int
    ) -> tuple[AConversation, Transcript]:
        """A conversation of this kind, opened in a transcript of its round. system: the instructions."""
        folder = None if self._run_dir is None else self._run_dir / "rounds" / f"{round:03d}"
        transcript = Transcript(folder and folder / f"{context.lane}.jsonl", self._key)
        transcript.write(
            Opened(model=self._config.model, effort=self._config.effort, direction="", system=system)
        )
        conversation = kind(
            claude=self._claude,
            config=self._config,
            budget=self._budget,
            context=context,
            transcript=transcript,
            system=system,
        )
        return conversation, transcript

    def _report(self, conversation: Conversation, end: Ending, **more: Any) -> LaneReport:
        """What it cost, and how it ended. more: what else the report says."""
        found = conversation.conclusion
        return LaneReport(
            lane=conversation.lane_id[1],
            direction="",
            source="claude",
            model=found.model,
            branches=(),
            refusals=without_key(found.refusals, self._claude.plain),
            why=end.why,
            usage=self._account.usage(conversation.lane_id),
            tool_turns=found.tool_turns,
            budget_spent=end.spent,
            **more,
        )
