"""Methods as named parameters, and the axes that they span."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agents.language.naming import method_values
from trainers.method import SLOTS, Method

Value = bool | int | float | str
Parameters = Mapping[str, Value]

LONGEST = 24  # characters of a value that are shown
LOG_SPAN = 20.0  # a parameter whose greatest value is so many times its least is shown on a log scale


def parameters(method: Method) -> Parameters:
    """Every choice in a method by its name, such as `loss.kind` and `loss.logconf.aux`."""
    return {
        name: value if isinstance(value, bool | int | float | str) else str(value)
        for name, value in method_values(method).items()
    }


def shown(value: Value) -> str:
    """A value at three digits, a text by its beginning."""
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One parameter's range over some methods: levels of a choice, or low, high and scale of a number."""

    name: str
    levels: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 1.0
    log: bool = False

    def place(self, value: Value) -> float:
        """Where a value lies, from 0 to 1."""
        if self.levels:
            return self.levels.index(str(value)) / max(1, len(self.levels) - 1)
        low, high, at = self.low, self.high, float(value)
        if self.log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return (at - low) / (high - low)

    def marks(self) -> list[tuple[float, str]]:
        """Places and texts that label the axis."""
        if self.levels:
            return [(self.place(level), shown(level)) for level in self.levels]
        return [(0.0, shown(self.low)), (1.0, shown(self.high))]


def axes(methods: Sequence[Parameters]) -> list[Axis]:
    """An axis for every parameter that takes at least two values, in the order of the slots."""
    names = dict.fromkeys(name for slot in SLOTS for method in methods for name in method if _of(name, slot))
    found = []
    for name in names:
        values = {method[name] for method in methods if name in method}
        if len(values) > 1:
            found.append(_axis(name, values))
    return found


def _of(name: str, slot: str) -> bool:
    return name.startswith(f"{slot}.")


def _axis(name: str, values: set[Value]) -> Axis:
    numbers = [float(value) for value in values if not isinstance(value, bool | str)]
    if len(numbers) < len(values):
        return Axis(name=name, levels=tuple(sorted(map(str, values))))
    low, high = min(numbers), max(numbers)
    return Axis(name=name, low=low, high=high, log=low > 0 and high / low >= LOG_SPAN)
