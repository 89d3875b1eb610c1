"""An opponent of `benchmarks.versus_tune`: Ray Tune as an expert writes it, over the project's own trainers.

    python -m benchmarks.versus_tune.expert CONFIG --trials N --out FILE.json [--set key=value ...]

A class trainable whose actors are reused and keep models, tokens and frozen features between trials; ASHA;
TPE that is told what happened: trials that ASHA stopped as pruned, with their intermediate values, diverged
ones as failed. The best completed trials are then trained on further seeds, in the same warm actors, and the
highest mean wins. Space, materials, rungs, training and number of workers are those of the project's search.
"""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, TrialScheduler
from ray.tune.search import Searcher

from benchmarks.versus_tune.opponent import confirmable, run
from benchmarks.versus_tune.space import NINTHS, WORKERS, Space
from search.config.schema import RunConfig
from search.scoring.grader import Grader
from search.workers.loading import load
from search.workers.member import Work
from search.workers.preparation import prepare
from search.workers.shared_arrays import SharedArrays
from trainers.method import Method
from trainers.models.pool import ModelPool
from trainers.scratch import scratch_folder
from trainers.training.deepspeed_engine import reusable, warm_up
from trainers.training.loop import Diverged
from trainers.trial.workbench import Report, Workbench

AGAIN, FURTHER_SEEDS = 3, 2  # completed trials that are trained again, and on how many seeds


class WarmTrial(tune.Trainable):
    """A step trains to the next rung and reports the accuracy on the search split."""

    def setup(self, config: dict[str, Any], work: Work, truth: Any) -> None:  # type: ignore[override]  # with_parameters adds them
        """Load what all trials of this actor share, and begin the first."""
        import torch

        torch.set_num_threads(1)
        warm_up(work.config.engine)
        pool = ModelPool(work.config.strong.model, cache=work.config.cache_dir)
        self._bench = Workbench(work.materials, pool, work.config.engine, work.shared)
        self._truth = truth
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial in this warm actor."""
        self.cleanup()
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        self._reports: Iterator[Report] = self._bench.train(
            Method.model_validate_json(config["method"]),
            seed=config["seed"],
            split="search",
            rungs=[ninth / NINTHS[-1] for ninth in NINTHS],
        )

    def step(self) -> dict[str, Any]:
        """Train to the next rung; a diverged training ends with an accuracy of NaN."""
        try:
            report = next(self._reports)
        except Diverged:
            return {"accuracy": float("nan"), "ninths": NINTHS[-1], "train_s": 0.0, "done": True}
        return {
            "accuracy": float(np.mean((report.predictions > np.float32(0.5)) == self._truth)),
            "ninths": round(report.share * NINTHS[-1]),
            "train_s": report.train_s + report.eval_s,
            "done": report.share == 1,
        }

    def cleanup(self) -> None:
        """End the current training and free its engine."""
        close = getattr(self._reports, "close", None)
        if close:
            close()


class Tpe(Searcher):
    """Asks TPE for so many trials, then hands out the best completed ones on further seeds."""

    def __init__(self, config: RunConfig, trials: int) -> None:
        super().__init__(metric="accuracy", mode="max")
        self._space, self._trials, self._seed = Space(config), trials, config.search_seed()
        sampler = optuna.samplers.TPESampler(seed=config.seed, constant_liar=True)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._asked: dict[str, optuna.Trial] = {}
        self._told: set[str] = set()
        self._read: set[tuple[str, int]] = set()
        self._again: list[dict[str, Any]] | None = None
        further = [seed for seed in config.replication_seeds() if seed != self._seed]
        self._further = further[:FURTHER_SEEDS]
        self.accuracies: dict[str, list[float]] = {}  # of completed trials, by method: seed after seed
        self.train_s: list[float] = []
        self.began: float | None = None
        self.search_ended: float | None = None

    def suggest(self, trial_id: str) -> Any:
        """The next trial; None while the trials to choose from still run."""
        if len(self._asked) < self._trials:
            self._asked[trial_id] = self._study.ask()
            return {**self._space(self._asked[trial_id]), "seed": self._seed, "again": False}
        if len(self._told) < self._trials:
            return None
        if self._again is None:
            self.search_ended = time.perf_counter()
            best = sorted(self.accuracies, key=lambda method: -self.accuracies[method][0])[:AGAIN]
            self._again = [
                {"method": method, "seed": seed, "again": True} for method in best for seed in self._further
            ]
        return self._again.pop(0) if self._again else Searcher.FINISHED

    def report(self, trial_id: str, config: dict[str, Any], result: dict[str, Any]) -> None:
        """Take in a result, also the one at which a trial was stopped; Tune may tell of one twice."""
        if (trial_id, result["ninths"]) in self._read:
            return
        self._read.add((trial_id, result["ninths"]))
        self.began = self.began or time.perf_counter() - result["train_s"]
        self.train_s.append(result["train_s"])
        complete = result["ninths"] == NINTHS[-1] and not np.isnan(result["accuracy"])
        if complete:
            self.accuracies.setdefault(config["method"], []).append(result["accuracy"])
        if trial_id in self._asked and not np.isnan(result["accuracy"]):
            self._asked[trial_id].report(result["accuracy"], result["ninths"])

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the study how a trial of it ended."""
        if trial_id not in self._asked:
            return
        self._told.add(trial_id)
        if error or result is None or np.isnan(result["accuracy"]):
            self._study.tell(self._asked[trial_id], state=TrialState.FAIL)
        elif result["ninths"] < NINTHS[-1]:
            self._study.tell(self._asked[trial_id], state=TrialState.PRUNED)
        else:
            self._study.tell(self._asked[trial_id], result["accuracy"])

    def best(self) -> tuple[str, float]:
        """The method with the highest mean over all its seeds among those trained again, and that mean."""
        most = max(map(len, self.accuracies.values()))
        means = {m: float(np.mean(found)) for m, found in self.accuracies.items() if len(found) == most}
        return max(means.items(), key=lambda item: item[1])

    def counts(self) -> dict[str, int]:
        """How the trials ended."""
        states = [trial.state for trial in self._study.trials]
        return {
            "trials": len(states),
            "stopped_early": states.count(TrialState.PRUNED),
            "failed": states.count(TrialState.FAIL),
        }

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the search is not resumed."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing, see save."""


