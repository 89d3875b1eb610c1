"""Recorded learning curves with the noise of PGR: is the winner of a search truly among the best?

python -m benchmarks.curves.noise --curves FILE.npz --seeds 4 --out noise.json    (--quick: less of it)

The lowest final loss of a task counts as PGR 1, the median one as 0. A score is what a trial of one seed gets
right on 1,000 search examples that all trials share; seeds differ by 0.08 PGR. Ours searches, trains its best
methods on further seeds and names the first finalist, by the objects and settings of configs/dev.yaml
with one branch, whose methods are all near-twins: seven replicates are all there are. ASHA, as Ray ships it,
gets as much training and takes the highest score. Either's winner counts as it was where it stopped: a win is
a true PGR that only a tenth of all rows reach at their end.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import norm
from tqdm import tqdm

from benchmarks.curves.data import Curves, load
from benchmarks.curves.methods import RayAsha, quiet
from benchmarks.curves.promotion import ALL, SHARES, Ours
from benchmarks.curves.simulation import simulate
from search.cli.output import stdout_for_json, write_json
from search.config.load import load_config
from search.engine.confirmation import choose_finalists
from search.engine.follow_up import FollowUp
from search.ledger.events import Purpose, RungReached, TrialEnded, TrialStarted
from search.ledger.record import Record
from search.policy.ladder import Ladders, Places
from search.policy.paused_trials import PausedTrial
from search.policy.pruning import Judge, Judgement, PruningConfig
from search.policy.training_budget import Budget
from search.policy.training_seconds import Step, TrainingSeconds
from search.scoring.pgr import Bools, Reals
from trainers.components.optim import Adamw
from trainers.method import Method

RUN = load_config(Path(__file__).parents[2] / "configs" / "dev.yaml")

SEED_SD, EXAMPLES = 0.08, 1000
FLOOR, GAP = 0.7, 0.25  # accuracy of the weak floor, and the ceiling's above it
SHARED = 0.7  # of the variance of an answer, what is due to the example
LEAST = -2.0  # PGR of losses that are worse than this


class NoisyTask:
    """One task's rows as methods: their true PGR at every evaluation, and what a trial of a seed shows."""

    def __init__(self, curves: Curves, task: int, seed: int) -> None:
        losses = curves.validation[task]
        final = losses[:, -1][np.isfinite(losses[:, -1])]
        scale = float(np.median(final) - final.min())
        self.pgr: Reals = np.maximum((np.median(final) - losses) / scale, LEAST)
        self._seed = seed
        self._hard = norm.ppf(np.random.default_rng([seed, task]).random(EXAMPLES))

    def right(self, row: int, evaluation: int, seed: int) -> Bools:
        """The examples that a trial gets right, bool [examples]; its seed keeps its luck."""
        luck = np.random.default_rng([self._seed, row, seed]).normal(0, SEED_SD)
        own = np.random.default_rng([self._seed, row, seed, evaluation]).normal(size=EXAMPLES)
        accuracy = np.clip(FLOOR + GAP * (self.pgr[row, evaluation - 1] + luck), 0.01, 0.99)
        difficulty = np.sqrt(SHARED) * self._hard + np.sqrt(1 - SHARED) * own
        return np.asarray(difficulty < norm.ppf(accuracy))

    def score(self, row: int, evaluation: int, seed: int) -> float:
        """The PGR that a trial shows."""
        return float((self.right(row, evaluation, seed).mean() - FLOOR) / GAP)

    def is_best_decile(self, pgr: float) -> bool:
        """Whether a true PGR is that of the best tenth of rows, each at its end."""
        final = self.pgr[:, -1]
        return bool(pgr >= np.nanquantile(np.where(np.isnan(final), LEAST, final), 0.9))


