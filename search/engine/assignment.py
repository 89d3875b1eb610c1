"""What goes to a worker, and what comes back."""

from dataclasses import dataclass

from search.ledger.events import Purpose, RungReached
from search.scoring.grader import Score
from trainers.component import Frozen
from trainers.method import Method


class Assignment(Frozen):
    """What a worker is given: a method and a seed, and whether it answers the search or the test split.

    rungs: rising shares of the training to report at; where the last is below 1, the trial pauses there.
    micro_batch: the largest that fits, if that is known to be less than the engine's.
    """

    trial: str
    purpose: Purpose
    method: Method
    seed: int
    rungs: tuple[float, ...]
    micro_batch: int | None = None


@dataclass(frozen=True, kw_only=True)
class TrialReport:
    """What a worker sends at a rung: packed predictions, the seconds they took, smaller micro-batches."""

    share: float
    predictions: str
    setup_s: float
    train_s: float
    eval_s: float
    micro_batches: tuple[int, ...] = ()

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
