"""Grows branches from earlier ones: sharpens ranges around the best trials, recombines two branches."""

import math
import random
import re
from collections.abc import Container, Iterator, Sequence

from agents.findings.findings import Findings, TrialFinding, shown_pgr
from agents.language.catalogue import ParamSpec, param_specs
from agents.language.proposal import Branch, Choice, Fixed, Option, Param, Range, Slot, branch_contains, slug
from agents.language.space import coerced
from agents.playbook.literature import optim_slot, rates_of, span
from trainers.component import Component
from trainers.method import SLOTS, Method

_WIDEST = 0.6  # of the old range, so that a sharpened range is always narrower
_NARROWEST = 0.25  # of the old range: a few noisy trials cannot locate an optimum more precisely
_TOP = 5
_PARTNERS = 6


def grown(branches: Sequence[Branch], findings: Findings, taken: Container[str]) -> Iterator[Branch]:
    """Branches grown from the given branches (best first), most promising growth first.

    taken: names not to use; read for each branch, so the caller may add to it in between.
    """
    best = branches[:_PARTNERS]
    for rank, branch in enumerate(best, start=1):
        yield from _sharpened(branch, findings, taken)
        for partner in best[rank : rank + 1]:
            for first in best[:rank]:
                if first.family != partner.family:
                    yield from _recombined(first, partner, findings, taken)


def explored(naive: Method, taken: Container[str], rng: random.Random, tries: int) -> Iterator[Branch]:
    """Branches with one or two random components, for when nothing better is left to propose."""
    open_slots = [slot for slot in SLOTS if slot != "optim" and len(SLOTS[slot]) > 1]
    for _ in range(tries):
        names = rng.sample(open_slots, k=min(len(open_slots), rng.choice((1, 2))))
        slots = [_drawn_slot(slot, getattr(naive, slot).kind, rng) for slot in names]
        low = rng.uniform(0.1, 1)
        student = next((s.options[0].component for s in slots if s.slot == "student"), naive.student.kind)
        lr = rates_of(student, naive, (low, 3 * low))
        slots.append(optim_slot(naive, lr=lr, epochs=(rng.uniform(0.1, 0.5), 1)))
        drawn = " with ".join(slot.options[0].component for slot in slots[:-1]) or "the optimiser alone"
        yield Branch(
            name=_fresh("explore-" + "-".join(slot.options[0].component for slot in slots[:-1]), taken),
            family="other",
            hypothesis=f"Nothing tried so far says what {drawn} does here, so a few trials will tell.",
            parent=None,
            slots=tuple(slots),
        )


def _sharpened(branch: Branch, findings: Findings, taken: Container[str]) -> Iterator[Branch]:
    top = _top(branch, findings)
    if not top:
        return
    yield Branch(
        name=_fresh(re.sub(r"-sharp(-\d+)?$", "", branch.name) + "-sharp", taken),
        family=branch.family,
        hypothesis=f"The best {len(top)} trials of {branch.name} reach PGR {_listed(top)}, "
        "so a closer search around their values should find a better one.",
        parent=branch.name,
        slots=tuple(_narrowed(branch, top).values()),
    )


def _recombined(first: Branch, second: Branch, findings: Findings, taken: Container[str]) -> Iterator[Branch]:
    tops = _top(first, findings), _top(second, findings)
    if not all(tops):
        return
    base, donor = _narrowed(first, tops[0]), _narrowed(second, tops[1])
    added = {
        name: slot
        for name, slot in donor.items()
        if name != "optim" and _changes(slot, findings.naive) and not _changes(base.get(name), findings.naive)
    }
    if not added:
        return
    if "student" in added and "optim" in donor:
        added["optim"] = donor["optim"]  # a learning rate belongs to the weights that it trains
    slots = base | added
    kinds = [s.options[0].component for s in slots.values() if _changes(s, findings.naive)]
    yield Branch(
        name=_fresh("mix-" + "-".join(kinds), taken),
        family=first.family,
        hypothesis=f"{first.name} (PGR {shown_pgr(tops[0][0])}) and "
        f"{second.name} (PGR {shown_pgr(tops[1][0])}) work in different ways, "
        f"so the second's {' and '.join(added)} should add to the first.",
        parent=first.name,
        slots=tuple(slots.values()),
    )


