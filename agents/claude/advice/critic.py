"""A critic: a second and cheaper model that looks at each branch before trials are spent on it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.claude.advice.aside import Aside
from agents.claude.budget import Account, AccountClosedError, Budget, BudgetSpentError
from agents.claude.conversation import Conversation, NoProposalError
from agents.claude.ending import ending
from agents.claude.messages import Claude
from agents.claude.prompting import filled, unmarked
from agents.claude.service.replies import Reply
from agents.claude.tools import Tool, ToolContext
from agents.claude.transcript import Block, Concluded
from agents.findings.digest import history, space, standing
from agents.findings.findings import Findings
from agents.findings.notebook import Notebook
from agents.findings.review import Review, Reviews, objections, read_reviews
from agents.findings.round_proposal import LaneReport
from agents.language.proposal import Branch, Proposal, strict_schema
from agents.language.validation import Problem
from agents.prices import price_of
from agents.settings import ClaudeConfig

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _NoTools(ToolContext):
    @property
    def tools(self) -> dict[str, Tool]:
        """None: a critic answers at once."""
        return {}


class _Criticism(Conversation):
    """One question and one answer."""

    reviews: tuple[Review, ...] = ()
    proposal: Proposal

    def format(self) -> dict[str, Any]:
        """The schema of reviews."""
        return strict_schema(Reviews)

    def _accept(self, reply: Reply) -> bool:
        try:
            self.reviews = read_reviews(reply.text, self.proposal)
        except ValueError as error:
            raise NoProposalError(str(error)) from None
        return True


def new_critic(
    config: ClaudeConfig, budget: Budget, account: Account, *, run_dir: Path | None, key: str
) -> "Critic | None":
    """The critic that the config names, None if it names none; ValueError if its model has no price."""
    critic = config.critic
    if critic is None:
        return None
    price = price_of(critic.model, critic.prices, "agent.critic.model")
    own = {"model": critic.model, "effort": critic.effort, "max_tokens": critic.max_tokens, "tool_turns": 0}
    own |= {"fallbacks": (), "other_model": None}  # a critic that declines costs no branch
    config = config.model_copy(update=own)
    claude = Claude(config, price, key)
    return Critic(config, claude, budget.at(price), account, run_dir=run_dir, key=key)


class Critic(Aside):
    """Reviews proposals. Whatever fails costs no branch: those without a review are kept."""

    def review(self, proposal: Proposal, findings: Findings, lane: str) -> LaneReport:
        """The reviews of a lane's proposal, with what they cost; `why` says why there are none."""
        notebook = Notebook(findings.notes, findings.round)
        context = _NoTools(findings=findings, notebook=notebook, lane=f"critic-{lane}")
        system = filled("critic_system.md")
        criticism, transcript = self._opened(_Criticism, context, system, findings.round)
        criticism.proposal = proposal
        opening = _opening(proposal.branches, findings)
        end = ending(lambda: criticism.run(opening), self._claude, f"the critic of lane {lane}")
        transcript.write(Concluded(proposal=None, refused=(), why=end.why))
        return self._report(criticism, end, reviews=criticism.reviews)


def reviewed(
    critic: Critic, conversation: Conversation, findings: Findings, lane: str, settings: ClaudeConfig
) -> LaneReport | None:
    """Let a critic review what a lane's conversation came to; its report, None where there is no branch.

    Refused branches become problems of the conclusion, and so are left out of the round. With `return` they
    go back to the lane before, once; where that fails, the others of the first answer stay.
    """
    assert settings.critic is not None
    report, wrong = _reviewed(critic, conversation, findings, lane, settings.branches)
    if report is None or not wrong or settings.critic.refused == "drop":
        return report
    before = conversation.conclusion
    try:
        conversation.revise(wrong)
    except (NoProposalError, AccountClosedError, BudgetSpentError) as error:
        conversation.conclude(before)
        log.warning("lane %s did not answer its critic: %s", lane, error)
        return report
    again, _ = _reviewed(critic, conversation, findings, lane, settings.branches)
    if again is None:
        conversation.conclude(before)
        return report
    return again.model_copy(update={"reviews": report.reviews + again.reviews})


def _reviewed(
    critic: Critic, conversation: Conversation, findings: Findings, lane: str, most: int
) -> tuple[LaneReport | None, list[Problem]]:
    """A review of the branches that can run, whose refusals become problems of the conclusion."""
    end = conversation.conclusion
    proposal = end.valid(most)
    if proposal is None:
        return None, []
    report = critic.review(proposal, findings, lane)
    wrong = objections(report.reviews, proposal)
    settled = [problem.model_copy(update={"branch": None}) for problem in end.problems]
    end.proposal, end.problems = proposal, [*settled, *wrong]
    conversation.conclude(end)
    return report, wrong


def _opening(branches: Sequence[Branch], findings: Findings) -> list[Block]:
    proposed = "\n\n".join(
        f"{branch.name} ({branch.family}, from {branch.parent or 'nothing'})\n"
        f"hypothesis: {branch.hypothesis}\n{space(branch)}"
        for branch in branches
    )
    text = filled(
        "critic.md",
        record=unmarked(history(findings) + standing(findings)),
        proposed=unmarked(proposed),
    )
    return [{"type": "text", "text": text}]
