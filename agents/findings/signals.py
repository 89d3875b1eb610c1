"""The process signals of a trial: their names in the findings, and what they mean. None knows the truth."""

from collections.abc import Iterator

from agents.findings.findings import TrialFinding
from trainers.component import Frozen


class Signal(Frozen):
    """A statistic of a trial. field: of the finding that holds it. says: what the agent is told of it."""

    name: str
    field: str
    says: str


SIGNALS = (
    Signal(
        name="balance",
        field="balance",
        says="share of class 1 among a trial's predictions; far from the supervisor's own balance means "
        "collapse onto a class",
    ),
    Signal(
        name="agreement with its supervisor",
        field="agreement",
        says="share of its predictions that equal those of the supervisor it learned from; a student close "
        "to 1 imitates its supervisor's mistakes",
    ),
    Signal(
        name="steadiness",
        field="steadiness",
        says="share of its predictions that did not change since the rung before",
    ),
)
LABEL_SIGNALS = (
    Signal(
        name="labels kept",
        field="kept",
        says="on the side of the weak label; 1 means that no repair changed a decision",
    ),
    Signal(name="of class 1", field="balance", says="their balance"),
    Signal(
        name="predictable",
        field="predictable",
        says="on the side that a probe of the strong model's features says when it is fitted to the labels "
        "of other examples; it is high by construction after a repair that follows these features, and low "
        "where labels hold much noise",
    ),
    Signal(
        name="consistent", field="consistent", says="on the side of a probe that was fitted without labels"
    ),
)


def trial_signals(trial: TrialFinding) -> Iterator[tuple[str, float | None]]:
    """The names and values of a trial's own signals."""
    for signal in SIGNALS:
        yield signal.name, getattr(trial, signal.field)


def label_signals(trial: TrialFinding) -> Iterator[tuple[str, float | None]]:
    """What is known of a trial's labels; nothing where they are the weak labels and no more is known."""
    labels = trial.labels
    if labels and (labels.kept, labels.predictable, labels.consistent) != (1, None, None):
        for signal in LABEL_SIGNALS:
            yield signal.name, getattr(labels, signal.field)


def explained() -> str:
    """What every signal means, for the instructions of an agent."""
    own = [f"* {signal.name}: {signal.says}." for signal in SIGNALS]
    labels = [f"* {signal.name}: {signal.says}." for signal in LABEL_SIGNALS]
    between = "Of the labels that a trial learns from, as shares of the transfer examples:"
    return "\n".join([*own, "", between, *labels])
