"""What whoever writes a formula needs to know: signals, functions and three examples."""

from collections.abc import Iterator

from trainers.component import Frozen
from trainers.components.formulas.formula import ALL, Formula
from trainers.components.formulas.grammar import DEPTH, LARGEST, LENGTH, STEPS
from trainers.components.formulas.labels import LabelFormula, RepairFormula
from trainers.components.formulas.losses import LossFormula
from trainers.components.formulas.operations import FUNCTIONS
from trainers.components.formulas.weights import WeightFormula


class Example(Frozen):
    """A formula of a slot, and what it does."""

    slot: str
    expression: str
    says: str


EXAMPLES = (
    Example(
        slot="labels",
        expression="sigmoid((logit(w) - a * mean(logit(w))) / (0.2 + 2 * b))",
        says="undoes a share a of the supervisor's preference for a class, and sharpens or flattens",
    ),
    Example(
        slot="select",
        expression="where(abs(w - probe) < a, rank(abs(w - 0.5)), 0)",
        says="drops what an out-of-fold probe contradicts, and weighs the rest by the rank of its confidence",
    ),
    Example(
        slot="loss",
        expression="ce(t + a * min(1, progress / 0.2) * sg((f > 0.5) - t))",
        says="draws the target towards the student's own decision, over the first fifth of the training",
    ),
)


def guide() -> str:
    """The text that an agent reads beside the catalogue."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield (
        "formulas: an expression gives a number for every example. It is written with numbers up to "
        f"{LARGEST:g}, signals, a, b and c, + - * /, one comparison (< > <= >=, which gives 1 or 0) in a "
        f"bracket, and functions; at most {LENGTH} characters, {STEPS} values and operations, {DEPTH} "
        "brackets deep. a, b and c lie in [0, 1], and a branch may range them: scale them, as in 10 * a. "
        "Every value is clipped to [-1e6, 1e6]; a divisor is moved at least 1e-6 away from 0."
    )
    yield "  signals of labels, repair and select"
    yield from (f"    {name}: {says}" for name, says in LabelFormula.dialect.signals.items())
    yield "  signals of select besides"
    yield from (f"    {name}: {says}" for name, says in _others(WeightFormula).items())
    yield "  signals of loss besides (its w is the supervisor's), of which f and margin carry the gradient"
    yield from (f"    {name}: {says}" for name, says in _others(LossFormula).items())
    yield "  functions"
    yield from (f"    {name}: {function.says}" for name, function in FUNCTIONS.items())
    yield "  functions of loss besides"
    yield from (f"    {name}: {ALL[name].says}" for name in LossFormula.dialect.functions)
    yield (
        "  In a loss, mean, quantile, rank and z look at the batch, and need sg around what the gradient "
        "would flow through."
    )
    yield "  examples"
    yield from (f"    {example.slot}: {example.expression}: {example.says}" for example in EXAMPLES)


def _others(formula: type[Formula]) -> dict[str, str]:
    shared = RepairFormula.dialect.signals
    return {name: says for name, says in formula.dialect.signals.items() if name not in shared}
