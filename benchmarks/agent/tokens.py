"""How many tokens an agent reads, how many come from the cache and what it costs, against a loopback server.

    python -m benchmarks.agent.tokens

Ten rounds of three lanes, of which each uses two tools a round and then proposes. Tokens are counted as
characters divided by four, as an exact count needs the API. The server bills like the API: a prefix that
ended at a cache mark of an answered request is read from the cache as long as it lives, five minutes or
an hour by a simulated clock. Rounds are half a minute or ten minutes apart, with a five-minute cache, the
one-hour cache, and what `agent.cache` chooses by itself; then ten minutes apart in batches. Prints a JSON
object.
"""

import itertools
import json
import os
import random
from pathlib import Path
from typing import Any

from agents.claude.prompting import system_prompt
from agents.claude.proposer import ClaudeProposer
from agents.findings.digest import history, standing
from agents.findings.findings import BranchFinding, Findings, TrialFinding
from agents.findings.round_proposal import Note
from agents.findings.usage import Usage
from agents.language.proposal import Branch, Option, Range, Slot
from agents.language.space import sample_methods
from agents.playbook.literature import literature
from agents.prices import PRICES
from agents.settings import ClaudeConfig
from search.cli.output import stdout_for_json, write_json
from search.config.load import load_config
from search.config.rules import rules
from tests.servers.messages_api import CHARS_A_TOKEN, Body, Scripted, ScriptedClaude, text, use
from trainers.method import Abilities, Method

TRIALS_A_ROUND = 22
ROUNDS = 10
LANES = 3
NAIVE = Method()
KEY = "sk-of-this-benchmark"
RULES = rules(load_config(Path("configs/dev.yaml"), ["agent.kind=claude", f"agent.lanes={LANES}"]))


