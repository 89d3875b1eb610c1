"""An idea of the playbook: a branch, and how far its optimizer's numbers range around naive's."""

from agents.language.proposal import Branch, Choice, Family, Fixed, Option, Param, Range, Slot, Value

Multiples = tuple[float, float]


def ranged(name: str, low: float, high: float, *, log: bool = False) -> Range:
    """A parameter between two numbers, on a logarithmic scale or not."""
    return Range(name=name, low=low, high=high, log=log)


def choice(name: str, *values: Value) -> Choice:
    """A parameter that is one of some values."""
    return Choice(name=name, values=values)


def option(component: str, *params: Param) -> Option:
    """A component of a slot."""
    return Option(component=component, params=params)


def trimmed(count: int) -> Option:
    """So many members that answer by a trimmed mean."""
    params = (Fixed(name="count", value=count), Fixed(name="aggregate", value="trimmed"))
    return option("ensemble", *params)


def idea(
    name: str,
    family: Family,
    hypothesis: str,
    *,
    lr: Multiples = (1 / 3, 1.5),
    epochs: Multiples = (1 / 3, 1),
    **slots: tuple[Option, ...],
) -> tuple[Branch, Multiples, Multiples]:
    """A branch, and the multiples of the naive learning rate and epochs that it searches between.

    slots: the options of each slot.
    """
    filled = tuple(Slot(slot=slot, options=options) for slot, options in slots.items())
    return Branch(name=name, family=family, hypothesis=hypothesis, parent=None, slots=filled), lr, epochs
