"""Scores of search trials at rungs, and the stopping rule's findings on them."""

from collections.abc import Iterable

from agents.findings.predictions import unpack
from search.engine.context import RunContext
from search.ledger.events import AnyEvent, RungReached
from search.policy.pruning import Judge, Judgement, seed_variance
from search.scoring.grader import Score


class Judging:
    """Asks the grader for scores and the judge for findings; learns of rungs from the ledger's events.

    The ledger holds predictions and scores, but not which examples are right: together they would give the
    labels away. So a process that takes a run over asks the grader again, for all rungs at once.
    """

    def __init__(self, run: RunContext) -> None:
        self._run = run
        self._judge = Judge(run.config.search.pruning, run.gap)
        self._scores: dict[tuple[str, float], Score] = {}  # asked for, and not yet seen in an event
        self._findings: dict[str, Judgement] = {}

    def grade(self, rung: RungReached) -> Score:
        """The score of a rung that the ledger has not been told of yet."""
        score = self._run.grader.grade(rung.predictions)
        self._scores[rung.trial, rung.share] = score
        return score

    def grade_again(self, events: Iterable[AnyEvent]) -> None:
        """Ask for the scores of all search rungs among these events, before they are replayed."""
        rungs = [event for event in events if isinstance(event, RungReached) and self._counts(event)]
        scores = self._run.grader.grade_many([rung.predictions for rung in rungs])
        self._scores |= {(rung.trial, rung.share): score for rung, score in zip(rungs, scores, strict=True)}

    def apply(self, event: AnyEvent) -> None:
        """Compare a search trial that reached a rung with its rivals there."""
        if not isinstance(event, RungReached):
            return
        score = self._scores.pop((event.trial, event.share), None)
        if score is None or not self._counts(event):
            return
        config = self._run.config.search.pruning
        self._findings[event.trial] = self._judge.judge(
            self._run.record.trials[event.trial].branch,
            config.rungs.index(event.share),
            unpack(score.correct, self._run.search_size),
            seed_variance(config, self._run.record.baselines),
        )

    def _counts(self, event: RungReached) -> bool:
        return self._run.record.trials[event.trial].purpose == "search"

    def finding(self, trial: str) -> Judgement:
        """What the judge found when the trial reached its last rung."""
        return self._findings[trial]

    @property
    def any_rung_reached(self) -> bool:
        """Whether any search trial reached a rung."""
        return self._judge.any_rung_reached
