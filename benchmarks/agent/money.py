"""Does the cap on dollars hold against a provider that bills whatever it receives, the worst way it could?

    python -m benchmarks.agent.money --runs 300

Each run is a campaign of a few rounds with random settings, fallbacks, another model and the one-hour
cache among them, over the real SDK and a server on loopback that keeps its own bill. Answers are late,
lost, cut short, refused or unreadable; the process is killed at random instants around its requests, or
ends with lanes in flight; and a successor goes on from the ledger. Prints JSON: of how many runs the bill
exceeded the cap or the ledger, and by how many dollars at most.
"""

import argparse
import json
import logging
import os
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest import mock

from agents.claude import failures
from agents.claude.budget import MARGIN, Terms, priced
from agents.claude.proposer import ClaudeProposer
from agents.findings.bill import LaneId
from agents.findings.findings import Findings
from agents.findings.usage import Usage
from agents.playbook.literature import literature
from agents.prices import PRICES, Price
from agents.settings import ClaudeConfig
from search.cli.output import stdout_for_json, write_json
from search.engine.account import LedgerAccount
from search.ledger.log import Ledger, read_ledger
from search.ledger.record import Record
from tests.servers.messages_api import Body, Scripted, ScriptedClaude, text, tokens_of, use
from trainers.method import Abilities, Method

KEY = "sk-of-this-benchmark"
TIMEOUT_S = 0.2
TOLERANCE = 1e-9  # dollars
LIVES = 4  # processes of a run, of which the last is not killed
ROUNDS = 2  # of a process
CUT_SHORT = b'{"event":"request_settled","requ'  # what a crash may leave at the end of a ledger
PROPOSAL = json.dumps(
    {"branches": [idea.model_dump(mode="json") for idea in literature(Method())[:2]], "rationale": "because"}
)
NOTHING_READ = {"input_tokens": 0, "output_tokens": 0}

# Answers that are complete and say what they cost; those that refuse a request before it costs anything; and
# those after which a provider may bill the most that a request can cost.
IN_FULL: Mapping[str, Scripted] = {
    "proposal": text(PROPOSAL),
    "fenced proposal": text(f"Here it is:\n```json\n{PROPOSAL}\n```"),
    "tool": use("read_notes", {"round": None}),
    "unknown tool": use("rm", ["-rf"]),
    "no proposal": text("I would rather not say."),
    "cut off": text(PROPOSAL[:200], stop="max_tokens"),
    "refusal": text("", stop="refusal"),
}
REFUSED: Mapping[str, Scripted] = {
    f"status {status}": Scripted(status=status, error="no") for status in (400, 429, 503, 529)
}
LOST: Mapping[str, Scripted] = {
    **{f"status {status}": Scripted(status=status, error="no") for status in (408, 500, 502, 504)},
    "redirected": Scripted(status=307, error="no", headers={"location": "/v1/messages"}),
    "late": text(PROPOSAL, silent_s=1.5 * TIMEOUT_S),
    "dripping": text(PROPOSAL, drip_s=0.01),
    "dropped": Scripted(drop=True),
    "cut short": text(PROPOSAL, cut=300),
    "no JSON": Scripted(raw="<html>"),
    "null": Scripted(raw="null"),
    "no message": Scripted(raw='{"content": null}'),
    "nested too deep": Scripted(raw="[" * 100_000),
    "without usage": text(PROPOSAL, usage={"service_tier": "standard"}),
    "usage of nothing": text(PROPOSAL, usage=NOTHING_READ),
    "negative usage": text(PROPOSAL, usage={"input_tokens": -5, "output_tokens": -5}),
}
ANSWERS = {**IN_FULL, **REFUSED, **LOST}


