"""Whether a run's reported numbers are calibrated: campaigns on synthetic scores with known truth.

    python -m benchmarks.calibration [--campaigns 400] [--seed 0] [--quick] [--out FILE.json]

Students, supervisors and examples come from benchmarks/calibration/world.py; everything else is the search's
own code: the grader, the choice of methods for further seeds, of finalists and of the best, the confirmation
and its errors. Each campaign searches 36 methods of six kinds on 1,000 examples and confirms on
2,000; PGR spreads by 0.08 between the seeds of a method. Three settings:

steady: kinds and methods differ in PGR. The confirmed PGR of the best must be unbiased, and its 95% interval
must cover the truth in 93 to 97 of 100 campaigns, where the highest search score is biased upward.
null: no method differs from naive. p < 0.05 must come about 5% of the time.
fragile: two kinds of six look best and collapse on three seeds of ten. How often such a method is named best:
with a single seed, with three seeds for six methods, and with the default.

Prints JSON and a verdict on one line; exits with 1 if it is bad. Takes 1.5 minutes on a core.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from agents.findings.predictions import pack
from benchmarks.calibration.world import Truth, World
from search.cli.output import stdout_for_json, write_json
from search.config.schema import (
    BaselineConfig,
    ConfirmConfig,
    LearnerConfig,
    ReplicationConfig,
    RunConfig,
    SearchConfig,
)
from search.engine.confirmation import Confirmation, confirm, planned_confirmation, sealed_predictions
from search.engine.replication import planned_replication
from search.ledger.events import Purpose, RungReached, TrialEnded, TrialStarted
from search.ledger.record import Record
from search.scoring.grader import Grader
from trainers.components.losses import Bootstrap, Entropy, Gce, LogConf, ReverseKl, Sce
from trainers.components.optim import Adamw
from trainers.data.settings import ToyTask
from trainers.method import Method
from trainers.models.settings import ToyModel

KINDS = (LogConf, Entropy, Gce, Sce, Bootstrap, ReverseKl)
NUMBERS = 6  # methods of a kind
NAIVE = 0.3
SIZES = {"search": 1000, "test": 2000}
SUPERVISORS = 8
COLLAPSES = 0.3
PLANS = {
    "1 seed": ReplicationConfig(methods=1, seeds=1),
    "6 methods on 3 seeds": ReplicationConfig(methods=6, seeds=3),
    "default": ReplicationConfig(),
}


def settings(replication: ReplicationConfig) -> RunConfig:
    """A campaign as configs/dev.yaml has it."""
    return RunConfig(
        name="calibration",
        task=ToyTask(),
        weak=LearnerConfig(model=ToyModel(size="weak"), optim=Adamw()),
        strong=LearnerConfig(model=ToyModel(size="strong"), optim=Adamw()),
        baselines=BaselineConfig(seeds=SUPERVISORS),
        search=SearchConfig(trials=len(KINDS) * NUMBERS, round_trials=len(KINDS) * NUMBERS),
        replication=replication,
        confirm=ConfirmConfig(finalists=3, seeds=8),
    )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a campaign reports of its best method and of naive, and the truth.

    flattered: the highest search score minus the true PGR of its method. most: the highest true PGR.
    """

    confirmation: Confirmation
    best: Truth
    flattered: float
    most: float


def steady(rng: np.random.Generator) -> dict[Method, Truth]:
    """Kinds differ; methods of a kind differ a little."""
    kinds = rng.normal(0.35, 0.12, len(KINDS))
    return {method: Truth(kind=kind, pgr=kinds[kind] + rng.normal(0, 0.04)) for kind, method in _methods()}


def null(rng: np.random.Generator) -> dict[Method, Truth]:
    """Nothing is better or worse than naive."""
    return {method: Truth(kind=kind, pgr=NAIVE) for kind, method in _methods(numbers=1)}