class Asha(ASHAScheduler):
    """ASHA for the trials of the search; those on further seeds train to their end."""

    def __init__(self, searcher: Tpe) -> None:
        super().__init__(
            metric="accuracy",
            mode="max",
            time_attr="ninths",
            max_t=NINTHS[-1],
            grace_period=1,
            reduction_factor=3,
        )
        self._searcher = searcher

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """ASHA's decision; the searcher hears of every result."""
        self._searcher.report(trial.trial_id, trial.config, result)
        if trial.config["again"]:
            return TrialScheduler.CONTINUE
        return super().on_trial_result(tune_controller, trial, result)  # type: ignore[no-untyped-call]  # Ray has no types

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Take in the last result of a trial that reached its end."""
        self._searcher.report(trial.trial_id, trial.config, result)
        if not trial.config["again"]:
            super().on_trial_complete(tune_controller, trial, result)  # type: ignore[no-untyped-call]  # Ray has no types


def search(config: RunConfig, trials: int) -> dict[str, Any]:
    """The whole search: its wall seconds, what the trials came to, and the best method."""
    prepared = prepare(config, load(config), lambda done, total: None)
    truth, _ = prepared.search
    floors = Grader(prepared.search, prepared.test).baselines()
    searcher = Tpe(config, trials)
    with scratch_folder() as scratch:
        work = Work(config=config, materials=prepared.materials, shared=SharedArrays(), checkpoints=scratch)
        tuner = tune.Tuner(
            tune.with_resources(
                tune.with_parameters(WarmTrial, work=work, truth=truth), config.trial.needs.resources
            ),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=Asha(searcher),
                max_concurrent_trials=WORKERS,
                num_samples=-1,
                reuse_actors=reusable(config.engine),
            ),
            run_config=tune.RunConfig(
                name="search",
                storage_path=str(scratch),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                verbose=0,
            ),
        )
        started = time.perf_counter()
        tuner.fit()
        ended = time.perf_counter()
    method, accuracy = searcher.best()
    return {
        **searcher.counts(),
        "wall_s": ended - started,
        "start_s": (searcher.began or started) - started,
        "search_wall_s": (searcher.search_ended or ended) - started,
        "train_s": sum(searcher.train_s),
        **confirmable(Method.model_validate_json(method), accuracy, floors),
    }


if __name__ == "__main__":
    from benchmarks.versus_tune import expert  # by its name, so that workers import what they are to run

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    run(expert.search, expert.__doc__)
