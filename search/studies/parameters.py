"""Methods as named parameters: in words, on axes, and how much each parameter matters."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from trainers.method import SLOTS, Method

Value = bool | int | float | str
Parameters = Mapping[str, Value]

LOG_SPAN = 20.0  # a parameter whose greatest value is so many times its least is shown on a log scale
MIN_TRIALS = 12  # completed trials under which importance would be noise alone


def parameters(method: Method) -> Parameters:
    """Every choice in a method by its name, such as `loss.kind` and `loss.logconf.aux`."""
    values: dict[str, Value] = {}
    for slot in SLOTS:
        component = getattr(method, slot)
        values[f"{slot}.kind"] = component.kind
        for name, value in component:
            if name != "kind":
                plain = isinstance(value, bool | int | float | str)
                values[f"{slot}.{component.kind}.{name}"] = value if plain else str(value)
    return values


def shown(value: Value) -> str:
    """A value at three digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


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
            return [(self.place(level), level) for level in self.levels]
        return [(0.0, shown(self.low)), (1.0, shown(self.high))]


def axes(methods: Sequence[Parameters]) -> list[Axis]:
    """An axis for every parameter that takes at least two values, in the order of the slots."""
    names = dict.fromkeys(name for slot in SLOTS for one in methods for name in one if _of(name, slot))
    found = []
    for name in names:
        values = {one[name] for one in methods if name in one}
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


def importance(scored: Sequence[tuple[Method, float]]) -> list[tuple[str, float]]:
    """How much each parameter tells the best methods from the others, as shares, the largest first.

    Optuna's PED-ANOVA with conditional parameters (Watanabe et al., 2023, arXiv:2304.10255) over (method,
    PGR) of completed trials, all branches together. Empty under MIN_TRIALS trials, or where nothing varies.
    """
    methods = [parameters(method) for method, _ in scored]
    found = {axis.name: axis for axis in axes(methods)}
    if len(scored) < MIN_TRIALS or not found:
        return []
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(direction="maximize")
        study.add_trials([_trial(one, pgr, found) for one, (_, pgr) in zip(methods, scored, strict=True)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of few trials and of what is experimental
            shares = optuna.importance.get_param_importances(study)
    finally:
        optuna.logging.set_verbosity(verbosity)
    return [(name, share) for name, share in shares.items() if math.isfinite(share)]


def _trial(one: Parameters, pgr: float, found: Mapping[str, Axis]) -> optuna.trial.FrozenTrial:
    kept = {name: value for name, value in one.items() if name in found}
    return optuna.trial.create_trial(
        value=pgr,
        params={name: str(value) if found[name].levels else float(value) for name, value in kept.items()},
        distributions={name: _distribution(found[name]) for name in kept},
    )


def _distribution(axis: Axis) -> BaseDistribution:
    if axis.levels:
        return CategoricalDistribution(axis.levels)
    return FloatDistribution(axis.low, axis.high, log=axis.log)
