"""What goes to a worker, and what comes back."""

from dataclasses import dataclass

from search.grading import Score
from search.ledger import Purpose, RungReached
from trainers.component import Frozen
from trainers.method import Method


class Assignment(Frozen):
    """What a worker is given: a method and a seed, and whether it answers the search or the test split.

    rungs: the shares at which to report; after the last of them the worker is free. keep: whether the trial
    may go on from there one day, or goes on from where it was left, so that its state is to be kept.
    """

    trial: str
    purpose: Purpose
    method: Method
    seed: int
    rungs: tuple[float, ...] = (1.0,)
    keep: bool = False


@dataclass(frozen=True, kw_only=True)
class TrialReport:
    """What a worker sends at a rung: packed predictions and the seconds they took."""

    share: float
    predictions: str
    setup_s: float
    train_s: float
    eval_s: float

    def event(self, trial: str, score: Score | None) -> RungReached:
        """The ledger's line for it, with what the grader says if it has been asked."""
        return RungReached(
            trial=trial,
            share=self.share,
            predictions=self.predictions,
            accuracy=score.accuracy if score else None,
            pgr=score.pgr if score else None,
            se=score.se if score else None,
            setup_s=self.setup_s,
            train_s=self.train_s,
            eval_s=self.eval_s,
        )
