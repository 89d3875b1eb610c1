"""The state of one trial: the sum of its events."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from search.ledger.events import DrawnBy, EndState, Purpose, Reached, RungReached, TaskReached
from trainers.method import Method
from trainers.trial.label_quality import LabelQuality


@dataclass(kw_only=True)
class TrialRecord:
    """One trial. A trial that starts again, after a pause or a crash, keeps its rungs.

    place: its index among all trials, in the order of their first starts. task, by: see TrialStarted.
    due: the share of the rung it trains to or has reached. paused: whether it is paused there.
    due_on, first_on: of several searched tasks, the one that it trains or trained last, and the first one;
    empty for all. on_tasks: what it reached on each of them, by share and task; `rungs` on all.
    micro_batch: the size it was reduced to when memory ran out. judged: see TrialEnded.
    """

    trial: str
    place: int
    purpose: Purpose
    branch: str
    number: int | None
    method: Method
    seed: int
    due: float
    started_at: float
    task: str = ""
    due_on: str = ""
    first_on: str = ""
    on_tasks: dict[tuple[float, str], TaskReached] = field(default_factory=dict)
    by: DrawnBy = "sampler"
    micro_batch: int | None = None
    rungs: dict[float, RungReached] = field(default_factory=dict)
    paused: bool = False
    state: EndState | None = None
    cause: str | None = None
    judged: bool = True
    ended_at: float | None = None

    @property
    def confirms(self) -> bool:
        """Whether it predicts on a test split."""
        return self.purpose in ("confirm", "hidden")

    @property
    def state_now(self) -> str:
        """How it ended; "paused" or "running" as long as it has not."""
        return self.state or ("paused" if self.paused else "running")

    @property
    def last(self) -> RungReached | None:
        """The highest rung reached."""
        return self.rungs[max(self.rungs)] if self.rungs else None

    @property
    def labels(self) -> LabelQuality | None:
        """What was said of its labels; None before its first rung, and in ledgers of earlier versions."""
        return next((rung.labels for rung in self.rungs.values() if rung.labels), None)

    @property
    def best(self) -> RungReached | None:
        """The rung with the highest PGR; ties go to the earlier. None for predictions on the test split.

        A trial at a rung is the finished trial of `best_method`, the method that stops there.
        """
        graded = [rung for _, rung in sorted(self.rungs.items()) if rung.pgr is not None]
        return max(graded, key=lambda rung: rung.pgr or 0.0, default=None)

    @property
    def best_pgr(self) -> float | None:
        """The PGR at the best rung."""
        return self.best.pgr if self.best else None

    @property
    def best_method(self) -> Method:
        """The method that stops at the best rung; the trial's own before its first rung."""
        return self.method.stopped_at(self.best.share) if self.best else self.method

    @property
    def best_s(self) -> float:
        """Seconds spent training and evaluating up to the best rung; 0 before the first."""
        share = self.best.share if self.best else 0.0
        return sum(rung.train_s + rung.eval_s for at, rung in self.rungs.items() if at <= share)

    @property
    def train_s(self) -> float:
        """Seconds spent training and evaluating."""
        return sum(reached.train_s + reached.eval_s for reached in self._reached())

    @property
    def seconds(self) -> float:
        """Seconds of setup, training and evaluation."""
        return sum(reached.seconds for reached in self._reached())

    def _reached(self) -> Iterator[Reached]:
        """Its rungs, and what it has reached on single tasks since the last one."""
        yield from self.rungs.values()
        yield from (one for (share, _), one in self.on_tasks.items() if share not in self.rungs)

    @property
    def is_there(self) -> bool:
        """Whether it has reached what it was last started for."""
        if self.due_on:
            return (self.due, self.due_on) in self.on_tasks
        return self.last is not None and self.last.share >= self.due

    def reached_on(self, share: float) -> dict[str, TaskReached]:
        """What it reached at a rung on several searched tasks, by name."""
        return {task: one for (at, task), one in self.on_tasks.items() if at == share}

    @property
    def best_on_tasks(self) -> dict[str, float]:
        """The PGR on each of several searched tasks at the best rung; empty where there is one task.

        Before its first rung, on the tasks that it has been on.
        """
        shares = [share for share, _ in self.on_tasks]
        found = self.reached_on(self.best.share if self.best else min(shares, default=0.0))
        return {task: one.pgr for task, one in found.items() if one.pgr is not None}
