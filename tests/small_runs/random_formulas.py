"""Formulas drawn at random from the grammar."""

import numpy as np
from pydantic import ValidationError

from trainers.components.formulas.formula import ALL, PARAMETERS, Formula
from trainers.components.formulas.weights import WeightFormula

DEEPEST = 5  # operations inside each other
OPERATORS = ("+", "-", "*", "/", "<", ">=")


def draw_formula(rng: np.random.Generator, kind: type[Formula]) -> Formula:
    """A formula that validates, with random numbers; one of weights is never 0."""
    while True:
        text = random_expression(rng, kind)
        text = f"0.1 + abs({text})" if issubclass(kind, WeightFormula) else text
        try:
            return kind(expression=text, **{name: float(rng.uniform()) for name in PARAMETERS})
        except ValidationError:
            continue


def random_expression(rng: np.random.Generator, kind: type[Formula], depth: int = DEEPEST) -> str:
    """An expression of a slot; most of them validate."""
    if depth == 0 or (depth < DEEPEST and rng.random() < 0.2):
        return _value(rng, kind)
    if rng.random() < 0.5:
        left, right = (random_expression(rng, kind, depth - 1) for _ in range(2))
        return f"({left} {_one(rng, OPERATORS)} {right})"
    name = _one(rng, tuple(kind.dialect.arities))
    arguments = [random_expression(rng, kind, depth - 1) for _ in range(kind.dialect.arities[name])]
    if ALL[name].whole:
        of = f"sg({arguments[0]})" if "sg" in kind.dialect.functions else arguments[0]
        arguments = [of, *(_one(rng, PARAMETERS) for _ in arguments[1:])]
    return f"{name}({', '.join(arguments)})"


def _value(rng: np.random.Generator, kind: type[Formula]) -> str:
    chance = rng.random()
    if chance < 0.6:
        return _one(rng, tuple(name for name in kind.dialect.signals if name != "prior"))
    return _one(rng, PARAMETERS) if chance < 0.8 else f"{10 ** rng.uniform(-7, 6):.3g}"


def _one(rng: np.random.Generator, names: tuple[str, ...]) -> str:
    return names[int(rng.integers(len(names)))]
