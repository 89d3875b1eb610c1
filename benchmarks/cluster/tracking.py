"""The cost of tracking for the driver: its loop with W&B off, offline, dead and slow.

    python -m benchmarks.cluster.tracking [--trials 50] [--repeats 2] [--quick]

The loop is the driver's own parts around an empty trial: Ray Tune with one warm worker, and for each trial
its three events appended to a ledger that is tracked. "dead" is a server that refuses connections, "slow" one
that takes them and never answers. Kinds take turns, so that other load on the machine affects all alike.
Prints JSON: per kind the median seconds a trial of the loop, the median and the largest of one append,
the seconds that the end took, and loop and append as ratios to "off".
"""

import argparse
import os
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray import tune

from cluster.runtime import ray_runtime
from search.cli.output import stdout_for_json, write_json
from search.config.load import load_config
from search.config.schema import RunConfig
from search.config.services import TrackingConfig
from search.ledger.events import BaselinesReady, RungReached, TrialEnded, TrialStarted
from search.ledger.log import Ledger
from search.ledger.record import Record
from search.storage.run_directory import new_run
from search.tracking.launcher import Tracking

CONFIG = Path(__file__).parents[2] / "configs" / "dev.yaml"
KINDS = ("off", "offline", "dead", "slow")
PREDICTIONS = "5a" * 125  # 1,000 examples
PATIENCE_S = 1.0


class Empty(tune.Trainable):
    """A trial that ends in its first step."""

    def step(self) -> dict[str, Any]:
        """Report the end."""
        return {"done": True}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Stay warm."""
        return True


class Appends(tune.Callback):
    """The driver's share of a trial: three events; remembers what each append took."""

    def __init__(self, ledger: Ledger, config: RunConfig) -> None:
        self._ledger = ledger
        self._config = config
        self.seconds: list[float] = []

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Write that the trial started, reached its only rung and ended."""
        name = trial.trial_id
        for event in (
            TrialStarted(
                trial=name, purpose="search", branch="", number=None, method=self._config.naive, seed=0
            ),
            RungReached(
                trial=name,
                share=1.0,
                predictions=PREDICTIONS,
                accuracy=0.8,
                pgr=0.5,
                se=0.1,
                setup_s=0,
                train_s=1,
                eval_s=1,
            ),
            TrialEnded(trial=name, state="completed", cause=None),
        ):
            start = time.perf_counter()
            self._ledger.append(event)
            self.seconds.append(time.perf_counter() - start)


def loop(config: RunConfig, trials: int) -> tuple[float, list[float], float]:
    """Seconds a trial, seconds of each append, seconds that the end of tracking took."""
    with tempfile.TemporaryDirectory() as folder:
        run = new_run(Path(folder) / "run", config)
        record = Record()
        with run.open_ledger(record, config, time.time()) as ledger:
            ledger.append(
                BaselinesReady(weak_acc=0.7, weak_se=0, ceiling_acc=0.9, ceiling_se=0, seeds=5, train_s=0)
            )
            with Tracking(run, config) as tracking:
                tracking.start(record.started)
                appends = Appends(ledger, config)
                start = time.perf_counter()
                _tune(trials, appends, folder)
                end = time.perf_counter()
            return (end - start) / trials, appends.seconds, time.perf_counter() - end


def _tune(trials: int, appends: Appends, folder: str) -> None:
    tune.Tuner(
        tune.with_resources(Empty, {"cpu": 1}),
        tune_config=tune.TuneConfig(num_samples=trials, max_concurrent_trials=1, reuse_actors=True),
        run_config=tune.RunConfig(
            name="loop",
            storage_path=folder,
            callbacks=[appends],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        ),
    ).fit()


@contextmanager
def server(kind: str) -> Iterator[None]:
    """The environment of a kind: on port 9 nothing listens; a socket that listens takes what comes unread."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(128)
        port = silent.getsockname()[1] if kind == "slow" else 9
        os.environ |= {"WANDB_BASE_URL": f"http://127.0.0.1:{port}", "WANDB_API_KEY": "0" * 40}
        yield


def measure(trials: int, repeats: int) -> dict[str, Any]:
    """All kinds, in turns; the first turn of all warms up and does not count."""
    base = load_config(CONFIG)
    seen: dict[str, list[tuple[float, list[float], float]]] = {kind: [] for kind in KINDS}
    loop(_with(base, "off"), 5)
    for _ in range(repeats):
        for kind in KINDS:
            with server(kind):
                seen[kind].append(loop(_with(base, kind), trials))
    rows = {kind: _row(turns) for kind, turns in seen.items()}
    for row in rows.values():
        row["loop_ratio"] = row["loop_s"] / rows["off"]["loop_s"]
        row["append_ratio"] = row["append_s"] / rows["off"]["append_s"]
    return rows


def _with(config: RunConfig, kind: str) -> RunConfig:
    online = kind in ("dead", "slow")
    tracking = TrackingConfig.model_validate({"kind": "online" if online else kind, "patience_s": PATIENCE_S})
    return config.model_copy(update={"tracking": tracking})


def _row(turns: list[tuple[float, list[float], float]]) -> dict[str, float]:
    appends = [second for _, seconds, _ in turns for second in seconds]
    return {
        "loop_s": statistics.median(turn[0] for turn in turns),
        "append_s": statistics.median(appends),
        "append_max_s": max(appends),
        "end_s": statistics.median(turn[2] for turn in turns),
    }


@stdout_for_json()
def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="20 trials, once")
    arguments = parser.parse_args()
    trials, repeats = (20, 1) if arguments.quick else (arguments.trials, arguments.repeats)
    with ray_runtime():
        rows = measure(trials, repeats)
    write_json({"trials": trials, "repeats": repeats, "kinds": rows}, indent=1)


if __name__ == "__main__":
    main()
