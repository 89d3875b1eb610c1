"""The proposer that asks Claude: parallel lanes under one budget, with the playbook as fallback."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from agents.advice.beliefs import Beliefs
from agents.advice.suggestions import Advice
from agents.claude.advice.consultant import Consultant
from agents.claude.advice.critic import new_critic, reviewed
from agents.claude.board import Board
from agents.claude.budget import Account, Budget, MemoryAccount
from agents.claude.conversation import Conversation
from agents.claude.ending import ending
from agents.claude.failures import CallFailedError
from agents.claude.lanes import Lane, joined, lanes_of, side_by_side
from agents.claude.library.kept_notes import KeptNotes
from agents.claude.library.library import Library
from agents.claude.library.papers import read_papers
from agents.claude.library.web import WebSearch
from agents.claude.messages import Claude, read_key
from agents.claude.prompting import filled, system_prompt, unmarked
from agents.claude.samples import samples_section
from agents.claude.service.caching import FirstLane, Lifetime, Thrift, mark
from agents.claude.service.replies import without_key
from agents.claude.tools import ToolContext
from agents.claude.transcript import (
    Block,
    Concluded,
    Noted,
    Opened,
    Transcript,
    transcript_name,
)
from agents.findings.bill import LaneId
from agents.findings.digest import history_parts, standing
from agents.findings.findings import Findings
from agents.findings.notebook import Notebook
from agents.findings.round_proposal import LaneReport, RoundProposal
from agents.findings.tree.campaign import EarlierRun
from agents.language.proposal import Proposal
from agents.playbook.fallback import playbook_proposal
from agents.playbook.playbook import Playbook
from agents.prices import price_of
from agents.settings import ClaudeConfig

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _LaneResult:
    """A lane's report and proposal before the lanes are joined."""

    report: LaneReport
    proposal: Proposal | None
    critic: LaneReport | None = None


