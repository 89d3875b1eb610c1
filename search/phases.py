"""What a run does on one task after another: baselines, trials of search and confirmation, hidden tasks."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from rich.console import Console

from cluster.inventory import trials_at_once
from search.conclusion import SealedTest
from search.config.schema import RunConfig
from search.config.tasks import HiddenTask, SearchedTask
from search.engine.director import Director
from search.interrupt import Interruption
from search.ledger.events import HiddenRead, now
from search.ledger.log import Ledger, read_ledger
from search.ledger.record import Record
from search.output.live_view.baselines import Baselines
from search.output.live_view.baselines_bar import BaselinesBar
from search.output.live_view.forecast import Forecast
from search.output.live_view.progress import ClockS
from search.output.live_view.view import View
from search.scoring.grader import BaselineScores
from search.scoring.pgr import NoGapError
from search.scoring.several_tasks import TaskScale
from search.steering.inbox import Inbox
from search.storage.baseline_times import BaselinesBegun, BaselineTime, BaselineTimes, Line
from search.storage.run_directory import RunDirectory
from search.workers.baselines import Progress
from search.workers.loading import Loaded, load
from search.workers.member import TaskWork, Work
from search.workers.preparation import Prepared, Watch, prepare, with_gpus
from search.workers.remote_grader import RemoteGrader, new_grader
from search.workers.sources import require_same_hidden
from search.workers.tune import run_trials
from trainers.trial.baselines import BaselineJob, Role

log = logging.getLogger(__name__)

KEPT = "the same command with other settings trains only the baselines that these change"


def trials_together(config: RunConfig) -> int:
    """How many trials run at once; the processes of a gang may run on several nodes."""
    trial, size = config.trial, config.trial.processes
    processes = trials_at_once(
        trial.needs,
        at_most=None if trial.concurrent is None else trial.concurrent * size,
        a_round=config.search.round_trials * size,
        elastic=trial.elastic,
    )
    if processes < size:
        raise ValueError(
            f"trial.processes {size} do not fit on this cluster together, only {processes} of them do; "
            "lower trial.processes or its needs, or add a node"
        )
    return processes // size


def prepare_with_progress(
    config: RunConfig,
    loaded: Loaded,
    console: Console,
    stop: Interruption,
    watch: Watch | None = None,
    about: str = "weak floor and ceiling",
    left: Callable[[], ClockS | None] = lambda: None,
    features: Callable[[], float | None] = lambda: None,
) -> Prepared:
    """Prepare the baselines, with a progress bar.

    about: what stands beside the bar. left: seconds of the run that are left, where they are known. features:
    seconds until frozen features are there, while they are computed.
    """
    with BaselinesBar(console, about, left, features) as bar:

        def advance(done: int, total: int) -> None:
            stop.check()
            bar.show(done, total)

        return prepare(config, loaded, advance, watch)


class WrittenDown(Watch):
    """Writes into the run directory what becomes of the baselines of a task, and predicts the run from it."""

    def __init__(self, run: RunDirectory, config: RunConfig, record: Record, task: str = "") -> None:
        """config: of the run. task: empty for the (first) searched one."""
        self.times = BaselineTimes(run.path)
        self._config, self._task, self._record = config, task, record
        self._baselines = Baselines(config)
        self._forecast: Forecast | None = None

    def begin(self, due: Mapping[Role, int]) -> None:
        """Write down how many there will be."""
        together = trials_together(self._config)
        self._add(
            BaselinesBegun(
                due={role: due[role] for role in due}, together=together, at=now(), task=self._task
            )
        )

    def told(self, job: BaselineJob, progress: Progress) -> None:
        """Write down how far one is."""
        self._add(
            BaselineTime(
                role=job.role,
                seed=job.seed,
                seconds=progress.seconds,
                task=self._task,
                shared_s=progress.shared_s,
                due_s=progress.due_s,
                share=progress.share,
                at=now(),
            )
        )

    def _add(self, line: Line) -> None:
        self.times.add(line)
        self._baselines = Baselines(self._config, self.times.lines())
        if self._record.started is None:
            self._forecast = self._forecast or Forecast(self._config, self._record)
            self._forecast.begin(self._baselines)

    def clock_s(self) -> ClockS | None:
        """Seconds by the clock that are left of the run, before its first event; None while unknown."""
        return None if self._forecast is None else self._forecast.clock_s(now())

    def features_s(self) -> float | None:
        """Seconds by the clock until frozen features are there; None where none are computed."""
        return self._baselines.features_s(now())


@dataclass(frozen=True, kw_only=True)
class Searched:
    """A task of the search, prepared, and the grader that holds its labels.

    task: None if it is the only one. config: with this task. train_s: seconds spent on its baselines.
    """

    task: SearchedTask | None
    config: RunConfig
    loaded: Loaded
    prepared: Prepared
    grader: RemoteGrader
    baselines: BaselineScores
    train_s: float

    @property
    def name(self) -> str:
        """Of the task, empty if it is the only one."""
        return self.task.name if self.task else ""

    @property
    def examples(self) -> int:
        """Of its search split."""
        return len(self.prepared.search[0])

    @property
    def scale(self) -> TaskScale:
        """What turns its accuracies into PGRs."""
        return TaskScale(
            grader=self.grader,
            examples=self.examples,
            test=len(self.prepared.test[0]),
            weak_acc=self.baselines.weak.value,
            gap=self.baselines.gap,
        )

    @property
    def test(self) -> SealedTest:
        """Its test split."""
        inputs = self.loaded.task.inputs["test"]
        return SealedTest(task=self.task, inputs=inputs, grader=self.grader)


@dataclass(frozen=True, kw_only=True)
class Phases:
    """Trains what a run needs, on one task after another; a person who looks on sees how far it is.

    config: of the run. Methods take one with the task that they work on.
    """

    run: RunDirectory
    record: Record
    console: Console
    stop: Interruption
    config: RunConfig

    def prepare(self, config: RunConfig, loaded: Loaded, task: str = "") -> tuple[Prepared, float]:
        """The baselines of a task, and what all processes of the run have spent on them, in seconds."""
        watch = WrittenDown(self.run, self.config, self.record, task)
        about = f"weak floor and ceiling{f' of {task}' if task else ''}"
        prepared = prepare_with_progress(
            config, loaded, self.console, self.stop, watch, about, watch.clock_s, watch.features_s
        )
        return prepared, watch.times.total_s(task)

    def view(self, ledger: Ledger) -> View:
        """The live view of the run, which follows the ledger from its first event on."""
        lines = BaselineTimes(self.run.path).lines()
        view = View(self.console, self.config, self.record, read_ledger(self.run.ledger), lines)
        ledger.listen(view.apply)
        return view

    def searched(self, name: str, config: RunConfig, loaded: Loaded) -> Searched:
        """Train the baselines of a task of the search. name: empty if it is the only one.

        A weak floor that is not clearly above guessing is warned of. Raises NoGapError, on one line, where a
        run begins and there is no clear gap.
        """
        first = not name or name == self.config.tasks[0].name
        prepared, train_s = self.prepare(config, loaded, "" if first else name)
        grader, of_it = new_grader(config, prepared), f"{name}: " if name else ""
        try:
            baselines = grader.baselines()
            if baselines.guessing:
                log.warning("%s%s", of_it, baselines.guessing)
            if self.record.baselines is None and not config.baselines.allow_unclear_gap:
                baselines.require_clear_gap()
        except NoGapError as error:
            raise NoGapError(f"{of_it}{error}; {KEPT}") from None
        return Searched(
            task=next((task for task in self.config.tasks if task.name == name), None),
            config=config,
            loaded=loaded,
            prepared=prepared,
            grader=grader,
            baselines=baselines,
            train_s=train_s,
        )

    def work(self, config: RunConfig, searched: Sequence[Searched]) -> Work:
        """What workers need for trials on tasks of the search."""
        found = {one.name: _task_work(one.config, one.prepared) for one in searched}
        first = next(iter(found.values()))
        work = self._work(replace(first, config=config))
        return replace(work, tasks=found) if config.tasks else work

    def _work(self, task: TaskWork) -> Work:
        return Work(
            config=task.config,
            materials=task.materials,
            shared=task.shared,
            checkpoints=self.run.checkpoints.absolute(),
        )

    def train(self, work: Work, director: Director, view: View) -> None:
        """Train trials until the director is done with them. Orders are taken meanwhile."""
        concurrent = trials_together(work.config)
        inbox = Inbox(self.run, self.record, self._say)
        with view:

            def every_step() -> None:
                self.stop.check()
                inbox.look(director)
                view.refresh()

            try:
                run_trials(director, work, concurrent, every_step)
            finally:
                director.close()

    def _say(self, line: str) -> None:
        self.console.print(line, highlight=False, soft_wrap=True)

    def confirm_on(
        self, config: RunConfig, hidden: HiddenTask, ledger: Ledger, director: Director, view: View
    ) -> SealedTest:
        """Read a hidden task, train its baselines, and confirm the finalists on it.

        config: with that task. Nothing of the search is left to decide. Raises ValueError, on one line, if
        the task is not what it was when the run began.
        """
        loaded = load(config)
        require_same_hidden(self.config, hidden, config, loaded, self.record.started)
        config = with_gpus(config, self.stop.check)
        prepared, train_s = self.prepare(config, loaded, hidden.name)
        if hidden.name not in self.record.hidden_read:
            trials = director.planned_on(hidden)
            ledger.append(HiddenRead(task=hidden.name, train_s=train_s, trials=trials, data=prepared.counts))
        director.confirm_on(hidden)
        if not director.done:
            self.train(self._work(_task_work(config, prepared)), director, view)
        grader = new_grader(config, prepared)
        return SealedTest(task=hidden, inputs=loaded.task.inputs["test"], grader=grader)


def _task_work(config: RunConfig, prepared: Prepared) -> TaskWork:
    return TaskWork(config=config, materials=prepared.materials, shared=prepared.arrays)
