"""Uploads a ledger to W&B: the only module that imports wandb and waits for it."""

import json
import logging
import shutil
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import wandb

from search.ledger.log import LedgerFollower
from search.ledger.record import Record
from search.ledger.trial_record import TrialRecord
from search.steering.sweep import SweepStates
from search.tracking.job import Job
from search.tracking.payloads import (
    FINALISTS,
    FINDINGS,
    TRIALS,
    baselines_config,
    campaign_row,
    describe,
    escape_markdown,
    finalist_rows,
    findings,
    outcome_summary,
    trial_row,
    trial_summary,
    trial_table,
)
from trainers.component import Frozen
from trainers.files import replace_file
from trainers.printable import one_line

SweepState = Literal["RUNNING", "PAUSED", "FINISHED"]

log = logging.getLogger(__name__)

log = logging.getLogger(__name__)

INIT_S, FINISH_S = 60.0, 120.0
SWEEP_S, SWEEP_TIMEOUT_S = 10.0, 20  # between two looks at the sweep's state, and for an answer
UPLOADS = 8  # runs that finish their upload at the same time
STOPPED = 130  # exit code of a run whose trial had not ended when the search ended
CAMPAIGN = "campaign"


class Confirmed(Frozen):
    """What W&B has confirmed, saved in the run directory as tracking.json.

    offline, online: trials, and "campaign", whose runs are complete there. state: of the sweep's page.
    """

    sweep: str | None = None
    state: str | None = None
    url: str | None = None
    offline: tuple[str, ...] = ()
    online: tuple[str, ...] = ()


@dataclass(kw_only=True)
class OpenRun:
    """A run at W&B, and how many rows it has."""

    run: Any
    rows: int = 0


