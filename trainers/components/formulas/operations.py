"""The operations of formulas, over arrays of numpy or of torch, with derivatives in the student's logit.

Derivatives are carried forward with the values (dual numbers: Wengert 1964, "A simple automatic derivative
evaluation program"), so that a loss is checked by the code that trains by it. Every value and derivative is
finite where the signals are: values are clipped to [-1e6, 1e6], whose derivative outside is 0, and log, /,
pow and exp are defined everywhere. `xp` is numpy or torch: what is used here has the same name in both.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Array = Any  # of numpy or of torch
Partials = tuple[Array, ...]

LIMIT = 1e6  # of every value, and of every derivative
SMALL = 1e-6  # least argument of log, least divisor, least base of pow


@dataclass(frozen=True)
class Dual:
    """A value, [n] or a scalar, and its derivative in the student's logit; None: it has none."""

    value: Array
    slope: Array | None = None


@dataclass(frozen=True, kw_only=True)
class Function:
    """An operation.

    arity: how many values it takes. value: (xp, *values) -> value. says: what it computes, for whoever writes
    a formula. partials: (xp, *values) -> the derivative in each; None: no derivative passes. whole: whether
    it looks at all examples at once. lone: whether it makes one number of them.
    """

    arity: int
    value: Callable[..., Array]
    says: str = ""
    partials: Callable[..., Partials] | None = None
    whole: bool = False
    lone: bool = False


def applied(function: Function, arguments: tuple[Dual, ...], xp: Any) -> Dual:
    """The function's value, clipped, and its derivative by the chain rule, clipped and 0 beyond the limit."""
    values = [argument.value for argument in arguments]
    value = function.value(xp, *values)
    inside = xp.abs(value) <= LIMIT
    clipped = xp.clip(value, -LIMIT, LIMIT)
    if function.partials is None or all(argument.slope is None for argument in arguments):
        return Dual(clipped)
    slope = sum(
        partial * argument.slope
        for partial, argument in zip(function.partials(xp, *values), arguments, strict=True)
        if argument.slope is not None
    )
    return Dual(clipped, xp.clip(xp.where(inside, slope, 0.0), -LIMIT, LIMIT))


def sigmoid(xp: Any, x: Array) -> Array:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + xp.exp(-xp.clip(x, -60.0, 60.0)))


def _divisor(xp: Any, y: Array) -> Array:
    """The divisor moved away from 0, on its side; 0 itself to the positive one."""
    return xp.where(y < 0, xp.clip(y, -LIMIT, -SMALL), xp.clip(y, SMALL, LIMIT))


def _over_partials(xp: Any, x: Array, y: Array) -> Partials:
    divisor = _divisor(xp, y)
    return 1 / divisor, xp.where(xp.abs(y) > SMALL, -x / divisor**2, 0.0)


def _base(xp: Any, x: Array) -> Array:
    return xp.clip(xp.abs(x), SMALL, LIMIT)


def _exp(xp: Any, x: Array) -> Array:
    return xp.exp(xp.clip(x, -60.0, math.log(2 * LIMIT)))  # twice the limit: seen to lie beyond it


def _pow(xp: Any, x: Array, y: Array) -> Array:
    return _exp(xp, y * xp.log(_base(xp, x)))


def _pow_partials(xp: Any, x: Array, y: Array) -> Partials:
    value, base = _pow(xp, x, y), _base(xp, x)
    return xp.where(xp.abs(x) > SMALL, value * y * xp.sign(x) / base, 0.0), value * xp.log(base)


def _prob(xp: Any, x: Array) -> Array:
    return xp.clip(x, SMALL, 1 - SMALL)


def _logit(xp: Any, x: Array) -> Array:
    inside = _prob(xp, x)
    return xp.log(inside) - xp.log1p(-inside)


def _within(xp: Any, x: Array, low: Array, high: Array, partial: Array = 1.0) -> Array:
    """The partial where low < x < high, else 0."""
    return xp.where((x > low) & (x < high), partial, 0.0)


def _clip_partials(xp: Any, x: Array, low: Array, high: Array) -> Partials:
    above, below = x < low, (x > high) | (low > high)
    return (
        xp.where(above | below, 0.0, xp.ones_like(x)),
        xp.where(above & ~below, 1.0, xp.zeros_like(x)),
        xp.where(below, 1.0, xp.zeros_like(x)),
    )


def _cross_entropy(xp: Any, target: Array, log_f: Array, log_not_f: Array) -> Array:
    inside = xp.clip(target, 0.0, 1.0)
    return -inside * log_f - (1 - inside) * log_not_f


def _cross_entropy_partials(xp: Any, target: Array, log_f: Array, log_not_f: Array) -> Partials:
    inside = xp.clip(target, 0.0, 1.0)
    return xp.where(inside == target, log_not_f - log_f, 0.0), -inside, inside - 1


def _standard(xp: Any, x: Array) -> Array:
    mean = xp.mean(x)
    spread = xp.sqrt(xp.mean((x - mean) ** 2))
    apart = spread > 1e-5 * (1 + xp.abs(mean))  # less is rounding error
    return xp.where(apart, (x - mean) / xp.clip(spread, SMALL, None), xp.zeros_like(x))