def fragile(rng: np.random.Generator) -> dict[Method, Truth]:
    """As steady, but two kinds look much better and sometimes collapse."""
    methods = steady(rng)
    return {
        method: Truth(kind=truth.kind, pgr=truth.pgr + 0.3, collapses=COLLAPSES) if truth.kind < 2 else truth
        for method, truth in methods.items()
    }


def _methods(numbers: int = NUMBERS) -> Iterator[tuple[int, Method]]:
    for number in range(numbers):
        for kind, loss in enumerate(KINDS):
            yield kind, Method(loss=loss(), optim=Adamw(lr=1e-4 * (number + 2)))


class Campaign:
    """One search over methods of known truth, by the parts that run in production."""

    def __init__(self, config: RunConfig, world: World, truths: Mapping[Method, Truth]) -> None:
        self._config = config
        self._world = world
        self._truths = {**truths, config.naive: Truth(kind=len(KINDS), pgr=NAIVE)}
        self._record = Record()
        self._grader = Grader(self._split("search"), self._split("test"))

    def _split(self, name: str) -> Any:
        return self._world.splits[name].truth, self._world.baselines(name, SUPERVISORS)

    def run(self) -> Outcome:
        """Search, replicate, confirm."""
        config, record = self._config, self._record
        searched = [method for method in self._truths if method != config.naive]
        self._train("t", "search", [(method, config.search_seed()) for method in searched])
        done = 0
        while len(plan := planned_replication(config, record)) > done:
            self._train("r", "replicate", [(standing.method, seed) for standing, seed in plan[done:]])
            done = len(plan)
        self._train("c", "confirm", planned_confirmation(config, record))
        confirmation = confirm(config, record, self._grader.open_test(sealed_predictions(config, record)))
        highest = record.best()
        assert highest is not None
        assert highest.best_pgr is not None
        return Outcome(
            confirmation=confirmation,
            best=self._truths[confirmation.finalists[0][0].trial.method],
            flattered=highest.best_pgr - self._truths[highest.method].mean_pgr,
            most=max(self._truths[method].mean_pgr for method in searched),
        )

    def _train(self, letter: str, purpose: Purpose, due: Sequence[tuple[Method, int]]) -> None:
        for method, seed in due:
            name = f"{letter}{len(self._record.trials)}"
            split = "test" if purpose == "confirm" else "search"
            answer = pack(self._world.predictions(split, method.digest, self._truths[method], seed))
            score = None if purpose == "confirm" else self._grader.grade(answer)
            self._record.apply(
                TrialStarted(trial=name, purpose=purpose, branch="", number=None, method=method, seed=seed)
            )
            self._record.apply(
                RungReached(
                    trial=name,
                    share=1.0,
                    predictions=answer,
                    accuracy=score.accuracy if score else None,
                    pgr=score.pgr if score else None,
                    se=score.se if score else None,
                    setup_s=0,
                    train_s=0,
                    eval_s=0,
                )
            )
            self._record.apply(TrialEnded(trial=name, state="completed", cause=None))


def campaigns(draw: Any, replication: ReplicationConfig, count: int, seed: int) -> list[Outcome]:
    """So many campaigns of a setting; the same worlds whatever the plan."""
    config = settings(replication)
    outcomes = []
    for i in tqdm(range(count), desc=f"{draw.__name__}, {replication.seeds} seeds", disable=None):
        world = World(seed * 1_000_000 + i, supervisors=SUPERVISORS, sizes=SIZES)
        truths = draw(np.random.default_rng([seed, i]))
        outcomes.append(Campaign(config, world, truths).run())
    return outcomes


def _error(errors: Sequence[float]) -> dict[str, float]:
    return {
        "mean_error": float(np.mean(errors)),
        "its_se": float(np.std(errors, ddof=1) / math.sqrt(len(errors))),
    }


