"""How many tokens an agent reads and how many come from the cache, against a loopback server.

    python -m benchmarks.agent.tokens

Tokens are counted as characters divided by four, as an exact count needs the API. The server bills like the
API: a prefix that ends at a cache mark and was sent before is read from the cache. Its cache never expires,
where the API's lives five minutes, so the share over rounds is that of a campaign whose rounds follow each
other at once. Prints a JSON object.
"""

import os
import random

from agents.claude.prompting import system_prompt
from agents.claude.proposer import ClaudeProposer
from agents.findings.digest import history, standing
from agents.findings.findings import BranchFinding, Findings, TrialFinding
from agents.findings.round_proposal import Note
from agents.findings.usage import Usage
from agents.language.proposal import Branch, Option, Proposal, Range, Slot
from agents.language.space import sample_methods
from agents.playbook.literature import literature
from agents.prices import PRICES
from agents.settings import ClaudeConfig
from search.cli.output import stdout_for_json, write_json
from tests.servers.messages_api import CHARS_A_TOKEN, Body, Scripted, ScriptedClaude, text, use
from trainers.method import Abilities, Method

TRIALS_A_ROUND = 22
ROUNDS = 10
NAIVE = Method()


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


def cache_share(rounds: int) -> Usage:
    """The usage of a campaign in which the agent uses two tools per round and then proposes."""
    spoken = iter(range(rounds))

    def reply(body: Body) -> Scripted:
        turn = len(body["messages"]) // 2
        if turn < 2:
            return use(("show_curves", "show_branch")[turn], {"branch": "branch-1-0"})
        number = next(spoken)
        said = Proposal(branches=(_new(number, rounds),), rationale="because").model_dump_json()
        return text(said, output_tokens=2_000)

    os.environ["ANTHROPIC_API_KEY"] = "sk-of-this-benchmark"
    script = ScriptedClaude(answer=reply, key="sk-of-this-benchmark")
    whole = findings(rounds * TRIALS_A_ROUND)
    total = Usage()
    with script.serving():
        config = ClaudeConfig(base_url=script.url, max_usd=100, lanes=1)
        proposer = ClaudeProposer(config, seed=0, run_dir=None)
        for number in range(1, rounds + 1):
            known = (number - 1) * TRIALS_A_ROUND
            seen = whole.model_copy(
                update={
                    "round": number,
                    "branches": tuple(found for found in whole.branches if found.round < number),
                    "trials": whole.trials[:known],
                }
            )
            total = sum((lane.usage for lane in proposer.propose(seen).lanes), total)
    return total


def _new(number: int, rounds: int) -> Branch:
    """A branch that no other round proposes."""
    aux = Range(name="aux", low=number / rounds, high=(number + 0.2) / rounds, log=False)
    slot = Slot(slot="loss", options=(Option(component="logconf", params=(aux,)),))
    hypothesis = "Confidence of this weight is what is missing."
    return Branch(name=f"new-{number}", family="loss", hypothesis=hypothesis, parent=None, slots=(slot,))


@stdout_for_json()
def main() -> None:
    """Print tokens of findings by trials, and the share of input that the cache spared over ten rounds."""
    sizes = {}
    for trials in (10, 100, 1000):
        known = findings(trials)
        parts = {"history": history(known), "standing": standing(known)}
        sizes[trials] = {name: len(text) // CHARS_A_TOKEN for name, text in parts.items()}
    usage = cache_share(ROUNDS)
    price = PRICES[ClaudeConfig().model]
    plain = (usage.all_input_tokens * price.input + usage.output_tokens * price.output) / 1e6
    write_json(
        {
            "tokens_are": "characters / 4",
            "instructions": len(system_prompt(NAIVE, Abilities(prior=True, intermediates=0), 4)) // 4,
            "findings_by_trials": sizes,
            "rounds": ROUNDS,
            "requests": usage.requests,
            "cache_read_share": round(usage.cache_read_tokens / usage.all_input_tokens, 3),
            "usd": round(usage.usd, 4),
            "usd_without_cache": round(plain, 4),
        },
        indent=2,
    )


if __name__ == "__main__":
    main()