def _rank(xp: Any, x: Array) -> Array:
    _, place, counts = xp.unique(x, return_inverse=True, return_counts=True)
    middle = xp.cumsum(counts, 0) - (counts - 1) / 2
    return (middle[place] + xp.zeros_like(x)) / (len(x) + 1)


def _truth(xp: Any, truth: Array, x: Array) -> Array:
    return xp.where(truth, xp.ones_like(x), xp.zeros_like(x))


ARITHMETIC: Mapping[str, Function] = {
    "+": Function(arity=2, value=lambda xp, x, y: x + y, partials=lambda xp, x, y: (1.0, 1.0)),
    "-": Function(arity=2, value=lambda xp, x, y: x - y, partials=lambda xp, x, y: (1.0, -1.0)),
    "*": Function(arity=2, value=lambda xp, x, y: x * y, partials=lambda xp, x, y: (y, x)),
    "/": Function(arity=2, value=lambda xp, x, y: x / _divisor(xp, y), partials=_over_partials),
    "minus": Function(arity=1, value=lambda xp, x: -x, partials=lambda xp, x: (-1.0,)),
    "<": Function(arity=2, value=lambda xp, x, y: _truth(xp, x < y, x + y)),
    ">": Function(arity=2, value=lambda xp, x, y: _truth(xp, x > y, x + y)),
    "<=": Function(arity=2, value=lambda xp, x, y: _truth(xp, x <= y, x + y)),
    ">=": Function(arity=2, value=lambda xp, x, y: _truth(xp, x >= y, x + y)),
}

FUNCTIONS: Mapping[str, Function] = {
    "abs": Function(arity=1, says="|x|", value=lambda xp, x: xp.abs(x), partials=lambda xp, x: (xp.sign(x),)),
    "clip": Function(
        arity=3,
        says="(x, low, high): x moved into [low, high]",
        value=lambda xp, x, low, high: xp.minimum(xp.maximum(x, low), high),
        partials=_clip_partials,
    ),
    "exp": Function(
        arity=1,
        says="at most 1e6",
        value=_exp,
        partials=lambda xp, x: (_exp(xp, x),),
    ),
    "log": Function(
        arity=1,
        says="natural logarithm; of 1e-6 where x is less",
        value=lambda xp, x: xp.log(xp.clip(x, SMALL, None)),
        partials=lambda xp, x: (_within(xp, x, SMALL, math.inf, 1 / xp.clip(x, SMALL, None)),),
    ),
    "logit": Function(
        arity=1,
        says="log(p / (1 - p)), p moved into [1e-6, 1 - 1e-6]",
        value=_logit,
        partials=lambda xp, x: (_within(xp, x, SMALL, 1 - SMALL, 1 / (_prob(xp, x) * (1 - _prob(xp, x)))),),
    ),
    "max": Function(
        arity=2,
        says="(x, y): the larger of two",
        value=lambda xp, x, y: xp.maximum(x, y),
        partials=lambda xp, x, y: (_truth(xp, x >= y, x + y), _truth(xp, x < y, x + y)),
    ),
    "mean": Function(
        arity=1,
        says="over all examples",
        value=lambda xp, x: xp.mean(x),
        whole=True,
        lone=True,
    ),
    "min": Function(
        arity=2,
        says="(x, y): the smaller of two",
        value=lambda xp, x, y: xp.minimum(x, y),
        partials=lambda xp, x, y: (_truth(xp, x <= y, x + y), _truth(xp, x > y, x + y)),
    ),
    "pow": Function(
        arity=2,
        says="(x, y): |x| to the power y, |x| at least 1e-6",
        value=_pow,
        partials=_pow_partials,
    ),
    "quantile": Function(
        arity=2,
        says="(x, q): the value that a share q of all examples lies below",
        value=lambda xp, x, q: xp.quantile(x, xp.clip(q, 0.0, 1.0)),
        whole=True,
        lone=True,
    ),
    "rank": Function(
        arity=1,
        says="i / (n + 1) for the i-th lowest of all n examples; equal ones share their mean",
        value=_rank,
        whole=True,
    ),
    "sigmoid": Function(
        arity=1,
        says="1 / (1 + exp(-x))",
        value=sigmoid,
        partials=lambda xp, x: (sigmoid(xp, x) * (1 - sigmoid(xp, x)),),
    ),
    "where": Function(
        arity=3,
        says="(c, x, y): x where c is not 0, else y",
        value=lambda xp, c, x, y: xp.where(c != 0, x, y),
        partials=lambda xp, c, x, y: (
            0.0,
            _truth(xp, c != 0, c + x + y),
            _truth(xp, c == 0, c + x + y),
        ),
    ),
    "z": Function(
        arity=1,
        says="(x - mean) / standard deviation over all examples; 0 where all are equal",
        value=_standard,
        whole=True,
    ),
}

LOSS_FUNCTIONS: Mapping[str, Function] = {
    "ce": Function(
        arity=3,
        says="(p): the student's cross-entropy against the target p in [0, 1], -p*log(f) - (1-p)*log(1-f)",
        value=_cross_entropy,
        partials=_cross_entropy_partials,
    ),
    "sg": Function(arity=1, says="x itself, through which no gradient flows", value=lambda xp, x: x + 0.0),
}
