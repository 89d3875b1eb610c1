"""A formula's component: an expression and its numbers a, b and c, checked and evaluated."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from trainers.component import Component
from trainers.components.formulas.grammar import COMPARISONS, FormulaError, Step, at_fault, compact, parse
from trainers.components.formulas.operations import (
    ARITHMETIC,
    FUNCTIONS,
    LOSS_FUNCTIONS,
    Array,
    Dual,
    applied,
)

KEPT = 4096  # formulas whose steps and checks are kept: a ledger names the same ones again and again
PARAMETERS = ("a", "b", "c")
STUDENT = {"ce": ("log f", "log 1-f")}  # signals that a function takes besides what is written
ALL = {**ARITHMETIC, **FUNCTIONS, **LOSS_FUNCTIONS}
SIDES = ("where", "*", "min", "max", "sg")  # operations that make 0 or 1 of values that are 0 or 1


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """What a formula of a slot may name.

    slot: as errors name it. signals: name -> what it is. lone: signals that are one number for all examples.
    flowing: signals through which a gradient flows. functions: besides those of every formula.
    """

    slot: str
    signals: Mapping[str, str]
    lone: frozenset[str] = frozenset()
    flowing: frozenset[str] = frozenset()
    functions: tuple[str, ...] = ()

    @property
    def arities(self) -> Mapping[str, int]:
        """How many values every function takes that may be written."""
        written = [*FUNCTIONS, *self.functions]
        return {name: ALL[name].arity - len(STUDENT.get(name, ())) for name in written}


@dataclass(frozen=True, kw_only=True)
class _Type:
    """Of a value: whether it is one number for all, a gradient flows through it, and it is 0 or 1 only."""

    lone: bool = False
    flows: bool = False
    decision: bool = False


@dataclass(frozen=True, kw_only=True)
class Program:
    """A formula that has been read: its steps, the names it uses, and whether its values are 0 or 1 only."""

    steps: tuple[Step, ...]
    names: frozenset[str]
    decision: bool

    @property
    def whole(self) -> bool:
        """Whether an example's value depends on the other examples."""
        return any(step.number is None and step.arity and ALL[step.name].whole for step in self.steps)

    def evaluate(self, values: Mapping[str, Dual], constant: Callable[[float], Array], xp: Any) -> Dual:
        """The formula's value, [n], and derivative.

        values: of every name that it uses. constant: makes a scalar of the values' type. xp: numpy or torch.
        """
        stack: list[Dual] = []
        for step in self.steps:
            if step.arity == 0:
                number = step.number
                stack.append(values[step.name] if number is None else Dual(constant(number)))
                continue
            hidden = tuple(values[name] for name in STUDENT.get(step.name, ()))
            taken = tuple(stack[-step.arity :])
            stack[-step.arity :] = [applied(ALL[step.name], taken + hidden, xp)]
        return stack.pop()


@lru_cache(KEPT)
def read(expression: str, dialect_of: "type[Formula]") -> Program:
    """The program of an expression; raises FormulaError in one sentence that names slot and column."""
    dialect = dialect_of.dialect
    try:
        steps = parse(expression, [*dialect.signals, *PARAMETERS], dialect.arities)
        found = _typed(steps, dialect)
    except FormulaError as error:
        raise FormulaError(f"{dialect.slot} formula, {error}") from None
    names = {step.name for step in steps if step.arity == 0 and step.number is None}
    if found.lone:
        raise FormulaError(
            f"{dialect.slot} formula gives all examples the same number: use a signal, of "
            f"{', '.join(name for name in dialect.signals if name not in dialect.lone)}"
        )
    return Program(steps=steps, names=frozenset(names), decision=found.decision)


def _typed(steps: Sequence[Step], dialect: Dialect) -> _Type:
    stack: list[_Type] = []
    for step in steps:
        if step.arity == 0:
            stack.append(_type_of_value(step, dialect))
        else:
            stack[-step.arity :] = [_type_of_result(step, stack[-step.arity :])]
    return stack.pop()


def _type_of_value(step: Step, dialect: Dialect) -> _Type:
    if step.number is not None:
        return _Type(lone=True, decision=step.number in (0, 1))
    return _Type(lone=step.name in (*PARAMETERS, *dialect.lone), flows=step.name in dialect.flowing)


def _type_of_result(step: Step, arguments: Sequence[_Type]) -> _Type:
    function = ALL[step.name]
    if function.whole:
        if arguments[0].lone:
            at_fault(step.column, f"{step.name} needs a value of each example, got one number for all")
        if any(not argument.lone for argument in arguments[1:]):
            at_fault(step.column, f"{step.name} needs one number for all examples as its second value")
        if any(argument.flows for argument in arguments):
            at_fault(step.column, f"no gradient flows through {step.name}: write {step.name}(sg(..))")
    student = step.name in STUDENT
    chosen = arguments[1:] if step.name == "where" else arguments
    made = step.name in COMPARISONS
    return _Type(
        lone=not student and (function.lone or all(argument.lone for argument in arguments)),
        flows=student or (function.partials is not None and any(argument.flows for argument in chosen)),
        decision=made or (step.name in SIDES and all(argument.decision for argument in chosen)),
    )


class Formula(Component):
    """An expression over named signals.

    The numbers a, b and c lie in [0, 1], so that a search can range them; an expression scales them.
    """

    dialect: ClassVar[Dialect]
    expression: Annotated[str, Field(description="see: formulas")]
    a: Annotated[float, Field(ge=0, le=1, description="a of the expression")] = 0.5
    b: Annotated[float, Field(ge=0, le=1, description="b of the expression")] = 0.5
    c: Annotated[float, Field(ge=0, le=1, description="c of the expression")] = 0.5

    @model_validator(mode="after")
    def _it_computes_something(self) -> Self:
        if reason := self.senseless():
            raise ValueError(f"{self.dialect.slot} formula {reason}")
        return self

    def senseless(self) -> str | None:
        """Why nothing could be learned by the formula, tried on random evidence; None if something can.

        Raises FormulaError for an expression that cannot be read.
        """
        raise NotImplementedError

    @property
    def program(self) -> Program:
        """The steps of the expression."""
        return read(self.expression, type(self))

    @property
    def needs_prior(self) -> bool:
        """Whether it uses the strong model's zero-shot answers."""
        return "prior" in self.program.names

    @property
    def needs_spread(self) -> bool:
        """Whether it uses how far the weak models of a supervisor differ."""
        return "spread" in self.program.names

    @property
    def numbers(self) -> dict[str, float]:
        """The parameters by name."""
        return {"a": self.a, "b": self.b, "c": self.c}

    @property
    def simplest(self) -> Self:
        """The same formula without spaces, and without numbers that it does not use."""
        unused = {name: 0.5 for name in PARAMETERS if name not in self.program.names}
        return self.model_copy(update={"expression": compact(self.expression), **unused})

    @property
    def unnumbered(self) -> Self:
        """The simplest formula with the same expression: the same whatever a, b and c are."""
        return self.simplest.model_copy(update=dict.fromkeys(PARAMETERS, 0.5))