class NoisyOurs(Ours):
    """Ours, with the default budget and the doubt of the stopping rule."""

    def __init__(self, curves: Curves, noisy: NoisyTask, trials: int, seed: int) -> None:
        super().__init__(curves, seed)
        self._noisy = noisy
        self._judge = Judge(PruningConfig(), GAP)
        seconds = TrainingSeconds(transfer=EXAMPLES, evaluated=0)
        self._budget = Budget(seconds, trials=trials, effort=RUN.search.effort, max_s=None)
        self._ladder = Ladders(seconds, Places(SHARES, ("",)), examples=[EXAMPLES], min_steps=1).of(
            Method()
        )  # of every row
        self._steps = np.diff(self._ladder.amounts @ seconds.costs, prepend=0.0)  # seconds up to each rung
        self._record = Record()

    def assign(self) -> int | None:
        """As a run does: within the budget."""
        waiting = {waiter.trial: waiter.place for waiter in self._paused}
        row = super().assign()
        if row is not None:
            rung = waiting.get(str(row), -1) + 1
            if rung == 0:
                self._budget.start(self._ladder)
                _start(self._record, f"t{row:05d}", "search", _method(row), RUN.search_seed())
            start = SHARES[rung - 1] if rung else 0.0
            self._budget.give(str(row), Step(method=Method(), start=start, end=SHARES[rung]))
        return row

    def report(self, row: int, evaluation: int, loss: float) -> bool:
        """As a run does: a step that has ended took its seconds."""
        if np.isnan(loss) or evaluation in self._rungs:
            self._budget.end(str(row), None)
        return super().report(row, evaluation, loss)

    def _offered(self) -> list[PausedTrial]:
        waiting = super()._offered()
        steps = np.array([self._steps[waiter.place + 1] for waiter in waiting])
        may = self._budget.affordable(steps, more_to_come=self._budget.new_left > 0)
        return [waiter for waiter, affordable in zip(waiting, may, strict=True) if affordable]

    def _new(self) -> list[int]:
        return super()._new() if self._budget.new_left else []

    def _seen(self, row: int, evaluation: int, loss: float) -> tuple[float, Judgement]:
        score, share = self._noisy.score(row, evaluation, seed=0), SHARES[self._rungs.index(evaluation)]
        _reach(self._record, f"t{row:05d}", share, score)
        right = self._noisy.right(row, evaluation, seed=0)
        return score, self._judge.judge(ALL, self._rungs.index(evaluation), right, SEED_SD**2)

    def winner(self) -> tuple[int, int, float]:
        """The row named best after replication, where it stops, and the full trainings of all this."""
        record, trained = self._record, self._budget.spent_s / self._steps.sum()
        rows = {
            _method(row).stopped_at(share).digest: (row, evaluation)
            for row in range(len(self._points))
            for share, evaluation in zip(SHARES, self._rungs, strict=True)
        }
        follow_up = FollowUp(RUN, record)
        while (planned := follow_up.next(idle=True)) and planned[1].purpose == "replicate":
            due = planned[1]
            _start(record, due.trial, "replicate", due.method, due.seed)
            if due.method == RUN.naive:  # has no curve, and decides nothing
                record.apply(TrialEnded(trial=due.trial, state="failed", cause=None, judged=False))
                continue
            score = self._noisy.score(*rows[due.method.digest], due.seed)
            _reach(record, due.trial, 1.0, score)
            record.apply(TrialEnded(trial=due.trial, state="completed", cause=None))
            trained += due.method.optim.stop
        return *rows[choose_finalists(RUN, record)[0].method.digest], trained


def _method(row: int) -> Method:
    """A method that stands for a row, unlike all others."""
    return Method(optim=Adamw(lr=1e-6 * (1 + row)))


def _start(record: Record, trial: str, purpose: Purpose, method: Method, seed: int) -> None:
    record.apply(TrialStarted(trial=trial, purpose=purpose, branch="", number=None, method=method, seed=seed))


def _reach(record: Record, trial: str, share: float, pgr: float) -> None:
    times = {"setup_s": 0.0, "train_s": 0.0, "eval_s": 0.0}
    record.apply(RungReached(trial=trial, share=share, predictions="", pgr=pgr, **times))


