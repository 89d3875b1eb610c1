"""Checks proposals. Each problem is a sentence that names the place, the value and the remedy.

No component is named here: components and their bounds come from the catalogue.
"""

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Literal, get_args, get_origin

from pydantic import ValidationError

from agents.language.catalogue import ParamSpec, param_specs
from agents.language.disguise import disguise
from agents.language.proposal import Branch, Choice, Fixed, Option, Param, Proposal, Range, Slot, Value
from agents.language.space import KEPT, coerced, combinations, sample_methods, single_method, space_key
from trainers.component import Frozen
from trainers.method import SLOTS, Abilities, Method
from trainers.printable import one_line

MAX_BRANCHES = 16
MAX_OPTIONS = 8
MAX_CHOICES = 16
MAX_COMBINATIONS = 256
MAX_HYPOTHESIS = 400
MAX_RATIONALE = 8000
_HUGE = 1e15


class Problem(Frozen):
    """A problem with a proposal; `branch` is the index of the branch at fault, or None."""

    branch: int | None
    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


def problems(
    proposal: Proposal,
    *,
    naive: Method,
    known_branches: Sequence[str],
    known_methods: Iterable[Method],
    abilities: Abilities,
) -> list[Problem]:
    """All problems that keep the proposal from running, in the order of the proposal.

    naive: the baseline, which fills the slots that a branch leaves out. known_branches: branch names of
    earlier rounds. known_methods: methods already run. abilities: what the campaign offers to methods.
    Never raises, whatever the proposal holds.
    """
    found = [Problem(branch=None, place=place, text=text) for place, text in _overall(proposal)]
    run = known_methods if isinstance(known_methods, set) else set(known_methods)
    taken = set(known_branches)
    spaces: dict[object, str] = {}
    for index, branch in enumerate(proposal.branches[:MAX_BRANCHES]):
        wrong = list(_branch(branch, taken, known_branches)) or list(
            _space(branch, naive, run, spaces, abilities)
        )
        place = f"branches[{index}]"
        found += [Problem(branch=index, place=place + where, text=text) for where, text in wrong]
        taken.add(branch.name)
    return found


def valid_branches(
    proposal: Proposal,
    *,
    naive: Method,
    known_branches: Sequence[str],
    known_methods: Iterable[Method],
    abilities: Abilities,
) -> tuple[Branch, ...]:
    """The branches without a problem of their own, in order, at most 16."""
    found = problems(
        proposal,
        naive=naive,
        known_branches=known_branches,
        known_methods=known_methods,
        abilities=abilities,
    )
    bad = {problem.branch for problem in found}
    return tuple(b for i, b in enumerate(proposal.branches[:MAX_BRANCHES]) if i not in bad)


def read_proposal(text: str | bytes) -> Proposal | tuple[Problem, ...]:
    """Parse a proposal from JSON; returns the problems if the text is no proposal. Never raises."""
    try:
        return Proposal.model_validate_json(text)
    except ValidationError as error:
        return tuple(dict.fromkeys(unreadable(error)))


def unreadable(error: ValidationError, prefix: tuple[str | int, ...] = ()) -> Iterator[Problem]:
    """The problems of a text that is no proposal, at most 64; `prefix`: where the part at fault stands."""
    for detail in error.errors(include_url=False)[:64]:
        loc = (*prefix, *detail["loc"])
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
        index = loc[1] if len(loc) > 1 else None
        yield Problem(
            branch=index if isinstance(index, int) else None,
            place=printable_part(where.lstrip(".")) or "proposal",
            text=_missing(loc)
            if detail["type"] == "missing"
            else f"{printable_part(detail['msg'])}, got {_shown(detail['input'])}",
        )


RECORDS: Mapping[str | int, type[Frozen]] = {  # by the part of a place that they follow
    "slots": Slot,
    "options": Option,
    "fixed": Fixed,
    "range": Range,
    "choice": Choice,
}


def _missing(loc: Sequence[str | int]) -> str:
    """That a record lacks a field, and what to add. loc: the place of the field, which ends with its name."""
    *above, name = loc
    record = next((RECORDS[part] for part in reversed(above) if part in RECORDS), Branch)
    field = record.model_fields.get(str(name))
    if field is None or field.description is None:
        return "is missing, add it"
    kinds = get_args(field.annotation)
    allowed = f", one of {', '.join(kinds)}" if get_origin(field.annotation) is Literal else ""
    allowed += ", or null" if type(None) in kinds else ""
    return f"is missing, add it: {field.description.partition(';')[0]}{allowed}"


