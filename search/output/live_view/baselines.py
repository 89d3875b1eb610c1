"""What baselines in training show of the time that a run will take. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from search.config.schema import RunConfig
from search.storage.baseline_times import BaselinesBegun, BaselineTime, Line

Told = Sequence[BaselineTime]  # by one baseline, one after the other


class Baselines:
    """The baselines of a run so far, from the lines of their file.

    A process trains those of one task after another; what is left is told of the last process that began.
    """

    def __init__(self, config: RunConfig, lines: Sequence[Line] = ()) -> None:
        self._config = config
        self._begun: BaselinesBegun | None = None
        self._all: dict[tuple[str, str, int], list[BaselineTime]] = {}
        self._now: dict[tuple[str, int], list[BaselineTime]] = {}  # those of `_begun`, by role and seed
        self._reading: dict[str, BaselineTime] = {}  # by role: those that compute features, at their start
        for line in lines:
            if isinstance(line, BaselinesBegun):
                self._begun, self._now, self._reading = line, {}, {}
            elif line.share == 0:
                self._reading[line.role] = line
            else:
                self._take(line)

    def _take(self, line: BaselineTime) -> None:
        told = self._all.setdefault((line.task, line.role, line.seed), [])
        if told and line.share <= told[-1].share:  # it was lost and began again
            told.clear()
        told.append(line)
        self._reading.pop(line.role, None)
        self._now[line.role, line.seed] = told

    @property
    def counts(self) -> tuple[int, int | None]:
        """How many have finished, and of how many that are to be trained; None where nothing tells."""
        of = list((self._all if self._begun is None else self._now).values())
        finished = sum(told[-1].share == 1 for told in of)
        return finished, None if self._begun is None else sum(self._begun.due.values())

    @property
    def together(self) -> int | None:
        """How many trials will run at once; None before a process has said so."""
        return None if self._begun is None else self._begun.together

    @property
    def ceilings_s(self) -> list[tuple[float, float]]:
        """Of the (first) task's ceilings: seconds that a trial like it takes, and those that all share.

        Those of the last process that trained some: an earlier one may have had other settings.
        """
        for of in (self._current("ceiling", ""), self._of("ceiling", "")):
            found = [(_trial_s(told), told[-1].shared_s) for told in of]
            if sure := [(seconds, shared_s) for seconds, shared_s in found if seconds is not None]:
                return sure
        return []

    @property
    def start_s(self) -> float:
        """Seconds until new workers train: those that the first one of this process took."""
        if self._begun is None:
            return 0.0
        began = [told[0].at - told[0].seconds for told in self._now.values()]
        return max(0.0, min(began, default=self._begun.at) - self._begun.at)

    def features_s(self, at: float) -> float | None:
        """Seconds by the clock until all frozen features are there; None where none are computed.

        It may be over, though what was expected has passed.
        """
        due = [line.at + line.due_s for line in self._reading.values()]
        return max(0.0, max(due) - at) if due else None

    def left_s(self, at: float) -> float | None:
        """Seconds by the clock until all searched tasks have baselines; None while too little is known."""
        if self._begun is None:
            return None
        left_s, left = 0.0, 0
        for role, trained in self._left(self._begun, at).items():
            if not trained:
                continue
            if (mean_s := self._mean_s(role)) is None:
                return None
            left_s += sum(max(0.0, mean_s - seconds) for seconds in trained)
            left += len(trained)
        side_by_side = max(1, min(self._begun.together * self._config.trial.processes, left))
        return left_s / side_by_side

    def _left(self, begun: BaselinesBegun, at: float) -> Mapping[str, list[float]]:
        """Of each role the unfinished baselines: how many seconds each has been trained."""
        config = self._config
        later = max(0, len(config.tasks) - 1 - self._place(begun.task)) if config.tasks else 0
        of_a_task = {"weak": config.weak_models, "ceiling": config.baselines.seeds}
        found = {}
        for role, due in begun.due.items():
            told = [told for (of, _), told in self._now.items() if of == role]
            under_way = [max(0.0, at - one[-1].at) + _own_s(one[-1]) for one in told if one[-1].share < 1]
            found[role] = under_way + [0.0] * max(0, due - len(told))
        return {role: found.get(role, []) + [0.0] * later * count for role, count in of_a_task.items()}

    def _place(self, task: str) -> int:
        """Of a searched task; the first has no name here."""
        names = [one.name for one in self._config.tasks]
        return names.index(task) if task in names else 0

    def _mean_s(self, role: str) -> float | None:
        """Mean seconds of a baseline of this role: of this process, else of this task, else of any."""
        assert self._begun is not None
        now, tasks = self._begun.task, dict.fromkeys(task for task, _, _ in self._all)
        anywhere = [told for task in tasks for told in self._of(role, task)]
        for of in (self._current(role, now), self._of(role, now), anywhere):
            known = [_whole_s(told) for told in of]
            if sure := [seconds for seconds in known if seconds is not None]:
                return fmean(sure)
        return None

    def _current(self, role: str, task: str) -> Iterator[Told]:
        """Those of the process that began last."""
        return (told for (of, _), told in self._now.items() if (of, told[-1].task) == (role, task))

    def _of(self, role: str, task: str) -> Iterator[Told]:
        return (told for (of, by, _), told in self._all.items() if (of, by) == (task, role))


def _own_s(time: BaselineTime) -> float:
    return time.seconds - time.shared_s


def _whole_s(told: Told) -> float | None:
    """Seconds of a whole training, without what all share, at the speed of late; None if it is too early."""
    last = told[-1]
    if last.share == 1:
        return _own_s(last)
    if len(told) == 1:
        return None
    return _own_s(last) + (1 - last.share) * _slope(told[-2], last)


def _trial_s(told: Told) -> float | None:
    """Seconds of such a training where the weights are loaded and the first step has been taken."""
    if len(told) > 1:
        return max(1e-6, _slope(told[0], told[-1]))
    return _own_s(told[0]) if told[0].share == 1 else None


def _slope(before: BaselineTime, after: BaselineTime) -> float:
    """Seconds of a whole training at the speed between two shares."""
    return (_own_s(after) - _own_s(before)) / (after.share - before.share)
