"""Asks Claude for draws within a round, under the cap that its proposals are under."""

from typing import Any

from agents.advice.beliefs import Beliefs
from agents.advice.suggestions import Advice, Tray
from agents.claude.advice.aside import Aside
from agents.claude.advice.tools import DrawContext, open_space
from agents.claude.conversation import Conversation
from agents.claude.ending import ending
from agents.claude.prompting import filled, unmarked
from agents.claude.service.replies import Reply
from agents.claude.transcript import Block, Concluded
from agents.findings.bill import LaneId
from agents.findings.digest import history, standing
from agents.findings.findings import Findings
from agents.findings.notebook import Notebook


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


class Consultant(Aside):
    """Requests draws from Claude."""

    def advise(self, findings: Findings, beliefs: Beliefs, most: int, request: int) -> Advice:
        """At most so many draws of the round that runs; see agents.advice.adviser.

        A failure, a refusal or a spent budget ends the request with the draws that were named before it.
        """
        tray = Tray(findings, most)
        context = DrawContext(
            findings=findings,
            notebook=Notebook(findings.notes, findings.round),
            lane=f"draws-{request}",
            beliefs=beliefs,
            tray=tray,
        )
        system = filled("draws_system.md")
        conversation, transcript = self._opened(Consultation, context, system, findings.round - 1)
        opening = _opening(findings, beliefs, tray, most)
        end = ending(lambda: conversation.run(opening), self._claude, "the request for draws")
        refused = tuple(self._claude.plain(reason) for reason in tray.refused)
        transcript.write(Concluded(proposal=None, refused=refused, why=end.why))
        return Advice(draws=tray.draws, lane=self._report(conversation, end, refused=refused))


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
