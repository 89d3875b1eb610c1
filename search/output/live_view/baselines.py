"""What baselines in training show of the time that a run will take. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
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
    def hidden_task(self) -> str:
        """The hidden task whose baselines were last begun; empty if those of a searched one were."""
        task = "" if self._begun is None else self._begun.task
        return task if task in [one.name for one in self._config.hidden] else ""

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
        """Seconds by the clock until all searched tasks have baselines; None while too little is known.

        While those of a hidden task are trained, until these are there.
        """
        if self._begun is None:
            return None
        left_s, left = self._features_left_s(self._begun, at), []
        for role, trained in self._left(self._begun, at).items():
            if not trained:
                continue
            if (mean_s := self._mean_s(role)) is None:
                return None
            left += [max(0.0, mean_s - seconds) for seconds in trained]
        return left_s + self._side_by_side(left)

    def hidden_s(self, unread: Collection[str], at: float) -> float:
        """Seconds by the clock for the baselines of hidden tasks, like those so far; 0 without any."""
        if self._begun is None:
            return 0.0
        if self._begun.task not in unread:
            return len(unread) * self._of_a_task_s
        return (self.left_s(at) or 0.0) + (len(unread) - 1) * self._of_a_task_s

    @property
    def _of_a_task_s(self) -> float:
        trained = [self._mean_s(role) or 0.0 for role, count in self._counts.items() for _ in range(count)]
        return self._features_of_a_task_s + self._side_by_side(trained)

    def _side_by_side(self, trainings: Sequence[float]) -> float:
        """Seconds by the clock for trainings of so many seconds."""
        at_once = (self.together or 1) * self._config.trial.processes
        return sum(trainings) / max(1, min(at_once, len(trainings)))

    @property
    def _counts(self) -> Mapping[str, int]:
        """How many baselines of each role a task has."""
        return {"weak": self._config.weak_models, "ceiling": self._config.baselines.seeds}

    @property
    def _features_of_a_task_s(self) -> float:
        """Seconds by the clock until a task's features are there: the roles compute them side by side."""
        return max(map(self._features_took_s, self._counts))

    def _features_took_s(self, role: str) -> float:
        """Mean seconds that the features of a role took, over the tasks whose baselines waited for some."""
        took: dict[str, float] = {}
        for (task, of, _), told in self._all.items():
            if of == role:
                took[task] = max(took.get(task, 0.0), told[-1].shared_s)
        return fmean(took.values()) if took else 0.0

    def _features_left_s(self, begun: BaselinesBegun, at: float) -> float:
        """Seconds by the clock for features: of this task, and of the searched ones to come."""
        shown = {role for role, _ in self._now}
        awaited = [role for role, due in begun.due.items() if due and role not in shown]
        left = [
            self._reading[role].at + self._reading[role].due_s - at
            if role in self._reading
            else self._features_took_s(role) - (at - begun.at)
            for role in awaited
        ]
        return max([0.0, *left]) + self._to_come(begun) * self._features_of_a_task_s

    def _left(self, begun: BaselinesBegun, at: float) -> Mapping[str, list[float]]:
        """Of each role the unfinished baselines: how many seconds each has been trained."""
        found = {}
        for role, due in begun.due.items():
            told = [told for (of, _), told in self._now.items() if of == role]
            under_way = [max(0.0, at - one[-1].at) + _own_s(one[-1]) for one in told if one[-1].share < 1]
            found[role] = under_way + [0.0] * max(0, due - len(told))
        to_come = self._to_come(begun)
        return {role: found.get(role, []) + [0.0] * to_come * n for role, n in self._counts.items()}

    def _to_come(self, begun: BaselinesBegun) -> int:
        """How many searched tasks come after the one whose baselines are trained; the first has no name."""
        names = [one.name for one in self._config.tasks]
        if begun.task and begun.task not in names:
            return 0  # a hidden one
        return max(0, len(names) - 1 - (names.index(begun.task) if begun.task else 0))

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