class Provider:
    """The other end: a random answer to each request, and a bill of its own."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._lock = threading.Lock()
        self.usd = 0.0
        self.requests: Counter[str] = Counter()

    def answer(self, body: Body) -> Scripted:
        """A random answer to a request, which is billed before it is given."""
        with self._lock:
            kind = self._rng.choice(list(ANSWERS))
            self.requests[kind] += 1
            # as much more than was counted as the client has to allow for
            tokens = int(tokens_of(body) * self._rng.uniform(1.0, MARGIN))
            models = [body["model"], *(fallback["model"] for fallback in body.get("fallbacks", ()))]
            if kind in LOST:
                inputs, outputs = Terms(prices=_prices(models), hour=_for_an_hour(body)).most(tokens)
                self.usd += (tokens * inputs + body["max_tokens"] * outputs) / 1e6
            elif kind in IN_FULL:
                return self._in_full(IN_FULL[kind], body, models, tokens)
            return ANSWERS[kind]

    def _in_full(self, answer: Scripted, body: Body, models: Sequence[str], tokens: int) -> Scripted:
        """The answer of the last of these models, each of which bills what it read and wrote."""
        hour, parts = _for_an_hour(body), list[Body]()
        for model in models:
            output = self._rng.randint(1, body["max_tokens"])
            written = self._rng.randint(0, tokens)
            read = self._rng.randint(0, tokens - written)
            new, kept = tokens - written - read, written if hour else 0
            bill = priced(
                PRICES[model], new=new, cache_write=written, cache_read=read, output=output, hour_write=kept
            )
            self.usd += bill.usd
            parts.append(
                {
                    "type": "message" if len(parts) + 1 < len(models) else "fallback_message",
                    "model": model,
                    "input_tokens": new,
                    "cache_creation_input_tokens": written,
                    "cache_read_input_tokens": read,
                    "output_tokens": output,
                }
            )
        usage = parts[-1] | ({"iterations": parts} if len(parts) > 1 else {})
        return replace(answer, usage=usage, model=models[-1])


def _prices(models: Sequence[str]) -> tuple[Price, ...]:
    return tuple(PRICES[model] for model in models)


def _for_an_hour(body: Body) -> bool:
    return any(block.get("cache_control", {}).get("ttl") == "1h" for block in body["system"])


class KilledError(BaseException):
    """The process was killed: nothing more of it is written or sent."""


class Mortal:
    """An account whose process is killed at a random instant: before or after a line of the ledger."""

    def __init__(self, account: LedgerAccount, instants: int) -> None:
        """instants: before the kill; negative for none."""
        self._account = account
        self._left = instants
        self._lock = threading.Lock()
        self.killed = False

    def _pass(self) -> None:
        with self._lock:
            self._left -= 1
            self.killed = self.killed or self._left == -1
            if self.killed:
                raise KilledError

    @property
    def usd(self) -> float:
        """See Account."""
        return self._account.usd

    def reserve(self, lane: LaneId, usd: float) -> int:
        """See Account."""
        self._pass()
        request = self._account.reserve(lane, usd)
        self._pass()
        return request

    def settle(self, request: int, usage: Usage) -> None:
        """See Account."""
        self._pass()
        self._account.settle(request, usage)
        self._pass()

    def usage(self, lane: LaneId) -> Usage:
        """See Account."""
        return self._account.usage(lane)


@dataclass(kw_only=True)
class Outcome:
    """What was seen. over_cap, understated: the most dollars by which a bill exceeded the cap, the ledger."""

    runs: int = 0
    processes: int = 0
    kills: int = 0
    stops_in_flight: int = 0
    over_cap: float = 0.0
    understated: float = 0.0
    runs_over_cap: int = 0
    runs_understated: int = 0
    requests: Counter[str] = field(default_factory=Counter)

    def note(self, *, over_cap: float, understated: float) -> None:
        """Count a run."""
        self.over_cap = max(self.over_cap, over_cap)
        self.understated = max(self.understated, understated)
        self.runs_over_cap += over_cap > TOLERANCE
        self.runs_understated += understated > TOLERANCE


def nothing_known(number: int) -> Findings:
    """Findings of a campaign that has run nothing."""
    return Findings(
        round=number,
        weak_acc=None,
        weak_se=None,
        ceiling_acc=None,
        ceiling_se=None,
        naive=Method(),
        abilities=Abilities(prior=False, intermediates=0),
        branches=(),
        trials=(),
        trials_left=40,
    )


def random_config(rng: random.Random, url: str) -> ClaudeConfig:
    """Settings that come to the end of their budget within a few rounds."""
    return ClaudeConfig(
        base_url=url,
        timeout_s=TIMEOUT_S,
        lanes=rng.randint(1, 4),
        tool_turns=rng.randint(0, 2),
        retries=rng.randint(0, 4),
        backoff_s=(0.0,) * rng.randint(0, 2),
        max_tokens=rng.choice([1024, 4096, 10_000, 32_000]),
        max_usd=rng.choice([0.0, 0.1, 0.5, 1.0, 2.0, 5.0]),
        fallbacks=rng.choice([(), ("claude-opus-4-8",), ("claude-opus-5", "claude-sonnet-5-5")]),
        other_model=rng.choice([None, "claude-haiku-5-5", "claude-fable-5-1"]),
        cache=rng.choice(["auto", "5m", "1h"]),
    )


def live(
    config: ClaudeConfig, run_dir: Path, rng: random.Random, outcome: Outcome, *, killed: bool, stopped: bool
) -> None:
    """A process of a run: some rounds, until it is killed or stopped, or has nothing more to ask."""
    ledger_path = run_dir / "ledger.jsonl"
    record = Record.of(read_ledger(ledger_path) if ledger_path.is_file() else [])
    account = LedgerAccount(record)
    mortal = Mortal(account, rng.randrange(8) if killed else -1)
    with closing(Ledger(ledger_path, record.apply)) as ledger:
        proposer = ClaudeProposer(config, seed=0, run_dir=run_dir, account=mortal)

        def rounds() -> None:
            try:
                for number in range(1, ROUNDS + 1):
                    proposer.propose(nothing_known(number))
            except KilledError:
                pass

        thread = threading.Thread(target=rounds)
        with account.writing(ledger, run_dir):
            thread.start()
            thread.join(rng.uniform(0, 2 * TIMEOUT_S) if stopped else None)
            outcome.stops_in_flight += thread.is_alive()
        thread.join()
    if mortal.killed and rng.random() < 0.5:
        with ledger_path.open("ab") as file:
            file.write(CUT_SHORT)
    outcome.processes += 1
    outcome.kills += mortal.killed


def run(seed: int, outcome: Outcome) -> None:
    """One campaign: its processes one after the other, and a look at both bills after each."""
    rng = random.Random(seed)
    provider = Provider(rng)
    over_cap = understated = 0.0
    script = ScriptedClaude(answer=provider.answer, key=KEY)
    with script.serving(), tempfile.TemporaryDirectory() as folder:
        config = random_config(rng, script.url)
        for place in range(LIVES):
            end = rng.choice(["killed", "stopped", "none"]) if place < LIVES - 1 else "none"
            live(config, Path(folder), rng, outcome, killed=end == "killed", stopped=end == "stopped")
            recorded = Record.of(read_ledger(Path(folder) / "ledger.jsonl")).bill.usd
            over_cap = max(over_cap, provider.usd - config.max_usd, recorded - config.max_usd)
            understated = max(understated, provider.usd - recorded)
    outcome.runs += 1
    outcome.requests += provider.requests
    outcome.note(over_cap=over_cap, understated=understated)


def measured(runs: int, first: int = 0) -> Outcome:
    """The outcome of so many runs."""
    outcome = Outcome()
    environment = mock.patch.dict(os.environ, {"ANTHROPIC_API_KEY": KEY})
    with environment, mock.patch.object(failures, "FIRST_WAIT_S", 0.0):
        for seed in range(first, first + runs):
            run(seed, outcome)
    return outcome


@stdout_for_json()
def main() -> None:
    """Print the outcome as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--first", type=int, default=0, help="seed of the first run")
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    started = time.process_time()
    outcome = measured(given.runs, given.first)
    rows = {**vars(outcome), "requests": outcome.requests.total(), "kinds_of_answers": len(outcome.requests)}
    write_json({**rows, "cpu_s": round(time.process_time() - started, 1)}, indent=2)


if __name__ == "__main__":
    main()
