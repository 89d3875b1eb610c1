"""Single methods by the names of the playbook's ideas: what a publication would train, without a search.

A name such as `confidence-loss` means the first option of each of the idea's slots; `robust-losses:sce` means
another option, by its component. A parameter that the idea ranges has the component's own default, which is
the published value, where it lies in the range, else the middle of the range. The optimizer is the naive
baseline's, at a learning rate that suits the student.
"""

import difflib
from collections.abc import Iterator
from functools import cache

from agents.language.catalogue import param_specs
from agents.language.proposal import Branch, Choice, Fixed, Option, Param, Range, Slot, Value, with_components
from agents.language.space import coerced, middle
from agents.playbook.ideas import IDEAS
from agents.playbook.literature import RATES
from trainers.component import Component
from trainers.components.optim import Adamw
from trainers.method import SLOTS, Method

NAIVE = "naive"
PICK = ":"  # between the name of an idea and a component of it


@cache
def ideas() -> dict[str, Branch]:
    """The ideas of the playbook by their names, most promising first."""
    return {branch.name: branch for branch, _, _ in IDEAS}


def variants(branch: Branch) -> Iterator[str]:
    """The names of an idea's methods: its own, and one for each further option of a slot."""
    yield branch.name
    for slot in branch.slots:
        yield from (f"{branch.name}{PICK}{option.component}" for option in slot.options[1:])


def named_method(name: str, naive: Method) -> Method:
    """The method of a name, fitted to the naive baseline; `naive` is that baseline.

    Raises ValueError, on one line, for a name that there is not, with those that are near.
    """
    if name == NAIVE:
        return naive
    idea_name, _, picked = name.partition(PICK)
    branch = ideas().get(idea_name)
    if branch is None or (picked and name not in variants(branch)):
        raise ValueError(f"no method is called {name!r}{_nearest(name)}")
    components: dict[str, Component] = {}
    for slot in branch.slots:
        if slot.slot != "optim":
            components[slot.slot] = _component(slot, picked)
    student = components.get("student", naive.student)
    rate = RATES[student.kind] / RATES[naive.student.kind]
    optim = _optim(naive.optim, rate, _epochs(name) if not components else 1.0)
    return with_components(naive, components | {"optim": optim})


def fixed_branch(name: str, method: Method, naive: Method, hypothesis: str) -> Branch:
    """A method as a branch that holds nothing else; slots that are naive's are left out."""
    slots = tuple(
        Slot(slot=slot, options=(_option(component),))
        for slot in SLOTS
        if (component := getattr(method, slot)) != getattr(naive, slot)
    )
    family = ideas()[name.partition(PICK)[0]].family if name.partition(PICK)[0] in ideas() else "other"
    return Branch(name=name, family=family, hypothesis=hypothesis, parent=None, slots=slots)


def _option(component: Component) -> Option:
    specs = param_specs(type(component))
    values = ((name, getattr(component, name), spec) for name, spec in specs.items())
    params = tuple(
        Fixed(name=name, value=value)
        for name, value, spec in values
        if value != spec.default and isinstance(value, bool | int | float | str)
    )
    return Option(component=component.kind, params=params)


def _component(slot: Slot, picked: str) -> Component:
    option = next((option for option in slot.options if option.component == picked), slot.options[0])
    component = SLOTS[slot.slot][option.component]
    specs = param_specs(component)
    values = {
        param.name: coerced(specs[param.name], _published(specs[param.name].default, param))
        if _holds(param, specs[param.name].default)
        else middle(specs[param.name], param)
        for param in option.params
    }
    return component.model_validate(values)


def _published(default: Value, param: Param) -> Value:
    return param.value if isinstance(param, Fixed) else default


def _holds(param: Param, default: Value) -> bool:
    """Whether a parameter's space holds its component's default; a fixed one needs none."""
    match param:
        case Fixed():
            return True
        case Choice():
            return default in param.values
        case Range():
            return isinstance(default, int | float) and param.low <= default <= param.high


def _epochs(name: str) -> float:
    """The middle of the multiples of naive's epochs that an idea searches."""
    low, high = next(epochs for branch, _, epochs in IDEAS if branch.name == name)
    return float((low * high) ** 0.5)


def _optim(naive: Adamw, rate: float, epochs: float) -> Adamw:
    specs = param_specs(Adamw)

    def within(name: str, value: float) -> float:
        low, high = specs[name].low, specs[name].high
        return float(f"{min(max(value, low or value), high or value):.3g}")

    changed = {"lr": within("lr", naive.lr * rate), "epochs": within("epochs", naive.epochs * epochs)}
    return naive.model_copy(update=changed)


def _nearest(name: str) -> str:
    names = [NAIVE, *(variant for branch in ideas().values() for variant in variants(branch))]
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.45) or names[:6]
    return f"; did you mean {', '.join(near)}? `python -m search methods` lists them"
