"""What a run does on one task after another: baselines, trials of search and confirmation, hidden tasks."""

from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console

from cluster.inventory import trials_at_once
from search.conclusion import SealedTest
from search.config.schema import RunConfig
from search.config.tasks import HiddenTask
from search.engine.director import Director
from search.interrupt import Interruption
from search.ledger.events import HiddenRead
from search.ledger.log import Ledger, read_ledger
from search.ledger.record import Record
from search.output.live_view.baselines_bar import BaselinesBar
from search.output.live_view.view import View, ceilings_s
from search.steering.inbox import Inbox
from search.storage.baseline_times import BaselineTimes
from search.storage.run_directory import RunDirectory
from search.workers.loading import Loaded, load
from search.workers.member import Work
from search.workers.preparation import Prepared, prepare, with_gpus
from search.workers.remote_grader import new_grader
from search.workers.sources import require_same_hidden
from search.workers.tune import run_trials
from trainers.trial.baselines import BaselineJob


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
    trained: Callable[[BaselineJob, float], None] = lambda job, seconds: None,
    about: str = "weak floor and ceiling",
) -> Prepared:
    """Prepare the baselines, with a progress bar. trained: called with those that were trained, and how long.

    about: what stands beside the bar.
    """
    with BaselinesBar(console, about) as bar:

        def advance(done: int, total: int) -> None:
            stop.check()
            bar.show(done, total)

        return prepare(config, loaded, advance, trained)


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
        times = BaselineTimes(self.run.path)

        def trained(job: BaselineJob, seconds: float) -> None:
            times.add(job.role, job.seed, seconds, task)

        about = f"weak floor and ceiling{f' of {task}' if task else ''}"
        prepared = prepare_with_progress(config, loaded, self.console, self.stop, trained, about)
        return prepared, times.total_s(task)

    def view(self, ledger: Ledger) -> View:
        """The live view of the run, which follows the ledger from its first event on."""
        view = View(
            self.console, self.config, self.record, read_ledger(self.run.ledger), ceilings_s(self.run)
        )
        ledger.listen(view.apply)
        return view

    def train(self, config: RunConfig, prepared: Prepared, director: Director, view: View) -> None:
        """Train trials on a task until the director is done with it. Orders are taken meanwhile."""
        work = Work(
            config=config,
            materials=prepared.materials,
            shared=prepared.arrays,
            checkpoints=self.run.checkpoints.absolute(),
        )
        concurrent = trials_together(config)
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
            ledger.append(HiddenRead(task=hidden.name, train_s=train_s, data=prepared.counts))
        director.confirm_on(hidden)
        if not director.done:
            self.train(config, prepared, director, view)
        grader = new_grader(config, prepared)
        return SealedTest(hidden=hidden, inputs=loaded.task.inputs["test"], grader=grader)