def believed(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Bias and coverage of the reported PGR of the best, of naive and of their difference."""
    pairs: dict[str, list[tuple[Any, float]]] = {"best": [], "naive": [], "over_naive": []}
    for outcome in outcomes:
        confirmed, truth = outcome.confirmation.finalists[0][1], outcome.best.mean_pgr
        pairs["best"].append((confirmed.pgr, truth))
        pairs["naive"].append((outcome.confirmation.naive.pgr, NAIVE))
        pairs["over_naive"].append((confirmed.gain, truth - NAIVE))
    table: dict[str, Any] = {
        name: {
            **_error([estimate.value - truth for estimate, truth in pair]),
            "coverage95": float(
                np.mean([estimate.ci95[0] <= truth <= estimate.ci95[1] for estimate, truth in pair])
            ),
        }
        for name, pair in pairs.items()
    }
    named = [(outcome.confirmation.finalists[0][0].search_pgr, outcome.best.mean_pgr) for outcome in outcomes]
    table["search_pgr_of_best"] = _error([score - truth for score, truth in named])
    table["highest_search_score"] = _error([outcome.flattered for outcome in outcomes])
    return table


def rejected(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """How often p falls below 5% and 1%."""
    p = np.array([outcome.confirmation.finalists[0][1].beats_naive_p for outcome in outcomes])
    return {"below_5_percent": float(np.mean(p < 0.05)), "below_1_percent": float(np.mean(p < 0.01))}


def chosen(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """How good the method named best is."""
    return {
        "fragile_named_best": float(np.mean([outcome.best.collapses > 0 for outcome in outcomes])),
        "regret": float(np.mean([outcome.most - outcome.best.mean_pgr for outcome in outcomes])),
        "regret_worst_20th": float(
            np.quantile([outcome.most - outcome.best.mean_pgr for outcome in outcomes], 0.95)
        ),
    }


def verdict(report: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether the reported numbers are calibrated, and why, on one line."""
    best, null_rate = report["steady"]["best"], report["null"]["below_5_percent"]
    score, n = report["steady"]["highest_search_score"], report["campaigns"]
    slack = max(0.02, 2 * math.sqrt(0.95 * 0.05 / n))
    faults = {
        "biased": abs(best["mean_error"]) > 2 * best["its_se"],
        "coverage": abs(best["coverage95"] - 0.95) > slack,
        "p values": abs(null_rate - 0.05) > slack,
        "search scores are not flattering": score["mean_error"] <= 2 * score["its_se"],
    }
    wrong = ", ".join(name for name, found in faults.items() if found)
    return not wrong, (
        f"{f'NOT calibrated ({wrong})' if wrong else 'calibrated'}: over {n} campaigns the confirmed PGR of "
        f"the best is off by {best['mean_error']:+.4f} ± {best['its_se']:.4f} and its 95% interval covers "
        f"{best['coverage95']:.1%}; the highest search score is off by {score['mean_error']:+.3f}; without a "
        f"difference p < 0.05 comes {null_rate:.1%} of the time"
    )


def calibration(count: int, seed: int) -> dict[str, Any]:
    """The whole report."""
    default = PLANS["default"]
    report: dict[str, Any] = {
        "campaigns": count,
        "seed": seed,
        "steady": believed(campaigns(steady, default, count, seed)),
        "null": rejected(campaigns(null, PLANS["1 seed"], count, seed)),
        "fragile": {name: chosen(campaigns(fragile, plan, count // 2, seed)) for name, plan in PLANS.items()},
    }
    report["calibrated"], report["verdict"] = verdict(report)
    return report


@stdout_for_json()
def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--campaigns", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="40 campaigns of each setting")
    parser.add_argument("--out", type=Path, help="also write the JSON here")
    arguments = parser.parse_args()
    report = calibration(40 if arguments.quick else arguments.campaigns, arguments.seed)
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1) + "\n")
    write_json(report, indent=1)
    print(report["verdict"], file=sys.stderr)
    sys.exit(not report["calibrated"])


if __name__ == "__main__":
    main()