def findings(trials: int) -> Findings:
    """Findings of a campaign with made-up results: four branches per round, notes, every kind of end."""
    rng = random.Random(trials)
    rounds = max(1, -(-trials // TRIALS_A_ROUND))
    ideas = literature(NAIVE)
    branches = [
        ideas[(4 * (r - 1) + i) % len(ideas)].model_copy(update={"name": f"branch-{r}-{i}"})
        for r in range(1, rounds + 1)
        for i in range(4)
    ]
    methods = {branch.name: list(sample_methods(branch, NAIVE)) for branch in branches}
    return Findings(
        round=rounds + 1,
        weak_acc=0.72,
        weak_se=0.01,
        ceiling_acc=0.99,
        ceiling_se=0.001,
        naive=NAIVE,
        abilities=Abilities(prior=True, intermediates=0),
        branches=tuple(
            BranchFinding(branch=branch, round=1 + i // 4, live=True) for i, branch in enumerate(branches)
        ),
        trials=tuple(
            _trial(number, branches[min(number // TRIALS_A_ROUND, rounds - 1) * 4 + number % 4], methods, rng)
            for number in range(trials)
        ),
        trials_left=44,
        examples=1000,
        rules=RULES,
        notes=tuple(
            Note(round=r, lane="1", text="Confident labels helped by 0.1 PGR in two trials; not yet sure.")
            for r in range(1, rounds + 1)
        ),
    )


def _trial(number: int, branch: Branch, methods: dict[str, list[Method]], rng: random.Random) -> TrialFinding:
    state = rng.choices(("completed", "pruned", "failed"), (5, 4, 1))[0]
    pgr = None if state == "failed" else rng.gauss(0.3, 0.2)
    last = 1.0 if state == "completed" else 1 / 3
    return TrialFinding(
        trial=f"t{number:05d}",
        branch=branch.name,
        method=rng.choice(methods[branch.name]),
        seed=0,
        state=state,
        pgr=pgr,
        se=None if pgr is None else 0.05,
        curve=() if pgr is None else ((1 / 9, pgr - 0.1), (last, pgr)),
        cause="DivergedError: the loss is nan" if state == "failed" else None,
        train_s=4.0,
        balance=None if pgr is None else 0.5,
        agreement=None if pgr is None else 0.85,
    )


def campaign(minutes: float, **settings: Any) -> Usage:
    """The usage of a campaign with rounds so many minutes apart."""
    spoken = itertools.count()

    def reply(body: Body) -> Scripted:
        turn = len(body["messages"]) // 2
        if turn < 2:
            return use(("show_curves", "show_branch")[turn], {"branch": "branch-1-0"})
        branch = _new_branch(next(spoken)).model_dump()
        return text(json.dumps({"branches": [branch], "rationale": "because"}), output_tokens=2_000)

    now = [0.0]
    script = ScriptedClaude(answer=reply, key=KEY, clock=lambda: now[0])
    whole = findings(ROUNDS * TRIALS_A_ROUND)
    total = Usage()
    with script.serving():
        config = ClaudeConfig(base_url=script.url, max_usd=100, lanes=LANES, **settings)
        proposer = ClaudeProposer(config, seed=0, run_dir=None, clock=lambda: now[0])
        for number in range(1, ROUNDS + 1):
            seen = whole.model_copy(
                update={
                    "round": number,
                    "branches": tuple(found for found in whole.branches if found.round < number),
                    "trials": whole.trials[: (number - 1) * TRIALS_A_ROUND],
                }
            )
            total = sum((lane.usage for lane in proposer.propose(seen).lanes), total)
            now[0] += 60 * minutes
    return total


def _new_branch(number: int) -> Branch:
    """A branch that can run and holds methods far from those of other numbers."""
    low = number / (ROUNDS * LANES)
    aux = Range(name="aux", low=low, high=low + 0.005, log=False)
    slot = Slot(slot="loss", options=(Option(component="logconf", params=(aux,)),))
    return Branch(name=f"new-{number}", family="loss", hypothesis="It may help.", parent=None, slots=(slot,))


def row(usage: Usage) -> dict[str, Any]:
    """The figures of a campaign; `usd_without_cache` at the price of plain input."""
    price = PRICES[ClaudeConfig().model]
    plain = (usage.all_input_tokens * price.input + usage.output_tokens * price.output) / 1e6
    return {
        "requests": usage.requests,
        "input_tokens": usage.all_input_tokens,
        "cache_read_share": round(usage.cache_read_tokens / usage.all_input_tokens, 3),
        "cache_write_share": round(usage.cache_write_tokens / usage.all_input_tokens, 3),
        "output_tokens": usage.output_tokens,
        "usd": round(usage.usd, 3),
        "usd_without_cache": round(plain, 3),
    }


@stdout_for_json()
def main() -> None:
    """Print tokens of findings by trials, and what ten rounds of three lanes cost."""
    os.environ["ANTHROPIC_API_KEY"] = KEY
    sizes = {}
    for trials in (10, 100, 1000):
        known = findings(trials)
        parts = {"history": history(known), "standing": standing(known)}
        sizes[trials] = {name: len(text) // CHARS_A_TOKEN for name, text in parts.items()}
    apart = {"half a minute apart": 0.5, "ten minutes apart": 10.0}
    campaigns = {
        f"{name}, cache {cache}": row(campaign(minutes, cache=cache))
        for name, minutes in apart.items()
        for cache in ("5m", "1h", "auto")
    }
    campaigns["ten minutes apart, cache auto, batches"] = row(campaign(10.0, cache="auto", patience=60.0))
    write_json(
        {
            "tokens_are": "characters / 4",
            "instructions": len(_instructions()) // CHARS_A_TOKEN,
            "findings_by_trials": sizes,
            "rounds": ROUNDS,
            "lanes": LANES,
            "model": ClaudeConfig().model,
            "campaigns": campaigns,
        },
        indent=2,
    )


def _instructions() -> str:
    return system_prompt(NAIVE, Abilities(prior=True, intermediates=0), 4, RULES)


if __name__ == "__main__":
    main()
