"""Asks Claude for draws within a round, under the cap that its proposals are under."""

import logging
from pathlib import Path
from typing import Any

from agents.advice.beliefs import Beliefs
from agents.advice.suggestions import Advice, Tray
from agents.claude.advice.tools import DrawContext, open_space
from agents.claude.budget import Account, AccountClosedError, Budget, BudgetSpentError
from agents.claude.conversation import Conversation, NoProposalError
from agents.claude.messages import Claude
from agents.claude.prompting import filled, unmarked
from agents.claude.service.replies import Reply, without_key
from agents.claude.transcript import Block, Concluded, Opened, Transcript
from agents.findings.bill import LaneId
from agents.findings.digest import history, standing
from agents.findings.findings import Findings
from agents.findings.notebook import Notebook
from agents.findings.round_proposal import LaneReport
from agents.settings import ClaudeConfig

log = logging.getLogger(__name__)


class Consultation(Conversation):
    """A conversation that names draws by tool calls; its last message is not read."""

    no_turn_left = "no tool turn is left; what you named is taken"

    @property
    def lane_id(self) -> LaneId:
        """The round that runs, not the next."""
        return self._context.findings.round - 1, self._context.lane

    def format(self) -> dict[str, Any]:
        """None: a text."""
        return {}

    def _accept(self, reply: Reply) -> bool:
        return True


class Consultant:
    """Requests draws from Claude."""

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
        """run_dir: where transcripts are kept, None to keep none. key: blotted out of them."""
        self._config = config
        self._claude = claude
        self._budget = budget
        self._account = account
        self._run_dir = run_dir
        self._key = key

    def advise(self, findings: Findings, beliefs: Beliefs, most: int, request: int) -> Advice:
        """At most so many draws of the round that runs; see agents.advice.adviser.

        A failure, a refusal or a spent budget ends the request with the draws that were named before it.
        """
        lane, tray = f"draws-{request}", Tray(findings, most)
        transcript = Transcript(self._path(findings.round - 1, lane), self._key)
        system = filled("draws_system.md")
        transcript.write(
            Opened(model=self._config.model, effort=self._config.effort, direction="", system=system)
        )
        context = DrawContext(
            findings=findings,
            notebook=Notebook(findings.notes, findings.round),
            lane=lane,
            beliefs=beliefs,
            tray=tray,
        )
        conversation = Consultation(
            claude=self._claude,
            config=self._config,
            budget=self._budget,
            context=context,
            transcript=transcript,
            system=system,
        )
        why, spent = None, False
        try:
            conversation.run(_opening(findings, beliefs, tray, most))
        except (NoProposalError, AccountClosedError) as error:
            why = self._claude.plain(error)
        except BudgetSpentError as error:
            why, spent = str(error), True
        except Exception as error:  # the boundary of a request: the round goes on
            log.exception("the request for draws failed")
            why = f"{type(error).__name__}: {self._claude.plain(error)}"
        refused = tuple(self._claude.plain(reason) for reason in tray.refused)
        transcript.write(Concluded(proposal=None, refused=refused, why=why))
        report = LaneReport(
            lane=lane,
            direction="",
            source="claude",
            model=conversation.conclusion.model,
            branches=(),
            refused=refused,
            refusals=without_key(conversation.conclusion.refusals, self._claude.plain),
            why=why,
            usage=self._account.usage(conversation.lane_id),
            tool_turns=conversation.conclusion.tool_turns,
            budget_spent=spent,
        )
        return Advice(draws=tray.draws, lane=report)

    def _path(self, round: int, lane: str) -> Path | None:
        if self._run_dir is None:
            return None
        return self._run_dir / "rounds" / f"{round:03d}" / f"{lane}.jsonl"


def _opening(findings: Findings, beliefs: Beliefs, tray: Tray, most: int) -> list[Block]:
    """What Claude is asked."""
    live = [found.branch for found in findings.branches if found.live]
    text = filled(
        "draws.md",
        record=unmarked(history(findings) + standing(findings)),
        space=unmarked(open_space(live)),
        scores=beliefs.scores,
        most=most,
    )
    return [{"type": "text", "text": text}]
