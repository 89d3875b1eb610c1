"""The spaces of agents/playbook/ideas.py, fitted to the catalogue and the naive baseline.

Each space is narrow enough for six to ten trials. Learning rates and epochs are multiples of the naive
baseline's, because a good learning rate depends on the model and a good length on the data.
"""

import math

from agents.language.catalogue import ParamSpec, param_specs
from agents.language.proposal import Branch, Fixed, Option, Param, Range, Slot
from agents.playbook.idea import Multiples
from agents.playbook.ideas import IDEAS
from trainers.method import SLOTS, Method

# Good learning rates of students, as multiples of a full fine-tuning's: the middles of what the ideas search.
RATES = {"full": 1.0, "lora": 10**0.5, "probe": 10.0}


def rates_of(student: str, naive: Method, multiples: Multiples) -> Multiples:
    """Multiples of the naive learning rate for another student, from those for the naive one."""
    low, high = (multiple * RATES[student] / RATES[naive.student.kind] for multiple in multiples)
    return low, high


def span(spec: ParamSpec, low: float, high: float, *, log: bool) -> Range | Fixed:
    """The range cut to the parameter's bounds, to three digits; a fixed value if the cut range is empty."""
    low, high = _cut(spec, low), _cut(spec, high)
    if low >= high:
        return Fixed(name=spec.name, value=int(low) if spec.type == "integer" else low)
    return Range(name=spec.name, low=low, high=high, log=log and low > 0)


def _cut(spec: ParamSpec, value: float) -> float:
    value = float(round(value)) if spec.type == "integer" else float(f"{value:.3g}")
    low = -math.inf if spec.low is None else spec.low
    high = math.inf if spec.high is None else spec.high
    return min(max(value, low), high)


def optim_slot(naive: Method, *, lr: Multiples, epochs: Multiples, more: tuple[Param, ...] = ()) -> Slot:
    """The naive optimizer, its learning rate and epochs searched between multiples of their values."""
    specs = param_specs(type(naive.optim))
    params: dict[str, Param] = {
        name: Fixed(name=name, value=getattr(naive.optim, name))
        for name, spec in specs.items()
        if getattr(naive.optim, name) != spec.default and spec.type != "other"
    }
    params |= {param.name: param for param in more}
    for name, (low, high) in (("lr", lr), ("epochs", epochs)):
        own = getattr(naive.optim, name)
        params[name] = span(specs[name], own * low, own * high, log=True)
    return Slot(slot="optim", options=(Option(component=naive.optim.kind, params=tuple(params.values())),))


def literature(naive: Method) -> tuple[Branch, ...]:
    """The suggested branches whose components exist, most promising first."""
    fitted = (_fitted(branch, naive, lr, epochs) for branch, lr, epochs in IDEAS)
    return tuple(branch for branch in fitted if branch is not None)


def _fitted(branch: Branch, naive: Method, lr: Multiples, epochs: Multiples) -> Branch | None:
    slots = []
    more: tuple[Param, ...] = ()
    if any(slot.slot == "student" for slot in branch.slots):
        lr = rates_of("full", naive, lr)  # an idea's own student has multiples of a full fine-tuning's rate
    for slot in branch.slots:
        if slot.slot == "optim":
            more = slot.options[0].params
            continue
        present = tuple(o for o in slot.options if o.component in SLOTS.get(slot.slot, {}))
        if not present:
            return None
        slots.append(Slot(slot=slot.slot, options=tuple(_within(slot.slot, option) for option in present)))
    slots.append(optim_slot(naive, lr=lr, epochs=epochs, more=more))
    return branch.model_copy(update={"slots": tuple(slots)})


def _within(slot: str, option: Option) -> Option:
    specs = param_specs(SLOTS[slot][option.component])
    params = tuple(
        span(specs[p.name], p.low, p.high, log=p.log) if isinstance(p, Range) else p
        for p in option.params
        if p.name in specs
    )
    return Option(component=option.component, params=params)
