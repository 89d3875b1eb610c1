"""Questions to the provider's web search, each in a request of its own that holds nothing but the question.

The tool is Anthropic's `web_search_20250305`, which runs on their servers (platform.claude.com, "Web search
tool", read in November 2026: 10 dollars per 1,000 searches, and what a search finds counts as input tokens).
What a search may find has no documented bound, so the reservation assumes one; see RESULT_TOKENS.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from agents.claude.budget import Budget, BudgetSpentError
from agents.claude.failures import CallFailedError
from agents.claude.messages import Claude, Request
from agents.claude.prompting import filled, unmarked
from agents.claude.transcript import Block, Failed, Received, Sent, Transcript
from agents.findings.bill import LaneId
from agents.findings.usage import Usage
from trainers.component import Frozen

SEARCHES = 3  # of a question
SEARCH_USD = 0.01
WORDS = 300  # of an answer, as it is asked for
QUESTION_CHARS, ANSWER_CHARS, SOURCES = 400, 3000, 10
MAX_TOKENS = 4096  # of an answer
PAUSES = 2  # times that a request which the API pauses is taken up again

QUESTION_TOKENS = 2_000  # instructions and question
RESULT_TOKENS = 20_000  # that a search may find; all of it is read again after each further search
FEE_TOKENS = 5_000  # cost as much as a search does, at two dollars a million
MOST_TOKENS = QUESTION_TOKENS * (SEARCHES + 1) + sum(
    FEE_TOKENS + RESULT_TOKENS * number for number in range(1, SEARCHES + 1)
)

TOOL: Block = {"type": "web_search_20250305", "name": "web_search", "max_uses": SEARCHES}


class SearchWeb(Frozen):
    """Asks the web a question about published research. It is sent alone: put all it needs into it."""

    question: Annotated[str, Field(description=f"at most {QUESTION_CHARS} characters")]


class WebSearch:
    """A lane's questions to the web in a round. most: how many it may ask."""

    def __init__(
        self, claude: Claude, budget: Budget, lane: LaneId, most: int, transcript: Transcript
    ) -> None:
        self._claude = claude
        self._budget = budget
        self._lane = lane
        self._left = most
        self._transcript = transcript

    def ask(self, query: SearchWeb) -> str:
        """The answer, with the addresses of what was found, as a record.

        Raises ValueError, which says why there is none, and AccountClosedError after the end of the run.
        """
        question = " ".join(query.question.split())
        if not 0 < len(question) <= QUESTION_CHARS:
            raise ValueError(f"question must have 1 to {QUESTION_CHARS} characters, got {len(question)}")
        if self._left == 0:
            raise ValueError("no question to the web is left in this round")
        self._left -= 1
        content = self._answer([{"type": "text", "text": question}])
        text = "".join(str(block.get("text", "")) for block in content if block.get("type") == "text")
        sources = list(_sources(content))[:SOURCES]
        if not text.strip() and not sources:
            raise ValueError("the web was searched, and nothing came of it")
        told = "\n".join([text.strip()[:ANSWER_CHARS], "", *sources])
        return f"<record>\n{unmarked(told)}\n</record>"

    def _answer(self, question: list[Block]) -> list[Block]:
        """All blocks of the model's answer, over the pauses that the API makes."""
        messages: list[Block] = [{"role": "user", "content": question}]
        self._transcript.write(Sent(content=question))
        content: list[Block] = []
        for _ in range(PAUSES + 1):
            stop, blocks = self._request(messages)
            content += blocks
            if stop != "pause_turn":
                break
            messages = [*messages, {"role": "assistant", "content": blocks}]
        return content

    def _request(self, messages: list[Block]) -> tuple[str, list[Block]]:
        request = Request(
            system=[{"type": "text", "text": filled("web.md", words=WORDS)}],
            tools=[TOOL],
            messages=messages,
            format={},
            may_use_tools=True,
        )
        try:
            reserved = self._budget.reserve(MOST_TOKENS, MAX_TOKENS, self._lane)
        except (BudgetSpentError, OSError) as error:
            raise ValueError(f"the web cannot be asked: {error}") from None
        try:
            reply = self._claude.create(request, reserved.max_tokens)
        except CallFailedError as error:
            usage = Usage(usd=reserved.usd if error.billed else 0.0)
            self._budget.settle(reserved, usage)
            self._transcript.write(Failed(why=str(error), usage=usage))
            raise ValueError(f"the web could not be asked: {error}") from None
        fee = Usage(usd=SEARCH_USD * sum(block.get("type") == "server_tool_use" for block in reply.content))
        usage = reply.usage + fee if reply.usage else Usage(requests=1, usd=reserved.usd)
        self._budget.settle(reserved, usage)
        self._transcript.write(Received(stop=reply.stop, content=reply.content, usage=usage))
        if reply.stop == "refusal":
            raise ValueError("the model that searches refused the question")
        return reply.stop, reply.content


def _sources(content: list[Block]) -> Iterator[str]:
    """A line for each address that was found, or for a search that failed."""
    for block in content:
        if block.get("type") != "web_search_tool_result":
            continue
        found: Any = block.get("content")
        for result in found if isinstance(found, list) else [found]:
            if isinstance(result, Mapping):
                code, url = result.get("error_code"), result.get("url")
                yield f"a search failed: {code}" if code else f"{_cut(url)} {_cut(result.get('title'))}"


def _cut(text: object) -> str:
    return " ".join(str(text).split())[:200]
