"""Thousands of hostile answers: no crash, no invalid trial, every refusal a sentence that names the place."""

import copy
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agents.findings.findings import Findings
from agents.findings.novelty import all_problems, kept
from agents.language.proposal import branch_contains
from agents.language.reading import read_answer
from agents.language.space import sample_methods
from agents.playbook.literature import literature
from trainers.method import SLOTS, Abilities, Method

PROPOSALS = 1800
HOSTILE: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1e308,
    -1e308,
    10**400,
    0.1,
    "",
    "x" * 100_000,
    "\x1b[2J\x1b[31m",
    "\u202egnp.exe",
    "<script>alert(1)</script>",
    "[bold red]x[/]",
    "../../../etc/passwd",
    "__import__('os').system('true')",
    "$(touch /tmp/x); `id`",
    "\ud800",
    "a\x00b",
    [],
    {},
    [[[[[[]]]]]],
    {"kind": "range"},
    {"kind": "fixed", "name": "lr", "value": {}},
)
SPELLED = (
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "-0",
    "1e-400",
    "0x10",
    "01",
    "'x'",
    "[" * 5000,
    "{" * 5000,
)


WRAPPED = (
    "```json\n{}\n```",
    "Here it is:\n\n{}\n\nGood luck!",
    '{{not this}} {{"nor": 1}} {}',
    "[{}]",
    "{0}{0}",
)


def hostile() -> tuple[Any, ...]:
    """Values of the wrong type and size, of the caller's own: a mutation may change them."""
    return copy.deepcopy(HOSTILE)


def nodes(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a JSON value: its container and its key there."""
    places = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in list(places):
        yield value, key
        yield from nodes(child)


def garbage(rng: random.Random, depth: int) -> Any:
    """Random JSON with words that mean something."""
    if depth == 0 or rng.random() < 0.3:
        return rng.choice(
            [*hostile(), "loss", "logconf", "aux", "range", rng.uniform(-10, 10), rng.randint(-9, 9)]
        )
    if rng.random() < 0.5:
        return [garbage(rng, depth - 1) for _ in range(rng.randint(0, 4))]
    keys = (
        "branches",
        "rationale",
        "slots",
        "options",
        "params",
        "kind",
        "name",
        "low",
        "high",
        "values",
        "x",
    )
    return {rng.choice(keys): garbage(rng, depth - 1) for _ in range(rng.randint(0, 5))}


def mutated(rng: random.Random, valid: Any) -> Any:
    """A valid proposal with one to four places changed, dropped, doubled, swapped or turned hostile."""
    value = json.loads(json.dumps(valid))
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        places = list(nodes(value))
        numbers = [(where, key) for where, key in places if isinstance(where[key], float)]
        if numbers and rng.random() < 0.5:
            places = numbers
        if not places:
            return value
        where, key = rng.choice(places)
        match rng.randrange(6):
            case 0:
                where[key] = rng.choice(hostile())  # most of them of the wrong type
            case 1 if isinstance(where, dict):
                del where[key]
            case 2 if isinstance(where, dict) and {"low", "high"} <= where.keys():
                where["low"], where["high"] = where["high"], where["low"]
            case 3 if isinstance(where, list):
                where.extend([where[key]] * rng.choice([1, 20]))
            case 4 if isinstance(where[key], str):
                where[key] = rng.choice([*SLOTS, *SLOTS["loss"], "aux", "lr", "none", where[key].upper()])
            case _:
                if isinstance(number := where[key], int | float) and abs(number) < 1e300:
                    near = [number * rng.uniform(0.5, 1.5) for _ in range(4)]
                    where[key] = rng.choice([*near, rng.uniform(-100, 100), rng.randint(-5, 5), 1e-9, 1e12])
                else:
                    where[key] = garbage(rng, 2)
    return value


def texts(rng: random.Random, valid: list[Any]) -> Iterator[str]:
    """As many answers as are asked for: spelled wrongly, cut short, random, or mutated from valid ones."""
    for number in range(PROPOSALS):
        said = json.dumps(mutated(rng, rng.choice(valid)))
        match number % 10:
            case 0:
                yield json.dumps(garbage(rng, 5))
            case 1:
                yield said[: rng.randrange(len(said))]
            case 2:
                place = rng.randrange(len(said))
                yield said[:place] + rng.choice(SPELLED) + said[place + 1 :]
            case 3:
                plain = json.dumps(rng.choice(valid))
                numbers = [i for i, letter in enumerate(plain) if letter.isdigit()]
                place = rng.choice(numbers)
                yield plain[:place] + rng.choice(SPELLED) + plain[place + 1 :]
            case _:
                yield said


@pytest.mark.slow
def test_no_answer_crashes_and_none_that_passes_holds_an_invalid_trial(
    campaign: Callable[..., Findings],
) -> None:
    rng, wrapping = random.Random(0), random.Random(1)
    findings = campaign(abilities=Abilities(prior=True, intermediates=2, pairs=True, panel=True))
    ideas = [branch.model_dump() for branch in literature(Method())]
    valid = [{"branches": rng.sample(ideas, k=2), "rationale": "because"} for _ in range(20)]
    outcomes: Counter[str] = Counter()
    for said in texts(rng, valid):
        read = read_answer(wrapping.choice(WRAPPED).format(said) if wrapping.random() < 0.3 else said)
        problems = list(read.problems)
        if read.proposal is None:
            outcomes["not a proposal"] += 1
            assert problems
        else:
            outcomes["read in part"] += bool(problems)
            found = all_problems(read.proposal, findings)
            problems += [read.as_answered(problem) for problem in found]
            outcomes["refused in part or whole" if problems else "accepted"] += 1
            for branch in kept(read.proposal, found, 16):
                assert branch.name == branch.name.encode("ascii").decode()
                assert branch.hypothesis.isprintable()
                for method in sample_methods(branch, findings.naive):
                    assert branch_contains(branch, Method.model_validate(method.model_dump()), findings.naive)
                    assert method.refused(findings.abilities) is None
        for problem in problems:
            line = str(problem)
            assert problem.place
            assert problem.text
            assert line.isprintable()
            assert len(line) < 700
    assert outcomes.pop("read in part") > 100
    assert sum(outcomes.values()) == PROPOSALS
    assert min(outcomes["accepted"], outcomes["refused in part or whole"], outcomes["not a proposal"]) > 100