class ClaudeProposer:
    """Asks Claude for each round; if no lane has a branch that can run, the playbook proposes.

    run_dir: where transcripts are kept, None to keep none. samples: inputs of the task for the prompt, from
    `samples_of`. earlier: campaigns that came before. account: where each request is written down, None for
    the memory of this process. clock: in seconds, by which rounds are apart. The constructor checks key and
    model with a free request. Raises ValueError, on one line, if the API refuses them, if the key or the
    model's price is missing, or if a file that the config names cannot be used.
    """

    def __init__(
        self,
        config: ClaudeConfig,
        *,
        seed: int,
        run_dir: Path | None,
        samples: Sequence[str] = (),
        earlier: Sequence[EarlierRun] = (),
        account: Account | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        price = price_of(config.model, config.prices)
        self._key = read_key(config)
        self._config = config
        self._seed = seed
        self._run_dir = run_dir
        self._library = _library(config, earlier, run_dir)
        questions = config.web_search
        self._web_section = filled("web_allowed.md", questions=questions) if questions else ""
        self._samples = samples_section(samples)
        self._claude = Claude(config, price, self._key)
        self._playbook = Playbook(branches=config.branches, seed=seed)
        self._account = account or MemoryAccount()
        self._budget = Budget(config.max_usd, price, self._account)
        self._lifetime = Lifetime(config.cache, clock)
        self._first_messages: dict[str, str | None] = {}  # of each lane, in the round before
        self._consultant = Consultant(
            config, self._claude, self._budget, self._account, run_dir=run_dir, key=self._key
        )
        self._critic = new_critic(config, self._budget, self._account, run_dir=run_dir, key=self._key)
        try:
            self._claude.check()
        except CallFailedError as error:
            log.warning("the API cannot be reached yet; until it can, the playbook proposes: %s", error)

    def propose(self, findings: Findings) -> RoundProposal:
        """The joined branches of all lanes, or the playbook's if there are none."""
        config = self._config
        notebook = Notebook(findings.notes, findings.round)
        lanes = lanes_of(findings.round, config.lanes, config.directions, self._seed)
        thrift, board = self._thrift(findings.round, lanes), Board(findings)
        results = side_by_side(
            [partial(self._lane, lane, findings, notebook, board, thrift) for lane in lanes]
        )
        self._library.keep(notebook)
        whole = joined(
            [(result.report.lane, result.proposal) for result in results if result.proposal is not None],
            findings,
        )
        reports = [
            result.report.model_copy(
                update={
                    "branches": tuple(whole.branches.get(result.report.lane, ())),
                    "refused": result.report.refused + tuple(whole.refused.get(result.report.lane, ())),
                }
            )
            for result in results
        ]
        reports += [result.critic for result in results if result.critic]
        if whole.proposal.branches:
            return RoundProposal(proposal=whole.proposal, lanes=tuple(reports), notes=notebook.new)
        why = next((report.why for report in reports if report.why), "no lane brought a branch that can run")
        spent = any(report.budget_spent for report in reports)
        stand_in = playbook_proposal(self._playbook, findings, why, budget_spent=spent)
        return RoundProposal(
            proposal=stand_in.proposal, lanes=(*reports, *stand_in.lanes), notes=notebook.new
        )

    def _thrift(self, round: int, lanes: Sequence[Lane]) -> Thrift:
        """How the lanes of a round pay. The first round has no batches: nothing can run before it."""
        patience = self._config.patience if round > 1 else 0.0
        alone = len(lanes) == 1 or patience > 0
        return Thrift(
            effort=self._config.effort_of(round),
            hour=self._lifetime.hour_for_round(),
            patience=patience,
            first=None if alone else FirstLane(lanes[0].name),
        )

    def advise(self, findings: Findings, beliefs: Beliefs, most: int, request: int) -> Advice:
        """Draws within a round, named by Claude; see agents.advice.adviser."""
        return self._consultant.advise(findings, beliefs, most, request)

    def _lane(
        self, lane: Lane, findings: Findings, notebook: Notebook, board: Board, thrift: Thrift
    ) -> _LaneResult:
        """Run a lane and write its transcript. A failure is reported and stops no other lane."""
        transcript = Transcript(self._path(findings.round, lane), self._key)
        conversation = self._conversation(lane, findings, notebook, board, thrift, transcript)
        critic: LaneReport | None = None

        def run() -> None:
            nonlocal critic
            conversation.run(self._opening(lane, findings, hour=thrift.hour))
            if self._critic:
                critic = reviewed(self._critic, conversation, findings, lane.name, self._config)

        ended = ending(run, self._claude, f"lane {lane.name}")
        if thrift.first:
            thrift.first.answered(lane.name)
        self._first_messages[lane.name] = conversation.first_message
        end = conversation.conclusion
        proposal = end.valid(self._config.branches)
        refused = tuple(self._claude.plain(problem) for problem in end.problems)
        for note in notebook.new:
            if note.lane == lane.name:
                transcript.write(Noted(text=note.text))
        transcript.write(Concluded(proposal=proposal, refused=refused, why=ended.why))
        report = LaneReport(
            lane=lane.name,
            direction=lane.direction,
            source="claude",
            model=end.model,
            branches=(),
            refused=refused,
            refusals=without_key(end.refusals, self._claude.plain),
            why=ended.why,
            usage=self._account.usage((findings.round, lane.name)),
            tool_turns=end.tool_turns,
            repairs=end.repairs,
            budget_spent=ended.spent,
        )
        return _LaneResult(report=report, proposal=proposal, critic=critic)

    def _conversation(
        self,
        lane: Lane,
        findings: Findings,
        notebook: Notebook,
        board: Board,
        thrift: Thrift,
        transcript: Transcript,
    ) -> Conversation:
        """A lane's conversation, opened in its transcript."""
        system = self._system(findings)
        transcript.write(
            Opened(model=self._config.model, effort=thrift.effort, direction=lane.direction, system=system)
        )
        return Conversation(
            claude=self._claude,
            config=self._config,
            budget=self._budget,
            context=ToolContext(
                findings=findings,
                notebook=notebook,
                lane=lane.name,
                tree=self._library.tree(findings, notebook),
                web=self._web((findings.round, lane.name), transcript),
            ),
            board=board,
            transcript=transcript,
            system=system,
            thrift=replace(thrift, previous=self._first_messages.get(lane.name)),
        )

    def _system(self, findings: Findings) -> str:
        """The instructions, the same in every round and lane."""
        branches = self._config.branches
        system = system_prompt(findings.naive, findings.abilities, branches, findings.rules)
        return system + self._library.section + self._web_section + self._samples

    def _web(self, lane: LaneId, transcript: Transcript) -> WebSearch | None:
        if not self._config.web_search:
            return None
        return WebSearch(self._claude, self._budget, lane, self._config.web_search, transcript)

    def _path(self, round: int, lane: Lane) -> Path | None:
        if self._run_dir is None:
            return None
        return self._run_dir / "rounds" / f"{round:03d}" / transcript_name(lane.name)

    def _opening(self, lane: Lane, findings: Findings, *, hour: bool) -> list[Block]:
        """The first message of a lane: the history, which can be cached, then what is its own.

        A round of the history is a block, so that the next round finds what this one has cached.
        """
        earlier = [refusal for refusal in findings.refused if "same methods" in refusal.text]
        repeated = (
            f"{len(earlier)} branches of earlier rounds were refused because they repeated known methods.\n"
            if earlier
            else ""
        )
        lanes = self._config.lanes
        rest = filled(
            "round.md",
            standing=unmarked(standing(findings)),
            money=f"{self._budget.left_usd:.2f} dollars are left for questions like this one",
            lanes=f"You are lane {lane.name} of {lanes}; the others are at work now, with other directions. "
            "A branch that holds nearly the methods of one of theirs comes back to the lane that was later."
            if lanes > 1
            else "",
            repeats=repeated,
            direction=lane.direction,
            round=findings.round,
        )
        head, *rounds = history_parts(findings)
        blocks: list[Block] = [
            {"type": "text", "text": part} for part in (f"<record>\n{unmarked(head)}", *map(unmarked, rounds))
        ]
        blocks[-1] |= mark(hour=hour)
        return [*blocks, {"type": "text", "text": f"</record>\n{rest}"}]


def _library(config: ClaudeConfig, earlier: Sequence[EarlierRun], run_dir: Path | None) -> Library:
    run = run_dir.resolve().name if run_dir else None
    notes = KeptNotes(Path(config.notes), run) if config.notes else None
    return Library(earlier, notes, read_papers(config.reading))