def _overall(proposal: Proposal) -> Iterator[tuple[str, str]]:
    if not proposal.branches:
        yield "branches", "a proposal needs at least one branch"
    if len(proposal.branches) > MAX_BRANCHES:
        yield "branches", f"a proposal has at most {MAX_BRANCHES} branches, got {len(proposal.branches)}"
    if len(proposal.rationale) > MAX_RATIONALE:
        yield "rationale", f"must have at most {MAX_RATIONALE} characters, got {len(proposal.rationale)}"


def _branch(branch: Branch, taken: set[str], known: Sequence[str]) -> Iterator[tuple[str, str]]:
    if not branch.name:
        yield ".name", "must hold at least one letter or digit"
    elif branch.name in taken:
        yield ".name", f"the name {branch.name} is taken; give the branch another"
    if branch.parent is not None and branch.parent not in known:
        yield ".parent", f"no earlier branch is called {branch.parent!r}{_nearest(branch.parent, known)}"
    if not 0 < len(branch.hypothesis.strip()) <= MAX_HYPOTHESIS:
        yield (
            ".hypothesis",
            f"must be one sentence of 1 to {MAX_HYPOTHESIS} characters, got {len(branch.hypothesis.strip())}",
        )
    for name, times in Counter(slot.slot for slot in branch.slots).items():
        if times > 1:
            yield ".slots", f"the slot {_shown(name)} must be named at most once, got {times} times"
    for index, slot in enumerate(branch.slots[: len(SLOTS) + 1]):
        for where, text in _slot(slot):
            yield f".slots[{index}]{where}", text


def _slot(slot: Slot) -> Iterator[tuple[str, str]]:
    if slot.slot not in SLOTS:
        yield "", f"there is no slot {_shown(slot.slot)}{_nearest(slot.slot, SLOTS)}"
        return
    if not 1 <= len(slot.options) <= MAX_OPTIONS:
        yield ".options", f"{slot.slot} needs 1 to {MAX_OPTIONS} options, got {len(slot.options)}"
    for component, times in Counter(option.component for option in slot.options).items():
        if times > 1:
            text = f"{slot.slot} must list {_shown(component)} at most once, got {times} times; merge them"
            yield ".options", text
    for index, option in enumerate(slot.options[:MAX_OPTIONS]):
        for where, text in _option(slot.slot, option):
            yield f".options[{index}]{where}", text


def _option(slot: str, option: Option) -> Iterator[tuple[str, str]]:
    if option.component not in SLOTS[slot]:
        nearest = _nearest(option.component, SLOTS[slot])
        yield "", f"{slot} has no component {_shown(option.component)}{nearest}"
        return
    specs = param_specs(SLOTS[slot][option.component])
    path = f"{slot}.{option.component}"
    for name, times in Counter(param.name for param in option.params).items():
        if times > 1:
            yield ".params", f"{path} must name {_shown(name)} at most once, got {times} times"
    for index, param in enumerate(option.params[: len(specs) + 1]):
        where = f".params[{index}]"
        if param.name not in specs:
            yield where, f"{path} has no parameter {_shown(param.name)}{_nearest(param.name, specs)}"
            continue
        for text in _param(specs[param.name], param):
            yield where, f"{path}.{param.name} {text}"


def _param(spec: ParamSpec, param: Param) -> Iterator[str]:
    match param:
        case Fixed():
            yield from _value(spec, param.value, "")
        case Choice():
            yield from _choice(spec, param)
        case Range():
            yield from _range(spec, param)


def _choice(spec: ParamSpec, choice: Choice) -> Iterator[str]:
    if not 1 <= len(choice.values) <= MAX_CHOICES:
        yield f"needs 1 to {MAX_CHOICES} values to choose among, got {len(choice.values)}"
    values = choice.values[:MAX_CHOICES]
    wrong = [text for value in values for text in _value(spec, value, "")]
    yield from wrong
    if not wrong:
        for value, times in Counter(coerced(spec, value) for value in values).items():
            if times > 1:
                yield f"must list {_shown(value)} at most once, got {times} times"


