"""Whether two branches hold nearly the same methods, however they say it."""

import math
import random
from collections.abc import Iterable
from functools import lru_cache

from agents.language.catalogue import ParamSpec, param_specs
from agents.language.proposal import Branch, Choice, Fixed, Option, Param, Range, Value, with_components
from agents.language.space import KEPT, coerced
from trainers.component import Component
from trainers.method import SLOTS, Method

DRAWS = 64  # random methods of a branch
SAME = 0.9  # share of them that the other branch holds
NEAR = 0.02  # of the distance between a parameter's bounds: two numbers so close count as one


def alike(first: Branch, second: Branch, naive: Method) -> bool:
    """Whether each branch holds at least 90% of the other's methods, found by 64 random methods of either.

    A branch also holds what computes the same as one of its methods, and what differs from one by a
    fiftieth of the distance between a parameter's bounds or less. Both branches must fit the catalogue.
    """
    return _mostly_in(first, second, naive) and _mostly_in(second, first, naive)


def _mostly_in(first: Branch, second: Branch, naive: Method) -> bool:
    methods = random_methods(first, naive)
    missing, most = 0, int(len(methods) * (1 - SAME))
    for method, plain in zip(methods, _plainest(first, naive), strict=True):
        missing += not (holds(second, method, naive) or _computed_in(second, plain, naive))
        if missing > most:
            return False
    return bool(methods)


def _computed_in(branch: Branch, plain: Method, naive: Method) -> bool:
    """Whether a method of the branch computes what a method of the plainest components does."""
    return holds(branch, plain, naive) or any(
        all(_near(getattr(plain, slot), getattr(other, slot)) for slot in SLOTS)
        for other in _in_plain_words(branch, naive)
    )


@lru_cache(KEPT)
def _in_plain_words(branch: Branch, naive: Method) -> frozenset[Method]:
    """The plainest methods for those of a branch that are not the plainest themselves."""
    drawn = zip(random_methods(branch, naive), _plainest(branch, naive), strict=True)
    return frozenset(plain for method, plain in drawn if plain != method)


@lru_cache(KEPT)
def _plainest(branch: Branch, naive: Method) -> tuple[Method, ...]:
    return tuple(method.plainest for method in random_methods(branch, naive))


@lru_cache(KEPT)
def random_methods(branch: Branch, naive: Method) -> tuple[Method, ...]:
    """Up to 64 methods of a branch, drawn evenly from its options and ranges; the same ones every time.

    Fewer where components cannot work together in some of them.
    """
    rng = random.Random(0)
    found = []
    for _ in range(DRAWS):
        picked = {slot.slot: rng.choice(slot.options) for slot in branch.slots}
        try:
            components = {slot: _drawn(slot, option, rng) for slot, option in picked.items()}
            found.append(with_components(naive, components))
        except ValueError:
            continue
    return tuple(found)


def _drawn(slot: str, option: Option, rng: random.Random) -> Component:
    component = SLOTS[slot][option.component]
    specs = param_specs(component)
    return component.model_validate({p.name: _value(specs[p.name], p, rng) for p in option.params})


def _value(spec: ParamSpec, param: Param, rng: random.Random) -> Value:
    match param:
        case Fixed():
            return coerced(spec, param.value)
        case Choice():
            return coerced(spec, rng.choice(param.values))
        case Range():
            share = rng.random()
            if param.log:
                value = math.pow(param.low, 1 - share) * math.pow(param.high, share)
            else:
                value = param.low + share * (param.high - param.low)
            return round(value) if spec.type == "integer" else min(max(value, param.low), param.high)


def holds(branch: Branch, method: Method, naive: Method) -> bool:
    """Whether a method, or one very near to it, is in the branch's space."""
    named = {slot.slot: slot.options for slot in branch.slots}
    for slot in SLOTS:
        component = getattr(method, slot)
        if slot not in named:
            if not _near(component, getattr(naive, slot)):
                return False
        elif not any(_in_option(component, option) for option in named[slot]):
            return False
    return True


def _near(first: Component, second: Component) -> bool:
    if first is second or first.kind != second.kind:
        return first is second
    specs = param_specs(type(first)).values()
    return all(_is(spec, getattr(first, spec.name), (getattr(second, spec.name),)) for spec in specs)


def _in_option(component: Component, option: Option) -> bool:
    if component.kind != option.component:
        return False
    named = {param.name: param for param in option.params}
    return all(
        _in_param(spec, getattr(component, name), named.get(name))
        for name, spec in param_specs(type(component)).items()
    )


def _in_param(spec: ParamSpec, value: Value, param: Param | None) -> bool:
    match param:
        case None:
            return _is(spec, value, (spec.default,))
        case Fixed():
            return _is(spec, value, (param.value,))
        case Choice():
            return _is(spec, value, param.values)
        case Range():
            inside = not isinstance(value, str) and param.low <= value <= param.high
            return inside or _is(spec, value, (param.low, param.high))


def _is(spec: ParamSpec, value: object, others: Iterable[object]) -> bool:
    """Whether a value equals one of the others, or is a number near one of them."""
    mine = spec.scaled(value)
    for other in others:
        if value == other:
            return True
        theirs = spec.scaled(other)
        if mine is not None and theirs is not None and abs(mine - theirs) <= NEAR:
            return True
    return False
