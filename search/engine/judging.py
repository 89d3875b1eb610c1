"""Scores of search trials at rungs, and the judgements of the stopping rule on them."""

import logging
import math
from collections.abc import Iterable, Sequence

from agents.findings.predictions import unpack
from search.engine.context import RunContext
from search.ledger.events import AnyEvent, RungReached, TaskReached
from search.policy.pruning import Correct, Judge, Judgement, seed_variance
from search.scoring.grader import Score

log = logging.getLogger(__name__)

TOLERANCE = 1e-9  # the same sums on another machine may differ in their last bits


class Judging:
    """Asks the grader for scores and the judge for judgements; learns of rungs from the ledger's events.

    The ledger holds predictions and scores, but not which examples are right, as that would reveal the
    labels. So a process that resumes a run asks the grader again, for all rungs at once.
    """

    def __init__(self, run: RunContext) -> None:
        self._run = run
        self._judge = Judge(run.config.search.pruning, run.gap)
        self._scores: dict[tuple[str, float], Score] = {}  # graded, but not yet seen in an event
        self._judgements: dict[str, Judgement] = {}

    def grade(self, reached: RungReached | TaskReached) -> Score:
        """The score of a rung that is not in the ledger yet: over all tasks, or on the one it is of."""
        if isinstance(reached, TaskReached):
            assert self._run.several is not None
            return self._run.several.grade_on(reached.task, reached.predictions)
        score = self._run.grader.grade(reached.predictions)
        self._scores[reached.trial, reached.share] = score
        return score

    def regrade(self, events: Iterable[AnyEvent]) -> None:
        """Grade all scored rungs among these events again, before their replay; warn of other scores."""
        rungs = [event for event in events if isinstance(event, RungReached) and event.pgr is not None]
        scores = self._run.grader.grade_many([rung.predictions for rung in rungs])
        pairs = list(zip(rungs, scores, strict=True))
        self._scores |= {(rung.trial, rung.share): score for rung, score in pairs if self._is_search(rung)}
        _compare(pairs)

    def apply(self, event: AnyEvent) -> None:
        """Compare a search trial that reached a rung with its rivals there."""
        if not isinstance(event, RungReached):
            return
        score = self._scores.pop((event.trial, event.share), None)
        if score is None or not self._is_search(event):
            return
        config = self._run.config.search.pruning
        self._judgements[event.trial] = self._judge.judge(
            self._run.record.trials[event.trial].branch,
            config.rungs.index(event.share),
            self._evidence(score),
            seed_variance(config, self._run.record.baselines),
        )

    def _evidence(self, score: Score) -> Correct:
        """What a trial got right, example by example: of several tasks by what it says of the score."""
        if self._run.several is not None:
            return self._run.several.evidence(score.correct)
        return unpack(score.correct, self._run.search_size)

    def _is_search(self, event: RungReached) -> bool:
        return self._run.record.trials[event.trial].purpose == "search"

    def judgement(self, trial: str) -> Judgement:
        """The judgement on a trial at the last rung it reached."""
        return self._judgements[trial]

    @property
    def any_rung_reached(self) -> bool:
        """Whether any search trial has reached a rung."""
        return self._judge.any_rung_reached


def _compare(pairs: Sequence[tuple[RungReached, Score]]) -> None:
    """Warn, in one line, if the grader's scores are not the recorded ones."""
    others = [(rung, score) for rung, score in pairs if not _same(rung, score)]
    if others:
        rung, score = others[0]
        log.warning(
            "%d of %d recorded scores are not what the grader gives now, the first of trial %s at %.2f of "
            "its training: PGR %.6f ± %.6f recorded, %.6f ± %.6f now. Weak floor and ceiling were trained "
            "again with another result, or the code has changed: earlier and later scores cannot be compared",
            *(len(others), len(pairs), rung.trial, rung.share, rung.pgr, rung.se or 0, score.pgr, score.se),
        )


def _same(rung: RungReached, score: Score) -> bool:
    recorded, now = (rung.accuracy, rung.pgr, rung.se), (score.accuracy, score.pgr, score.se)
    return all(
        a is None or math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
        for a, b in zip(recorded, now, strict=True)
    )