def _changes(slot: Slot | None, naive: Method) -> bool:
    """Whether the slot offers a component that the naive baseline does not have."""
    return slot is not None and any(o.component != getattr(naive, slot.slot).kind for o in slot.options)


def _top(branch: Branch, findings: Findings) -> tuple[TrialFinding, ...]:
    """The best quarter of the branch's trials: two to five, if there are as many."""
    best = findings.best_trials(branch.name, n=len(findings.trials))
    inside = [trial for trial in best if branch_contains(branch, trial.method, findings.naive)]
    return tuple(inside[: min(_TOP, max(2, math.ceil(len(inside) / 4)))])


def _narrowed(branch: Branch, top: Sequence[TrialFinding]) -> dict[str, Slot]:
    """The branch's slots with the options that the top trials used, narrowed around their values."""
    slots = {}
    for slot in branch.slots:
        used = [getattr(trial.method, slot.slot) for trial in top]
        options = [
            _narrowed_option(slot.slot, option, [c for c in used if c.kind == option.component])
            for option in slot.options
            if any(c.kind == option.component for c in used)
        ]
        slots[slot.slot] = Slot(slot=slot.slot, options=tuple(options))
    return slots


def _narrowed_option(slot: str, option: Option, used: Sequence[Component]) -> Option:
    specs = param_specs(SLOTS[slot][option.component])
    params = tuple(_around(specs[p.name], p, [getattr(c, p.name) for c in used]) for p in option.params)
    return Option(component=option.component, params=params)


def _around(spec: ParamSpec, param: Param, values: list[float]) -> Param:
    match param:
        case Fixed():
            return param
        case Choice():
            kept = tuple(value for value in param.values if coerced(spec, value) in values)
            return (
                Fixed(name=param.name, value=kept[0])
                if len(kept) == 1
                else Choice(name=param.name, values=kept)
            )
        case Range():
            return _around_range(spec, param, values)


def _around_range(spec: ParamSpec, param: Range, values: list[float]) -> Param:
    """A range over the values with a margin, in log space for a log range; it may exceed the old range.

    An optimum at an end of the old range calls for values beyond it; the parameter's bounds still hold.
    """
    low, high = _scaled(param.low, log=param.log), _scaled(param.high, log=param.log)
    points = [_scaled(value, log=param.log) for value in values]
    width = min(max(1.5 * (max(points) - min(points)), _NARROWEST * (high - low)), _WIDEST * (high - low))
    centre = (max(points) + min(points)) / 2
    new = [math.exp(x) if param.log else x for x in (centre - width / 2, centre + width / 2)]
    return span(spec, new[0], new[1], log=param.log)


def _scaled(value: float, *, log: bool) -> float:
    return math.log(value) if log else value


def _drawn_slot(slot: str, plain: str, rng: random.Random) -> Slot:
    kind = rng.choice([kind for kind in SLOTS[slot] if kind != plain])
    specs = list(param_specs(SLOTS[slot][kind]).values())
    params = [param for spec in specs if (param := _drawn_param(spec, rng)) is not None]
    chosen = rng.sample(params, k=min(len(params), 3))
    return Slot(slot=slot, options=(Option(component=kind, params=tuple(chosen)),))


def _drawn_param(spec: ParamSpec, rng: random.Random) -> Param | None:
    """A random half of the parameter's space, or None if it has no bounds to draw from."""
    if spec.ordered and spec.low is not None and spec.high is not None:
        log = spec.low > 0 and spec.high / spec.low >= 20
        low, high = _scaled(spec.low, log=log), _scaled(spec.high, log=log)
        start = rng.uniform(low, (low + high) / 2)
        ends = [math.exp(x) if log else x for x in (start, start + (high - low) / 2)]
        return span(spec, ends[0], ends[1], log=log)
    values = spec.members or ((True, False) if spec.type == "boolean" else ())
    return Choice(name=spec.name, values=tuple(rng.sample(values, k=min(len(values), 4)))) if values else None


def _listed(top: Sequence[TrialFinding]) -> str:
    return ", ".join(shown_pgr(trial) for trial in top)


def _fresh(name: str, taken: Container[str]) -> str:
    """The name, or the name with the first free number after it; at most 48 characters."""
    base = slug(name)
    if base not in taken:
        return base
    number = 2
    while (numbered := f"{base[:43].rstrip('-')}-{number}") in taken:
        number += 1
    return numbered