class WandbSync:
    """Uploads a ledger to W&B, in repeated calls of `catch_up`."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._directory = Path(job.directory)
        self._confirmed_path = self._directory / "tracking.json"
        self._confirmed = Confirmed()
        if self._confirmed_path.is_file():
            self._confirmed = Confirmed.model_validate_json(self._confirmed_path.read_bytes())
        self._follower = LedgerFollower(self._directory / "ledger.jsonl")
        self._record = Record()
        self._open: dict[str, OpenRun] = {}
        self._finishing: dict[str, Future[None]] = {}
        self._pool = ThreadPoolExecutor(UPLOADS, thread_name_prefix="finish")
        self._rounds_shown = 0
        self._states = SweepStates(self._directory)
        self._asked_at, self._answer = -SWEEP_S, Future[None]()
        self._answer.set_result(None)
        self._api: wandb.Api | None = None

    @property
    def complete(self) -> bool:
        """Whether W&B has all trials that have ended, and the outcome once the run has finished."""
        ended = {trial.trial for trial in self._record.ended_trials}
        return ended | ({CAMPAIGN} if self._record.finished else set()) <= set(self._done)

    @property
    def _done(self) -> tuple[str, ...]:
        return self._confirmed.online if self._job.kind == "online" else self._confirmed.offline

    def catch_up(self, *, ended: bool) -> None:
        """Send W&B what it does not have yet. Raises what wandb raises.

        ended: whether the search's process has ended. The outcome is sent only then: report.html, which
        belongs to it, is written after the ledger's last event.
        """
        self._ask_for_sweep()
        new = self._follower.read()
        if new.restarted:
            raise ValueError("the ledger was replaced while it was read")  # a new session reads all of it
        for event in new.events:
            self._record.apply(event)
        self._confirm_finished()
        if not self._record.trials:
            return
        if not ended:
            self._show_state("RUNNING")
        self._campaign(concluding=ended and self._record.finished)
        for name, trial in list(self._record.trials.items()):
            if name not in self._done and name not in self._finishing:
                self._trial(name, trial)
        self._confirm_finished()

    def _trial(self, name: str, trial: TrialRecord) -> None:
        open_run = self._open.get(name)
        if open_run is None:
            open_run = self._open[name] = self._open_trial_run(trial)
        for index, rung in enumerate(list(trial.rungs.values())[open_run.rows :], start=open_run.rows):
            row = trial_row(self._record, trial, index)
            open_run.run.log(row | {"_timestamp": rung.at})
            open_run.rows += 1
        if trial.state is not None:
            if trial.state != "completed":
                open_run.run.tags += (trial.state,)
            open_run.run.summary.update(trial_summary(trial))
            self._finish(name, 1 if trial.state == "failed" else 0)

    def _open_trial_run(self, trial: TrialRecord) -> OpenRun:
        description = describe(self._job.campaign, self._record, trial)
        run = self._init(
            at=trial.started_at,
            id=description.id,
            name=description.name,
            group=description.group,
            job_type=description.job_type,
            tags=description.tags,
            notes=description.notes,
            config=description.config,
            sweep=self._sweep(),
        )
        run.define_metric("share", hidden=True)
        run.define_metric("pgr", step_metric="share", summary="max")
        for metric in ("pgr/*", "pgr_se", "accuracy", "weak_*", "ceiling_*", "train_s"):
            run.define_metric(metric, step_metric="share")
        return OpenRun(run=run)

    def _campaign(self, *, concluding: bool) -> None:
        """Update the campaign's own run: its progress by trial, the findings and, at the end, the outcome."""
        if CAMPAIGN in self._done or CAMPAIGN in self._finishing:
            return
        if CAMPAIGN not in self._open:
            self._open[CAMPAIGN] = OpenRun(run=self._open_campaign_run())
            self._rounds_shown = 0
        campaign = self._open[CAMPAIGN]
        for count in range(campaign.rows + 1, len(self._record.ended_trials) + 1):
            campaign.run.log(campaign_row(self._record, count))
            campaign.rows = count
        if self._rounds_shown < self._record.rounds or concluding:
            campaign.run.log(
                {"findings": wandb.Table(columns=list(FINDINGS), data=list(findings(self._record)))}
            )
            self._rounds_shown = self._record.rounds
        if concluding:
            self._conclude(campaign.run)
            self._finish(CAMPAIGN, 0)

    def _open_campaign_run(self) -> Any:
        first = next(iter(self._record.trials.values()))
        run = self._init(
            at=first.started_at,
            id=self._job.campaign,
            name=self._job.name,
            group=None,
            job_type="campaign",
            tags=(),
            notes="",
            config=self._job.config | baselines_config(self._record),
            sweep=None,
        )
        run.define_metric("trials", hidden=True)
        run.define_metric("*", step_metric="trials")
        return run

    def _conclude(self, run: Any) -> None:
        run.log({"all_trials": wandb.Table(columns=list(TRIALS), data=list(trial_table(self._record)))})
        outcome = json.loads((self._directory / "result.json").read_text())
        run.summary.update({"outcome": outcome_summary(outcome)})
        finalists = wandb.Table(columns=list(FINALISTS), data=list(finalist_rows(outcome)))
        score = "accuracy" if outcome["naive"]["pgr"] is None else "pgr"
        run.log({"finalists": wandb.plot.bar(finalists, "method", score, title=f"{score}, test split")})
        artifact = wandb.Artifact(f"outcome-{self._job.campaign}", type="outcome")
        for name in ("result.json", "report.html"):
            if (self._directory / name).is_file():
                artifact.add_file(str(self._directory / name))
        run.log_artifact(artifact)

    # The SDK

    def _init(self, *, at: float, sweep: str | None, **description: Any) -> Any:
        """Open a run. It replaces what was sent under its id before."""
        for previous in (self._directory / "wandb").glob(f"offline-run-*-{description['id']}"):
            shutil.rmtree(previous)
        run = wandb.init(
            project=self._job.project,
            entity=self._job.entity,
            mode=self._job.kind,
            reinit="create_new",
            settings=wandb.Settings(
                sweep_id=sweep,
                root_dir=self._job.directory,
                console="off",
                disable_code=True,
                disable_git=True,
                x_disable_machine_info=True,
                x_disable_meta=True,  # holds the command line
                x_disable_stats=True,
                x_save_requirements=False,
                x_skip_transaction_log=self._job.kind == "online",  # the ledger is the copy to send from
                x_start_time=at,
                init_timeout=INIT_S,
                finish_timeout=FINISH_S,
                finish_timeout_raises=True,
            ),
            **description,
        )
        if run.sweep_url and not self._confirmed.url:
            self._save(self._confirmed.model_copy(update={"url": run.sweep_url}))
        return run

    def _sweep(self) -> str | None:
        """The id of the campaign's sweep, created once. Offline None unless it exists: W&B chooses the id."""
        if known := self._confirmed.sweep or self._job.sweep:
            return known
        if self._job.kind == "offline":
            return None
        config = {
            "name": self._job.name,
            "description": escape_markdown(
                f"Campaign {self._job.campaign}; Optuna draws the methods, not W&B."
            ),
            "method": "bayes",
            "metric": {"name": "pgr.max", "goal": "maximize"},
            "parameters": self._job.parameters,
        }
        created: str = wandb.sweep(config, entity=self._job.entity, project=self._job.project)
        self._save(self._confirmed.model_copy(update={"sweep": created}))
        return created

    def _ask_for_sweep(self) -> None:
        """Ask now and then, in the background, whether somebody pauses or stops the sweep on its page."""
        due = time.monotonic() - self._asked_at >= SWEEP_S and self._answer.done()
        if self._job.kind == "online" and (sweep := self._confirmed.sweep or self._job.sweep) and due:
            self._asked_at, self._answer = time.monotonic(), self._pool.submit(self._look_at_sweep, sweep)

    def _look_at_sweep(self, sweep: str) -> None:
        try:
            self._api = self._api or wandb.Api(timeout=SWEEP_TIMEOUT_S)
            entity = self._job.entity or self._api.default_entity
            path = f"{entity}/{self._job.project}/{sweep}"
            found = self._api.sweep(path)
            self._states.saw(str(found.load(force=True)["state"]))
        except Exception as error:  # wandb raises many kinds; the next answer may be better
            why = " ".join(str(error).split())[:300]
            log.warning("W&B does not tell the sweep's state: %s: %s", type(error).__name__, why)

    def _finish(self, name: str, exit_code: int) -> None:
        self._finishing[name] = self._pool.submit(_finish_run, self._open[name].run, exit_code)

    def _confirm_finished(self) -> None:
        """Save which runs are complete. Raises what wandb raised for a run that failed to complete."""
        failure: BaseException | None = None
        for name, future in list(self._finishing.items()):
            if future.done():
                del self._finishing[name], self._open[name]
                failure = future.exception() or failure
                if future.exception() is None:
                    self._save(self._confirmed.model_copy(update={self._job.kind: (*self._done, name)}))
        if failure:
            raise failure

    def _save(self, confirmed: Confirmed) -> None:
        self._confirmed = confirmed
        replace_file(self._confirmed_path, confirmed.model_dump_json(indent=1) + "\n")

    def _show_state(self, state: SweepState) -> None:
        """Let the page of the campaign's own sweep say this; an existing sweep is somebody else's to end.

        The SDK has a command for this alone, so its inner function is called. No reason to fail if it fails.
        """
        if self._job.kind != "online" or self._job.sweep or self._confirmed.state == state:
            return
        sweep = self._sweep() if state == "RUNNING" else self._confirmed.sweep
        if sweep is None:
            return
        try:
            from wandb.apis.public.sweeps import _set_sweep_state

            _set_sweep_state(wandb.Api(), sweep, state, entity=self._job.entity, project=self._job.project)
        except Exception as error:  # wandb raises many kinds of exception
            log.warning(
                "the page of the sweep does not say %s: %s", state.lower(), one_line(str(error))[:300]
            )
        self._save(self._confirmed.model_copy(update={"state": state}))

    def close(self) -> None:
        """Finish the open runs as stopped. When the search resumes, they are sent again."""
        self._show_state("FINISHED" if self._record.finished else "PAUSED")
        for name, open_run in self._open.items():
            if name not in self._finishing:
                _finish_run(open_run.run, STOPPED)
        self._pool.shutdown()


def _finish_run(run: Any, exit_code: int) -> None:
    """Finish a run and delete its leftovers, except its data."""
    run.finish(exit_code=exit_code)
    folder = Path(run.sync_dir)
    for leftover in (folder / "logs", folder / "tmp") if run.offline else (folder,):
        shutil.rmtree(leftover, ignore_errors=True)
