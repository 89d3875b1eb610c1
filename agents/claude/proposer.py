"""The proposer that asks Claude: lanes of conversations under one budget, with the playbook behind them."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from agents.claude.budget import Budget, BudgetSpentError
from agents.claude.conversation import CACHED, Conversation, NoAnswerError
from agents.claude.lanes import Lane, joined, lanes_of, side_by_side
from agents.claude.messages import CallFailedError, Claude, read_key
from agents.claude.prompting import filled, system_prompt, unmarked
from agents.claude.samples import samples_section
from agents.claude.tools import Desk
from agents.claude.transcript import (
    Block,
    Concluded,
    Noted,
    Opened,
    Transcript,
    spent_usd,
    transcript_name,
)
from agents.findings.answer import Answer, LaneReport
from agents.findings.digest import history, standing
from agents.findings.findings import Findings
from agents.findings.notebook import Notebook
from agents.language.proposal import Proposal
from agents.playbook.fallback import playbook_answer
from agents.playbook.playbook import Playbook
from agents.prices import price_of
from agents.settings import ClaudeConfig

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Said:
    """One lane's part of a round before the lanes are joined."""

    report: LaneReport
    proposal: Proposal | None


class ClaudeProposer:
    """Asks Claude for each round; where no lane brings a branch that can run, the playbook proposes.

    run_dir: where transcripts are kept, None for nowhere. What earlier transcripts there cost counts against
    the budget. samples: inputs of the task that it is shown, made by `samples_of`. Making one checks key and
    model with a free request; it raises ValueError, on one line, where they are not accepted, no price is
    known or no key is given.
    """

    def __init__(
        self, config: ClaudeConfig, *, seed: int, run_dir: Path | None, samples: Sequence[str] = ()
    ) -> None:
        price = price_of(config.model, config.prices)
        self._key = read_key(config)
        self._config = config
        self._seed = seed
        self._run_dir = run_dir
        self._samples = samples_section(samples)
        self._claude = Claude(config, price, self._key)
        self._playbook = Playbook(branches=config.branches, seed=seed)
        self._budget = Budget(config.max_usd, price, spent_usd(run_dir) if run_dir else 0.0)
        try:
            self._claude.check()
        except CallFailedError as error:
            log.warning("the API cannot be reached yet, the playbook stands by: %s", error)

    def propose(self, findings: Findings) -> Answer:
        """The branches of all lanes, joined; the playbook's where there are none."""
        config = self._config
        notebook = Notebook(findings.notes, findings.round)
        lanes = lanes_of(findings.round, config.lanes, config.directions, self._seed)
        said = side_by_side([partial(self._lane, lane, findings, notebook) for lane in lanes])
        whole = joined(
            [(one.report.lane, one.proposal) for one in said if one.proposal is not None], findings
        )
        reports = [
            one.report.model_copy(
                update={
                    "branches": tuple(whole.branches.get(one.report.lane, ())),
                    "refused": one.report.refused + tuple(whole.refused.get(one.report.lane, ())),
                }
            )
            for one in said
        ]
        if whole.proposal.branches:
            return Answer(proposal=whole.proposal, lanes=tuple(reports), notes=notebook.new)
        why = next((report.why for report in reports if report.why), "no lane brought a branch that can run")
        spent = any(report.budget_spent for report in reports)
        stand_in = playbook_answer(self._playbook, findings, why, budget_spent=spent)
        return Answer(proposal=stand_in.proposal, lanes=(*reports, *stand_in.lanes), notes=notebook.new)

    def _lane(self, lane: Lane, findings: Findings, notebook: Notebook) -> _Said:
        """One lane's exchange, written down. A lane that fails is a report; it never stops the others."""
        transcript = Transcript(self._path(findings.round, lane), self._key)
        system = system_prompt(findings.naive, findings.abilities, self._config.branches) + self._samples
        transcript.write(
            Opened(
                model=self._config.model, effort=self._config.effort, direction=lane.direction, system=system
            )
        )
        talk = Conversation(
            claude=self._claude,
            config=self._config,
            budget=self._budget,
            desk=Desk(findings=findings, notebook=notebook, lane=lane.name),
            transcript=transcript,
            system=system,
        )
        why, spent = None, False
        try:
            talk.run(self._opening(lane, findings))
        except NoAnswerError as error:
            why = self._claude.plain(error)
        except BudgetSpentError as error:
            why, spent = str(error), True
        except Exception as error:  # the boundary of a lane: the others go on
            log.exception("lane %s failed", lane.name)
            why = f"{type(error).__name__}: {self._claude.plain(error)}"
        end = talk.conclusion
        proposal = end.valid(self._config.branches)
        refused = tuple(self._claude.plain(problem) for problem in end.problems)
        for note in notebook.new:
            if note.lane == lane.name:
                transcript.write(Noted(text=note.text))
        transcript.write(Concluded(proposal=proposal, refused=refused, why=why))
        report = LaneReport(
            lane=lane.name,
            direction=lane.direction,
            source="claude",
            branches=(),
            refused=refused,
            why=why,
            usage=transcript.usage,
            tool_turns=end.tool_turns,
            repairs=end.repairs,
            budget_spent=spent,
        )
        return _Said(report=report, proposal=proposal)

    def _path(self, round: int, lane: Lane) -> Path | None:
        if self._run_dir is None:
            return None
        return self._run_dir / "rounds" / f"{round:03d}" / transcript_name(lane.name)

    def _opening(self, lane: Lane, findings: Findings) -> list[Block]:
        """What the lane is told: what grows and can be cached first, what is its own last."""
        earlier = [refusal for refusal in findings.refused if "same methods" in refusal.text]
        repeats = (
            f"{len(earlier)} branches of earlier rounds were refused because they repeated known methods.\n"
            if earlier
            else ""
        )
        lanes = self._config.lanes
        rest = filled(
            "round.md",
            standing=unmarked(standing(findings)),
            money=f"{self._budget.left_usd:.2f} dollars are left for questions like this one",
            lanes=f"You are lane {lane.name} of {lanes}; the others are at work now, with other directions."
            if lanes > 1
            else "",
            repeats=repeats,
            direction=lane.direction,
            round=findings.round,
        )
        record = f"<record>\n{unmarked(history(findings))}</record>\n"
        return [{"type": "text", "text": record, **CACHED}, {"type": "text", "text": rest}]
