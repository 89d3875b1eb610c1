"""A lane's conversation with the model in a round: tool calls, a proposal, repairs."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agents.claude.board import Board
from agents.claude.budget import Budget, Reservation, Terms
from agents.claude.failures import CallFailedError, quick_wait, waits
from agents.claude.messages import Claude, Request
from agents.claude.prompting import framed, repair_prompt
from agents.claude.service.attempts import Attempt, attempts
from agents.claude.service.caching import Thrift, mark, with_cached_end
from agents.claude.service.replies import Reply, ToolUse
from agents.claude.tools import ToolContext, declarations, run_tool
from agents.claude.transcript import Asked, Block, Failed, Received, Sent, Transcript
from agents.findings.bill import LaneId
from agents.findings.findings import Findings
from agents.findings.novelty import all_problems, kept
from agents.findings.round_proposal import ModelRefusal
from agents.findings.usage import Usage
from agents.language.proposal import Proposal, json_schema
from agents.language.reading import read_answer
from agents.language.validation import Problem
from agents.settings import ClaudeConfig

log = logging.getLogger(__name__)

MAX_REPAIRS = 2
CALLS_AT_ONCE = 6  # tool calls of one reply that are answered


class NoProposalError(Exception):
    """The lane has no proposal; the text says why."""


class _DeclinedError(NoProposalError):
    """The model of an attempt declined to answer."""


@dataclass(kw_only=True)
class Conclusion:
    """The outcome of a conversation: the last readable proposal, its problems, turns and repairs used.

    model: the one that answered last. refusals: each time that a model declined to answer.
    """

    proposal: Proposal | None = None
    problems: list[Problem] = field(default_factory=list)
    model: str = ""
    refusals: list[ModelRefusal] = field(default_factory=list)
    tool_turns: int = 0
    repairs: int = 0

    def valid(self, most: int) -> Proposal | None:
        """The proposal reduced to branches that can run, or None if there are none."""
        if self.proposal is None:
            return None
        branches = kept(self.proposal, self.problems, most)
        return self.proposal.model_copy(update={"branches": branches}) if branches else None


class Conversation:
    """A lane's conversation in one round; not thread-safe.

    board: where lanes say what they mean to propose. system: the constant instructions. Every request
    reserves its cost in the shared budget before it is sent.
    """

    no_turn_left = "no tool turn is left: send the proposal now"

    def __init__(
        self,
        *,
        claude: Claude,
        config: ClaudeConfig,
        budget: Budget,
        context: ToolContext,
        transcript: Transcript,
        system: str,
        thrift: Thrift | None = None,
        board: Board | None = None,
    ) -> None:
        self._claude = claude
        self._config = config
        self._budget = budget
        self._context = context
        self._board = board
        self._transcript = transcript
        thrift = thrift or Thrift(effort=config.effort)
        self._thrift = thrift
        self._system: list[Block] = [{"type": "text", "text": system, **mark(hour=thrift.hour)}]
        self._messages: list[Block] = []
        self._attempt = attempts(config)[0]
        self._previous = thrift.previous
        self._accepted: list[Block] = []
        self.conclusion = Conclusion()
        self.first_message: str | None = None

    @property
    def lane_id(self) -> LaneId:
        """What its requests are billed to."""
        return self._context.findings.round, self._context.lane

    def format(self) -> dict[str, Any]:
        """The JSON schema of the last message; empty for a text."""
        return json_schema()

    @property
    def _findings(self) -> Findings:
        return self._context.findings

    def run(self, opening: Sequence[Block]) -> None:
        """Run the conversation to its end; the outcome is in `conclusion`, even if this raises.

        Where a model declines to answer, the conversation begins again with the next attempt.

        Raises NoProposalError if every model declines or a request fails, BudgetSpentError when the budget is
        spent.
        """
        for place, attempt in enumerate(attempts(self._config)):
            self._attempt = attempt
            if place:
                said = attempt.model_dump(include={"model", "framed", "fallbacks"})
                self._transcript.write(Asked(**said))
            try:
                self._begin(framed(opening) if attempt.framed else opening)
            except _DeclinedError:
                if self.conclusion.valid(self._config.branches):
                    raise
            else:
                return
        raise NoProposalError(f"every model declined; the last: {self.conclusion.refusals[-1]}")

    def _begin(self, opening: Sequence[Block]) -> None:
        """A conversation with the model of the present attempt, from its beginning."""
        self._messages = []
        self._send(list(opening))
        self._converse()

    def revise(self, problems: Sequence[Problem]) -> None:
        """Send the last answer back with problems; what comes takes its place. Raises as `run`."""
        before = self.conclusion
        self.conclusion = replace(before, proposal=None, problems=[])
        self._messages.append({"role": "assistant", "content": self._accepted})
        self._send([{"type": "text", "text": repair_prompt(problems)}])
        self._converse()

    def conclude(self, conclusion: Conclusion) -> None:
        """Take this as the outcome: the board's other claims of the lane are free again."""
        self.conclusion = conclusion
        if self._board:
            valid = conclusion.valid(self._config.branches)
            self._board.hold(self._context.lane, valid.branches if valid else ())

    def _converse(self) -> None:
        while True:
            reply = self._ask()
            match reply.stop:
                case "tool_use" if reply.tools:
                    self._use_tools(reply)
                case "pause_turn" if reply.content:
                    self._use_tools(reply)
                case "refusal":
                    raise _DeclinedError(str(self.conclusion.refusals[-1]))
                case _:
                    if self._accept(reply):
                        self._accepted = reply.content
                        return

    def _send(self, content: list[Block]) -> None:
        self._transcript.write(Sent(content=content))
        self._messages.append({"role": "user", "content": content})

    def _use_tools(self, reply: Reply) -> None:
        """Run the tools; raises NoProposalError if the model keeps asking after its last tool turn."""
        turn = self.conclusion.tool_turns = self.conclusion.tool_turns + 1
        if turn > self._config.tool_turns + 2:
            raise NoProposalError(f"the model used tools in {turn} turns without proposing anything")
        self._messages.append({"role": "assistant", "content": reply.content})
        if reply.tools:
            self._send([self._tool_result(use, turn, place) for place, use in enumerate(reply.tools)])

    def _tool_result(self, use: ToolUse, turn: int, place: int) -> Block:
        text, failed = self.no_turn_left, True
        if place >= CALLS_AT_ONCE:
            text = f"at most {CALLS_AT_ONCE} calls are answered at once; ask again for what you still need"
        elif turn <= self._config.tool_turns:
            text, failed = run_tool(self._context, use.name, use.arguments)
        return {"type": "tool_result", "tool_use_id": use.id, "content": text, "is_error": failed}

    def _accept(self, reply: Reply) -> bool:
        """Whether the conversation ends with this reply; otherwise ask the model to repair its problems."""
        problems = self._problems_of(reply)
        if not problems:
            return True
        if self.conclusion.repairs >= MAX_REPAIRS:
            if self.conclusion.proposal is None:
                raise NoProposalError(f"no proposal could be read after {MAX_REPAIRS} repairs: {problems[0]}")
            return True
        self.conclusion.repairs += 1
        if reply.stop != "max_tokens" and reply.text.strip():
            self._messages.append({"role": "assistant", "content": reply.content})
        self._send([{"type": "text", "text": repair_prompt(problems)}])
        return False

    def _problems_of(self, reply: Reply) -> list[Problem]:
        """The problems of a reply that are worth a repair; a readable proposal becomes the conclusion."""
        if reply.stop in ("max_tokens", "model_context_window_exceeded"):
            tokens = reply.usage.output_tokens if reply.usage else self._config.max_tokens
            text = f"the answer was cut off after {tokens} tokens; send a shorter proposal"
            return [Problem(branch=None, place="proposal", text=text)]
        if not reply.text.strip():
            return [Problem(branch=None, place="proposal", text="the answer is empty; send the proposal")]
        read = read_answer(reply.text)
        if read.proposal is None:
            return list(read.problems)
        found = all_problems(read.proposal, self._findings)
        if self._board:
            found += self._board.claim(self._context.lane, read.proposal, found)
        problems = [read.as_answered(problem) for problem in found]
        if len(read.proposal.branches) > self._config.branches:
            text = f"at most {self._config.branches} branches are taken, got {len(read.proposal.branches)}"
            problems.append(Problem(branch=None, place="branches", text=text))
        known = [*problems, *read.problems]
        self._keep(read.proposal, known)
        return known if problems else []  # what could not be read is not worth another request

    def _keep(self, proposal: Proposal, problems: list[Problem]) -> None:
        """Make this the conclusion, unless an earlier answer has more branches that can run."""
        before, most = self.conclusion, self._config.branches
        if before.proposal is None or len(kept(before.proposal, before.problems, most)) <= len(
            kept(proposal, problems, most)
        ):
            before.proposal, before.problems = proposal, problems
        self.conclude(before)

    def _ask(self) -> Reply:
        """The model's reply, after as many attempts as the config and the budget allow."""
        if first := self._thrift.first:
            first.before_asking(self._context.lane)
        try:
            return self._ask_until_answered()
        finally:
            if first:
                first.answered(self._context.lane)

    def _ask_until_answered(self) -> Reply:
        request = Request(
            attempt=self._attempt,
            effort=self._thrift.effort,
            hour=self._thrift.hour,
            patience=self._thrift.patience,
            previous=self._previous,
            system=self._system,
            tools=declarations(self._context.tools),
            messages=with_cached_end(self._messages),
            format=self.format(),
            may_use_tools=self.conclusion.tool_turns < self._config.tool_turns,
        )
        left = waits(self._config)
        failures = 0
        while True:
            try:
                return self._try(request)
            except CallFailedError as error:
                if request.batched:  # late or lost: from now on the lane waits for its answers
                    self._thrift = replace(self._thrift, patience=0.0)
                    request = request.model_copy(update={"patience": 0.0})
                    continue
                failures += 1
                if not error.retryable or not left:
                    raise NoProposalError(f"the API gave no answer: {error}") from None
                wait_s = left.popleft()
                time.sleep(quick_wait(error, failures) if wait_s is None else wait_s)

    def _try(self, request: Request) -> Reply:
        """One try of a request within the budget. If its reply is lost, its highest possible cost counts."""
        lane = self.lane_id
        reserved = None
        try:
            tokens = self._claude.count(request)
            reserved = self._reserved(tokens, lane, self._claude.terms(request))
            reply = self._claude.create(request, reserved.max_tokens)
        except CallFailedError as error:
            usage = Usage(usd=reserved.usd if reserved and error.billed else 0.0)
            if reserved:
                self._budget.settle(reserved, usage)
            self._transcript.write(Failed(why=str(error), usage=usage))
            raise
        usage = reply.usage or Usage(requests=1, usd=reserved.usd)
        self._budget.settle(reserved, usage)
        self._note(reply, usage)
        return reply

    def _note(self, reply: Reply, usage: Usage) -> None:
        """Write down a reply. Who took over within a request is asked from then on, as the API advises."""
        declined = tuple(
            refusal.model_copy(update={"framed": self._attempt.framed}) for refusal in reply.declined
        )
        self.conclusion.refusals += declined
        self.conclusion.model = reply.model
        self._previous, self.first_message = reply.id or None, self.first_message or reply.id or None
        if reply.cache_miss:
            log.info("lane %s: the cache was missed: %s", self._context.lane, reply.cache_miss)
        self._transcript.write(
            Received(
                model=reply.model,
                stop=reply.stop,
                declined=declined,
                cache_miss=reply.cache_miss,
                content=reply.content,
                usage=usage,
            )
        )
        if declined and reply.stop != "refusal":
            self._attempt = Attempt(model=reply.model, framed=self._attempt.framed)

    def _reserved(self, tokens: int, lane: LaneId, terms: Terms) -> Reservation:
        try:
            return self._budget.reserve(tokens, self._config.max_tokens, lane, terms)
        except OSError as error:
            raise CallFailedError(f"its cost cannot be reserved: {error}", retryable=True) from None
