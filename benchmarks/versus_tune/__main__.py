"""Our search against Ray Tune on the offline task: as an expert writes it, and as its documentation does.

    python -m benchmarks.versus_tune [--seeds 10] [--trials 44] [--opponents expert stock] [--quick]
                                     [--out FILE.json] [--work DIR]

All use the same task, models, weak labels, space (the branches of the first proposal), number of trials and
two workers; benchmarks/versus_tune/expert.py and stock.py are the opponents. For each seed, after the shared
baselines, which are not timed: (1) each runs the same number of trials, in alternating order; (2) against
each opponent ours runs again with as many trials as fit the wall time of theirs: up to three times, because
its pace is only known then, until it takes 0.8 to 1 of that time, whatever it finds; (3) the opponent's best
method goes through our confirmation, on the same fresh seeds and test split as ours.

Wall time of ours is from the start of the workers to the end of the last trial, without replicates in (1) and
with them in (2); an opponent's is that of `Tuner.fit`, the expert's with its further seeds in (2). Training
seconds are those spent training and evaluating in trials; their share of the workers' time tells what the
machinery costs. A score is reached by a trial of the search: replicates do not count there.
Prints JSON; progress goes to the terminal.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from agents.findings.predictions import pack
from benchmarks.versus_tune.figures import seconds_to_reach, summary, times, training_share
from benchmarks.versus_tune.space import WORKERS
from search.cli.output import stdout_for_json, write_json
from search.config.load import load_config
from search.config.schema import RunConfig
from search.engine.findings import brief
from search.engine.proposers import new_proposer
from search.ledger.events import (
    BaselinesReady,
    Proposed,
    RungReached,
    RunStarted,
    TrialEnded,
    TrialStarted,
)
from search.ledger.log import Ledger
from search.ledger.record import Record
from search.storage.run_directory import RunDirectory, new_run
from trainers.method import Method

CONFIG = Path(__file__).parents[2] / "configs" / "dev.yaml"
OPPONENTS = ("expert", "stock")
AIM, ENOUGH, ATTEMPTS = 0.9, 0.8, 3  # at equal wall time: shares of theirs, and runs until ours fits
QUICK = ("confirm.seeds=2", "replication={methods: 2, seeds: 2}")


class Bench:
    """One seed's comparison, in a folder of its own."""

    def __init__(self, folder: Path, seed: int, trials: int, settings: Sequence[str]) -> None:
        self._folder, self._trials = folder, trials
        self._settings = [f"seed={seed}", f"task.seed={seed}", f"trial={{cpus: 1, concurrent: {WORKERS}}}"]
        self._settings += settings
        self._seed = seed

    def compare(self, opponents: Sequence[str]) -> dict[str, Any]:
        """The row of this seed."""
        self._run("baselines", "-m", "search", "baselines", str(CONFIG), *_sets(self._settings))
        turns = {"ours": partial(self._ours, "ours", self._trials)}
        turns |= {opponent: partial(self._theirs, opponent) for opponent in opponents}
        rows = {side: turns[side]() for side in list(turns)[:: 1 if self._seed % 2 == 0 else -1]}
        ours = rows["ours"]
        return {
            "seed": self._seed,
            "trials": self._trials,
            "ours": ours,
            "opponents": {name: self._beside(ours, name, rows[name]) for name in opponents},
        }

    def _beside(self, ours: dict[str, Any], name: str, theirs: dict[str, Any]) -> dict[str, Any]:
        """An opponent, its winner confirmed, and ours beside it at equal trials and at equal time."""
        longer = self._ours_within(name, theirs["wall_s"], ours)
        confirmed = self._confirmed(name, theirs)
        return {
            "theirs": theirs | confirmed,
            "ours_equal_time": longer,
            "trials_an_hour_ratio": theirs["search_wall_s"] / ours["search_wall_s"],
            "training_share_ratio": training_share(ours) / training_share(theirs),
            "train_s_share": self._share(ours, theirs),
            "train_s_share_at_equal_time": self._share(longer, theirs),
            "confirmed_gain_at_equal_time": longer["pgr"] - confirmed["pgr"],
            "confirmed_gain_at_equal_trials": ours["pgr"] - confirmed["pgr"],
        }

    def _share(self, ours: dict[str, Any], theirs: dict[str, Any]) -> float | None:
        """Ours' training seconds until its best score was theirs, as a share of all of theirs."""
        reached = seconds_to_reach(self._folder / ours["name"], theirs["best_search_pgr"])
        return None if reached is None else reached / theirs["train_s"]

    def _ours(self, name: str, trials: int) -> dict[str, Any]:
        """A run with one proposal; its times, its best search score and what the confirmation said."""
        out = self._folder / name
        settings = _sets([*self._settings, f"search.trials={trials}", f"search.round_trials={trials}"])
        self._run(
            f"{name}, {trials} trials", "-m", "search", "run", str(CONFIG), "--out", str(out), *settings
        )
        return {"name": name} | times(out) | _best(out)

    def _ours_within(self, opponent: str, wall_s: float, ours: dict[str, Any]) -> dict[str, Any]:
        """A run that takes about so long: as many trials as the pace of the run before it lets.

        A pace is that of one run, replicates included: between two runs the machine's own pace differs more
        than what a few trials more or less add.
        """
        run = ours
        for attempt in range(1, ATTEMPTS + 1):
            run = self._ours(f"ours-as-{opponent}-{attempt}", trials_within(AIM * wall_s, run))
            if ENOUGH * wall_s <= run["wall_s"] <= wall_s:
                break
        return run

    def _theirs(self, opponent: str) -> dict[str, Any]:
        out = self._folder / f"{opponent}.json"
        self._run(
            f"{opponent}, {self._trials} trials",
            *("-m", f"benchmarks.versus_tune.{opponent}", str(CONFIG), "--trials", str(self._trials)),
            *("--out", str(out), *_sets(self._settings)),
        )
        found = json.loads(out.read_text())
        return {"best_search_pgr": found.pop("pgr"), **found}

    def _confirmed(self, opponent: str, theirs: dict[str, Any]) -> dict[str, Any]:
        """Their best method as the only finalist of a run whose search is over."""
        once = ["search.trials=1", "search.round_trials=1", "replication.seeds=1", "confirm.finalists=1"]
        config = load_config(CONFIG, [*self._settings, *once])
        out = self._folder / f"{opponent}-confirmed"
        _as_searched(new_run(out, config), config, theirs)
        self._run(f"confirmation of {opponent}", "-m", "search", "resume", str(out))
        return _best(out)

    def _run(self, what: str, *arguments: str) -> None:
        started = time.perf_counter()
        with (self._folder / "log.txt").open("a") as log:
            done = subprocess.run([sys.executable, *arguments], stdout=log, stderr=log, check=False)
        print(
            f"seed {self._seed}: {what}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True
        )
        if done.returncode != 0:
            raise SystemExit(f"{what} failed; see {self._folder}/log.txt (--work keeps it)")