def _range(spec: ParamSpec, param: Range) -> Iterator[str]:
    if not spec.ordered:
        yield f"takes {_allowed(spec)}, which a range cannot hold; use a choice"
        return
    yield from _value(spec, param.low, "low ")
    yield from _value(spec, param.high, "high ")
    if param.low > param.high:
        yield f"has low {param.low:g} above high {param.high:g}; swap them"
    if param.low == param.high:
        yield f"has an empty range, low and high are both {param.low:g}; fix it at one value instead"
    if param.log and param.low <= 0:
        yield f"needs low above 0 on a log scale, got low {param.low:g}"


def _value(spec: ParamSpec, value: Value, label: str) -> Iterator[str]:
    got = f"got {label}{_shown(value)}"
    if spec.type == "other":
        yield f"cannot be set in a proposal and keeps its default, {got}"
    elif not _right_type(spec, value):
        yield f"must be {_allowed(spec)}, {got}"
    elif spec.ordered and isinstance(value, int | float) and not (spec.within(value) and abs(value) <= _HUGE):
        yield f"must lie in {spec.interval}, {got}"


def _right_type(spec: ParamSpec, value: Value) -> bool:
    if spec.members:
        return any(type(value) is type(member) and value == member for member in spec.members)
    match spec.type:
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "integer":
            whole = isinstance(value, float) and value.is_integer()
            return whole or (isinstance(value, int) and not isinstance(value, bool))
        case "boolean":
            return isinstance(value, bool)
        case _:
            return isinstance(value, str)


def _allowed(spec: ParamSpec) -> str:
    if spec.members:
        return "one of " + ", ".join(map(str, spec.members))
    if spec.ordered:
        return f"{'an' if spec.type == 'integer' else 'a'} {spec.type} in {spec.interval}"
    return {"boolean": "true or false", "text": "a text"}.get(spec.type, "no value but its default")


def _space(
    branch: Branch, naive: Method, run: set[Method], spaces: dict[object, str], abilities: Abilities
) -> Iterator[tuple[str, str]]:
    if (count := combinations(branch)) > MAX_COMBINATIONS:
        yield (
            ".slots",
            f"at most {MAX_COMBINATIONS} combinations of components, got {count}; split the branch",
        )
        return
    if refusal := _refusal(branch, naive, abilities):
        yield ".slots", refusal
        return
    only = single_method(branch, naive)
    if only is not None and (only == naive or only in run):
        yield ".slots", "its only method has been run already; give the branch room or change it"
    elif named := disguise(branch, naive):
        yield ".slots", named
    elif only is not None and any(only.plainest == method.plainest for method in run):
        yield ".slots", "its only method computes what a method that has been run computes; change it"
    twin = spaces.setdefault(space_key(branch, naive), branch.name)
    if twin != branch.name:
        yield ".slots", f"holds the same methods as the branch {twin}; change or drop one of the two"
    elif only is not None and (alike := spaces.setdefault(only.plainest, branch.name)) != branch.name:
        yield ".slots", f"computes what the branch {alike} computes; change or drop one of the two"


@lru_cache(KEPT)
def _refusal(branch: Branch, naive: Method, abilities: Abilities) -> str | None:
    """Why a method of the branch cannot run. Cached, because every round checks all known branches again."""
    try:
        refusals = [method.refused(abilities) for method in sample_methods(branch, naive)]
    except ValueError as error:
        return f"holds a method that cannot run, {_reason(error)}; fix or drop one of its components"
    refusal = next(filter(None, refusals), None)
    return f"holds a method that cannot run here, {refusal}" if refusal else None


def _reason(error: ValueError) -> str:
    text = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
    return " ".join(text.removeprefix("Value error, ").split())[:300]


def _nearest(name: str, names: Iterable[str]) -> str:
    listed = list(names)
    close = difflib.get_close_matches(name[:64], listed, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]}?" if close else ""
    return hint or (f"; there are {', '.join(listed[:16])}" if listed else "; there is none")


def printable_part(text: str) -> str:
    """At most 200 characters, in one printable line."""
    return one_line(text[:200])


def _shown(value: object) -> str:
    """The value in at most 60 characters on one line; for huge values, their size."""
    if isinstance(value, int) and value.bit_length() > 64:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    text = (
        f"{value:g}" if isinstance(value, float) else ascii(value[:60] if isinstance(value, str) else value)
    )
    return text if len(text) <= 60 else text[:57] + "..."
