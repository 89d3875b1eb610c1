"""One lane's exchange with the model in one round: look things up, propose, put right what is wrong."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from agents.claude.budget import Budget
from agents.claude.messages import CallFailedError, Claude, Reply, Request
from agents.claude.prompting import repair_prompt
from agents.claude.tools import Desk, answer, declarations
from agents.claude.transcript import Block, Failed, Received, Sent, Transcript
from agents.findings.findings import Findings
from agents.findings.novelty import all_problems, kept
from agents.findings.usage import Usage
from agents.language.proposal import Proposal, json_schema
from agents.language.validation import Problem, read_proposal
from agents.settings import ClaudeConfig

MAX_REPAIRS = 2
CACHED: Block = {"cache_control": {"type": "ephemeral"}}


class NoAnswerError(Exception):
    """The lane has no proposal; the text says why."""


@dataclass(kw_only=True)
class Conclusion:
    """What an exchange came to: the last proposal that could be read, what is wrong with it, how it went."""

    proposal: Proposal | None = None
    problems: list[Problem] = field(default_factory=list)
    tool_turns: int = 0
    repairs: int = 0

    def valid(self, most: int) -> Proposal | None:
        """The proposal with the branches that can run, None where there is none."""
        if self.proposal is None:
            return None
        branches = kept(self.proposal, self.problems, most)
        return self.proposal.model_copy(update={"branches": branches}) if branches else None


class Conversation:
    """Speaks for one lane in one round; for one thread.

    system: the instructions that never change. Every request pays for itself out of the shared budget before
    it is sent.
    """

    def __init__(
        self,
        *,
        claude: Claude,
        config: ClaudeConfig,
        budget: Budget,
        desk: Desk,
        transcript: Transcript,
        system: str,
    ) -> None:
        self._claude = claude
        self._config = config
        self._budget = budget
        self._desk = desk
        self._transcript = transcript
        self._system: list[Block] = [{"type": "text", "text": system, **CACHED}]
        self._messages: list[Block] = []
        self.conclusion = Conclusion()

    @property
    def _findings(self) -> Findings:
        return self._desk.findings

    def run(self, opening: Sequence[Block]) -> None:
        """Lead the exchange to its end; what came of it stands in `conclusion`, even where this raises.

        Raises NoAnswerError for a refusal or a failed request, BudgetSpentError when the money is gone.
        """
        self._say(list(opening))
        while True:
            reply = self._ask()
            match reply.stop:
                case "tool_use" | "pause_turn":
                    self._look_up(reply)
                case "refusal":
                    raise NoAnswerError("the model refused to answer")
                case _:
                    if self._take(reply):
                        return

    def _say(self, content: list[Block]) -> None:
        self._transcript.write(Sent(content=content))
        self._messages.append({"role": "user", "content": content})

    def _look_up(self, reply: Reply) -> None:
        """Answer the model's questions; NoAnswerError for one that goes on asking after its last turn."""
        turn = self.conclusion.tool_turns = self.conclusion.tool_turns + 1
        if turn > self._config.tool_turns + 2:
            raise NoAnswerError(f"the model used tools in {turn} turns without proposing anything")
        self._messages.append({"role": "assistant", "content": reply.content})
        if reply.tools:
            self._say([self._result(use.id, use.name, use.given, turn) for use in reply.tools])

    def _result(self, id: str, name: str, given: object, turn: int) -> Block:
        text, wrong = "no tool turn is left: send the proposal now", True
        if turn <= self._config.tool_turns:
            text, wrong = answer(self._desk, name, given)
        return {"type": "tool_result", "tool_use_id": id, "content": text, "is_error": wrong}

    def _take(self, reply: Reply) -> bool:
        """Whether the exchange ends with this reply; otherwise the model has been told what is wrong."""
        problems = self._judged(reply)
        if not problems:
            return True
        if self.conclusion.repairs >= MAX_REPAIRS:
            if self.conclusion.proposal is None:
                raise NoAnswerError(f"no proposal could be read after {MAX_REPAIRS} repairs: {problems[0]}")
            return True
        self.conclusion.repairs += 1
        if reply.stop != "max_tokens" and reply.text.strip():
            self._messages.append({"role": "assistant", "content": reply.content})
        self._say([{"type": "text", "text": repair_prompt(problems)}])
        return False

    def _judged(self, reply: Reply) -> list[Problem]:
        """What is wrong with a reply; one that can be read becomes the conclusion."""
        if reply.stop in ("max_tokens", "model_context_window_exceeded"):
            text = f"the answer was cut off after {reply.usage.output_tokens} tokens; send a shorter proposal"
            return [Problem(branch=None, place="proposal", text=text)]
        if not reply.text.strip():
            return [Problem(branch=None, place="proposal", text="the answer is empty; send the proposal")]
        read = read_proposal(reply.text)
        if not isinstance(read, Proposal):
            return list(read)
        problems = all_problems(read, self._findings)
        if len(read.branches) > self._config.branches:
            text = f"at most {self._config.branches} branches are taken, got {len(read.branches)}"
            problems.append(Problem(branch=None, place="branches", text=text))
        self.conclusion.proposal, self.conclusion.problems = read, problems
        return problems

    def _ask(self) -> Reply:
        """One request, tried again after each of the configured waits while that makes sense."""
        waits = list(self._config.backoff_s)
        while True:
            try:
                return self._paid()
            except CallFailedError as error:
                if not error.again or not waits:
                    raise NoAnswerError(f"the API gave no answer: {error}") from None
                time.sleep(waits.pop(0))

    def _paid(self) -> Reply:
        """One request within the budget. Where its answer was lost, the most that it can have cost counts."""
        request = Request(
            system=self._system,
            tools=declarations(),
            messages=_with_cached_end(self._messages),
            format=json_schema(),
            may_use_tools=self.conclusion.tool_turns < self._config.tool_turns,
        )
        reserved = None
        try:
            reserved = self._budget.reserve(self._claude.count(request), self._config.max_tokens)
            reply = self._claude.create(request, reserved.max_tokens)
        except CallFailedError as error:
            usd = reserved.usd * self._claude.attempts if reserved and error.lost else 0.0
            self._transcript.write(Failed(why=str(error), usage=Usage(usd=usd)))
            if reserved:
                self._budget.settle(reserved, usd)
            raise
        self._budget.settle(reserved, reply.usage.usd)
        self._transcript.write(Received(stop=reply.stop, content=reply.content, usage=reply.usage))
        return reply


def _with_cached_end(messages: Sequence[Block]) -> list[Block]:
    """The messages with a cache mark on the last block, so that the next request finds all of this one."""
    *before, last = messages
    *blocks, end = last["content"]
    if last["role"] == "assistant" or "cache_control" in end:
        return list(messages)
    return [*before, {**last, "content": [*blocks, {**end, **CACHED}]}]