def trials_within(wall_s: float, run: dict[str, Any]) -> int:
    """Search trials that fit at the pace of a run, once workers have started."""
    pace = (run["wall_s"] - run["start_s"]) / run["search_trials"]
    return max(1, round((wall_s - run["start_s"]) / pace))


def _sets(settings: Sequence[str]) -> list[str]:
    return [part for setting in settings for part in ("--set", setting)]


def _best(out: Path) -> dict[str, float]:
    """What was confirmed of a run's best and of naive."""
    result = json.loads((out / "result.json").read_text())
    return {
        **{key: result["best"][key] for key in ("pgr", "se", "search_pgr", "beats_naive_p")},
        "naive_pgr": result["naive"]["pgr"],
    }


def _as_searched(run: RunDirectory, config: RunConfig, theirs: dict[str, Any]) -> None:
    """Write the ledger of a search that tried one method: theirs."""
    proposal = new_proposer(config, None).propose(brief(config, Record()))
    method = Method.model_validate(theirs["method"])
    ledger = Ledger(run.ledger)
    for event in (
        RunStarted(run="theirs", config_sha256=config.sha256, commit="unknown"),
        BaselinesReady(
            weak_acc=theirs["weak_acc"],
            weak_se=0,
            ceiling_acc=theirs["ceiling_acc"],
            ceiling_se=0,
            seeds=config.baselines.seeds,
            train_s=0,
        ),
        Proposed(round=1, proposal=proposal, seconds=0),
        TrialStarted(
            trial="t00001",
            purpose="search",
            branch=proposal.branches[0].name,
            number=0,
            method=method,
            seed=config.search_seed(),
        ),
        RungReached(
            trial="t00001",
            share=1.0,
            predictions=pack(np.zeros(config.task.splits.search, dtype=np.bool_)),
            accuracy=theirs["accuracy"],
            pgr=theirs["best_search_pgr"],
            se=0,
            setup_s=0,
            train_s=0,
            eval_s=0,
        ),
        TrialEnded(trial="t00001", state="completed", cause=None),
    ):
        ledger.append(event)
    ledger.close()


@stdout_for_json()
def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=44)
    parser.add_argument("--opponents", nargs="+", choices=OPPONENTS, default=list(OPPONENTS))
    parser.add_argument("--quick", action="store_true", help="one seed, eight trials, a small confirmation")
    parser.add_argument("--out", type=Path, help="also write the JSON here, after every seed")
    parser.add_argument("--work", type=Path, help="keep the runs in this new folder")
    arguments = parser.parse_args()
    seeds, trials = (1, 8) if arguments.quick else (arguments.seeds, arguments.trials)
    work = arguments.work or Path(tempfile.mkdtemp(prefix="versus-tune-"))
    rows: list[dict[str, Any]] = []
    found: dict[str, Any] = {}
    for seed in range(seeds):
        folder = work / f"seed-{seed}"
        folder.mkdir(parents=True)
        bench = Bench(folder, seed, trials, QUICK if arguments.quick else ())
        rows.append(bench.compare(arguments.opponents))
        found = {"summary": {name: summary(rows, name) for name in arguments.opponents}, "seeds": rows}
        if arguments.out:
            arguments.out.write_text(json.dumps(found, indent=1) + "\n")
    if not arguments.work:
        shutil.rmtree(work)
    write_json(found, indent=1)


if __name__ == "__main__":
    main()