class NoisyAsha(RayAsha):
    """Ray's ASHA on one seed a method."""

    def __init__(self, curves: Curves, noisy: NoisyTask, seed: int) -> None:
        super().__init__(curves, seed)
        self._noisy = noisy
        self._scores: dict[int, tuple[int, float]] = {}

    def report(self, row: int, evaluation: int, loss: float) -> bool:
        """Show it the noisy score; a diverged trial ends, which as shipped it would not."""
        if np.isnan(loss):
            self._search.on_trial_complete(self._trials[row].trial_id, error=True)
            return False
        score = self._noisy.score(row, evaluation, seed=0)
        self._scores[row] = (evaluation, score)
        return super().report(row, evaluation, -score)

    @property
    def winner(self) -> tuple[int, int]:
        """The row with the highest score of those that came furthest, and where it stopped."""
        row = max(self._scores, key=lambda row: self._scores[row])
        return row, self._scores[row][0]


def wins(
    curves: Curves, *, trials: int, seeds: int, workers: int, done: Callable[[], object]
) -> dict[str, list[tuple[bool, float]]]:
    """For each strategy and search: whether the winner is truly of the best decile, and its true PGR."""
    found: dict[str, list[tuple[bool, float]]] = {"ours": [], "asha": []}
    for task in range(len(curves.tasks)):
        for seed in range(seeds):
            noisy = NoisyTask(curves, task, seed)
            ours = NoisyOurs(curves, noisy, trials, seed)
            simulate(curves, task, ours, workers=workers, budgets=[np.inf])
            *ours_winner, cost = ours.winner()
            asha = NoisyAsha(curves, noisy, seed)
            simulate(curves, task, asha, workers=workers, budgets=[cost])
            for name, (row, evaluation) in (("ours", ours_winner), ("asha", asha.winner)):
                pgr = float(noisy.pgr[row, evaluation - 1])
                found[name].append((noisy.is_best_decile(pgr), pgr))
            done()
    return found


def summary(found: Sequence[tuple[bool, float]]) -> dict[str, float]:
    """The share of wins with its standard error, and the winners' mean true PGR with its own."""
    won, pgr = np.array([win for win, _ in found]), np.array([pgr for _, pgr in found])
    n = len(found)
    return {
        "best_decile": round(float(won.mean()), 4),
        "best_decile_se": round(float(np.sqrt(won.mean() * (1 - won.mean()) / n)), 4),
        "true_pgr": round(float(np.nanmean(pgr)), 4),
        "true_pgr_se": round(float(np.nanstd(pgr, ddof=1) / np.sqrt(n)), 4) if n > 1 else 0.0,
    }


@stdout_for_json()
def main(argv: Sequence[str] | None = None) -> int:
    """The command line; exit 0 on success, 2 on a mistake in the input."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.curves.noise",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--curves", type=Path, required=True, help="npz with loss, hp and tasks")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--trials", type=int, default=60, help="methods that ours starts")
    parser.add_argument("--quick", action="store_true", help="one seed and 30 trials")
    parser.add_argument("--out", type=Path, help="write the figures as JSON here")
    given = parser.parse_args(argv)
    if min(given.seeds, given.workers, given.trials) < 1:
        parser.error("--seeds, --workers and --trials must be at least 1")
    seeds, trials = (1, 30) if given.quick else (given.seeds, given.trials)
    try:
        curves = load(given.curves)
    except (OSError, ValueError) as error:
        parser.error(f"--curves: {error}")
    quiet()
    with tqdm(total=len(curves.tasks) * seeds, desc="searches", leave=False, file=sys.stderr) as bar:
        found = wins(curves, trials=trials, seeds=seeds, workers=given.workers, done=bar.update)
    result = {
        "schema": 1,
        "curves": given.curves.name,
        "seeds": seeds,
        "trials": trials,
        "seed_sd": SEED_SD,
        "examples": EXAMPLES,
        "methods": {name: summary(results) for name, results in found.items()},
    }
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")
    write_json(result, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
