"""Prompts: files in agents/claude/prompts, with fields filled from the code so that both agree."""

import json
import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import get_args

from agents.claude.transcript import Block
from agents.findings.signals import explained
from agents.language import validation
from agents.language.catalogue import catalogue
from agents.language.proposal import Family
from agents.language.validation import Problem
from trainers.method import Abilities, Method
from trainers.printable import printable

_FIELD = re.compile(r"\{\{(\w+)\}\}")
_MARK = re.compile(r"<(?=\s*/?\s*record)", re.IGNORECASE)


def unmarked(text: str) -> str:
    """The text without anything that could pass for the end of a record or that no request can hold."""
    return _MARK.sub("(", printable(text))


@cache
def _file(name: str) -> str:
    return resources.files("agents.claude").joinpath("prompts", name).read_text(encoding="utf-8")


def filled(name: str, **values: object) -> str:
    """A prompt file with every {{field}} replaced; raises KeyError for a field without a value.

    Fields inside the values are not replaced.
    """
    return _FIELD.sub(lambda field: str(values[field.group(1)]), _file(name))


def system_prompt(naive: Method, abilities: Abilities, branches: int, rules: Sequence[str] = ()) -> str:
    """The constant part of the prompts of a campaign: task, rules, naive baseline, catalogue.

    rules: how the search decides, from `Findings.rules`.
    """
    return filled(
        "system.md",
        branches=branches,
        search_rules="\n\n".join(unmarked(rule) for rule in rules) or "Nothing is known of it.",
        signals=explained(),
        families=", ".join(get_args(Family)),
        options=validation.MAX_OPTIONS,
        choices=validation.MAX_CHOICES,
        combinations=validation.MAX_COMBINATIONS,
        hypothesis=validation.MAX_HYPOTHESIS,
        rationale=validation.MAX_RATIONALE,
        prior="yes" if abilities.prior else "no",
        intermediates=abilities.intermediates or "none",
        pairs="pairs" if abilities.pairs else "single texts",
        panel="several weak models, whose spread is known" if abilities.panel else "one weak model",
        naive=json.dumps(naive.model_dump(), indent=1),
        catalogue=catalogue(),
    )


def framed(opening: Sequence[Block]) -> list[Block]:
    """The first message of a lane with what the research is for before its last block.

    It says nothing that the instructions do not say. What stands before it stays in the cache.
    """
    *before, last = opening
    return [*before, {"type": "text", "text": filled("framing.md")}, last]


def directions() -> tuple[str, ...]:
    """The vague directions for lanes when the config names none."""
    lines = _file("directions.md").splitlines()
    return tuple(line.removeprefix("* ") for line in lines if line.startswith("* "))


def repair_prompt(problems: Sequence[Problem]) -> str:
    """The message that lists a proposal's problems, at most forty of them."""
    listed = [f"* {problem}" for problem in problems[:40]]
    if len(problems) > len(listed):
        listed.append(f"* and {len(problems) - len(listed)} more")
    return filled("repair.md", problems="\n".join(listed))
