"""What a proposer knows of the campaign so far: plain values derived from the ledger."""

from functools import cached_property
from statistics import fmean
from typing import Annotated, Literal

from pydantic import Field

from agents.findings.round_proposal import Note
from agents.language.proposal import Branch
from trainers.component import Frozen
from trainers.method import Abilities, Method
from trainers.trial.label_quality import LabelQuality

TrialState = Literal["running", "completed", "pruned", "failed"]


class TrialFinding(Frozen):
    """One trial: one method with one seed.

    pgr, se: at its best rung, None before the first score. stop: the share of its training at that rung; the
    method that stops there is what it stands for. curve: (share of its training, pgr) at each rung. cause:
    why it was not trained further (`pruned`), or failed. train_s: seconds of training.
    predictions: packed predictions on the search split at the best rung. balance: share of them
    that are class 1. agreement: share that equal the predictions of the weak supervisor whose labels the
    trial learned from. steadiness: share that equal the trial's own at the rung before. labels: what can be
    said of its training targets. None where unknown; none of these uses or reveals ground truth.
    on_tasks: of several searched tasks, name and PGR of each there; before the first score, of those that it
    has been on.
    """

    trial: str
    branch: str
    method: Method
    seed: int
    state: TrialState
    pgr: float | None
    se: Annotated[float, Field(ge=0)] | None
    stop: float | None = None
    curve: tuple[tuple[float, float], ...]
    cause: str | None
    train_s: Annotated[float, Field(ge=0)]
    predictions: str | None = None
    balance: float | None = None
    agreement: float | None = None
    steadiness: float | None = None
    labels: LabelQuality | None = None
    on_tasks: tuple[tuple[str, float], ...] = ()


class BranchFinding(Frozen):
    """One branch and the round that opened it.

    live: whether it has untried methods left; a weak branch may still get no more trials. importance: how
    much each searched parameter decided PGR, largest first, adding up to 1; empty while trials are too few.
    """

    branch: Branch
    round: int
    live: bool
    importance: tuple[tuple[str, float], ...] = ()


class Refusal(Frozen):
    """Why a branch proposed in a round was refused, in a sentence."""

    round: int
    text: str


class TaskFinding(Frozen):
    """One of several searched tasks: accuracies of its weak floor and ceiling on its search split."""

    name: str
    weak_acc: float
    ceiling_acc: float


class Findings(Frozen):
    """Everything a proposer may know; `round` is the number of the round to propose, from 1.

    weak_acc, weak_se, ceiling_acc, ceiling_se: on the search split, None before the baselines are trained.
    naive_pgr: of the naive baseline there, a mean over seeds; None until it is trained for that, beside the
    replicates. examples: the size of the search split, 0 if unknown. notes, refused: of earlier rounds.
    tasks: where several are searched; accuracies are means over them then, and examples those of all.
    objective: what a trial's PGR over all of them is, in words.
    rules: how the search decides, in paragraphs that stay the same over the campaign.
    """

    round: Annotated[int, Field(ge=1)]
    weak_acc: float | None
    weak_se: float | None
    ceiling_acc: float | None
    ceiling_se: float | None
    naive: Method
    abilities: Abilities
    branches: tuple[BranchFinding, ...]
    trials: tuple[TrialFinding, ...]
    trials_left: int
    naive_pgr: float | None = None
    examples: int = 0
    notes: tuple[Note, ...] = ()
    refused: tuple[Refusal, ...] = ()
    tasks: tuple[TaskFinding, ...] = ()
    objective: str = "the mean of its PGRs"
    rules: tuple[str, ...] = ()

    @property
    def gap(self) -> float | None:
        """Ceiling minus weak floor on the search split."""
        if self.weak_acc is None or self.ceiling_acc is None:
            return None
        return self.ceiling_acc - self.weak_acc

    def lower_bound(self, trial: TrialFinding) -> float:
        """PGR minus its standard error; a missing error counts as the largest known, a missing PGR as -inf.

        The margin keeps a lucky trial from outranking a trial that is known precisely.
        """
        if trial.pgr is None:
            return float("-inf")
        return trial.pgr - (self._largest_se if trial.se is None else trial.se)

    @cached_property
    def _largest_se(self) -> float:
        return max((trial.se for trial in self.trials if trial.se is not None), default=0.0)

    def best_trials(self, branch: str | None = None, n: int = 5) -> tuple[TrialFinding, ...]:
        """The n trials with a score, of one branch or of all, with the highest lower bounds, best first.

        Ties keep the order of the trials.
        """
        return tuple(self._ranked.get(branch, ())[:n])

    @cached_property
    def _ranked(self) -> dict[str | None, list[TrialFinding]]:
        """Trials with a score by branch and best first; None holds all branches."""
        ranked: dict[str | None, list[TrialFinding]] = {None: []}
        scored = [trial for trial in self.trials if trial.pgr is not None]
        for trial in sorted(scored, key=self.lower_bound, reverse=True):
            ranked[None].append(trial)
            ranked.setdefault(trial.branch, []).append(trial)
        return ranked

    def branch_score(self, branch: str) -> float:
        """Mean lower bound of the branch's three best trials; -inf if none has a score.

        Three trials, because the maximum of many noisy scores is mostly noise.
        """
        best = self.best_trials(branch, n=3)
        return fmean(map(self.lower_bound, best)) if best else float("-inf")

    def ranked_branches(self) -> tuple[Branch, ...]:
        """The branches with a trial that has a score, best first; ties keep the order of proposal."""
        scored = [found.branch for found in self.branches if self.best_trials(found.branch.name, n=1)]
        return tuple(sorted(scored, key=lambda branch: self.branch_score(branch.name), reverse=True))


def shown_pgr(trial: TrialFinding) -> str:
    """The trial's PGR as "0.42 ± 0.03", without the error where it is unknown."""
    if trial.pgr is None:
        return "no PGR"
    return f"{trial.pgr:.2f}" if trial.se is None else f"{trial.pgr:.2f} ± {trial.se:.2f}"
