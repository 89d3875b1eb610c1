"""Does structure help? The playbook, random spaces and a scripted good agent on the offline task.

    python -m benchmarks.agent.proposers --seeds 5         # configs/dev.yaml, 72 trials a run
    python -m benchmarks.agent.proposers --seeds 1 --tiny  # minutes less, to see that it works

Each proposer gets the same trials, rounds, seeds and confirmation; what is compared is the confirmed PGR of
the finalist that was named best before the test split was opened. The random proposer draws one or two
components and half of their bounds for each branch; the scripted agent proposes what a reader
of the published results would propose, and ignores what it sees. Both are transcripts, replayed. Prints a
JSON object.
"""

import argparse
import json
import math
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.claude.transcript import Concluded, Opened, Transcript, transcript_name
from agents.language.proposal import Branch, Choice, Family, Fixed, Option, Param, Proposal, Range, Slot
from agents.language.validation import valid_branches
from agents.playbook.growth import explored
from agents.playbook.literature import optim_slot
from search.cli.output import stdout_for_json, write_json
from search.config.load import load_config
from search.config.schema import RunConfig
from trainers.method import Method

CONFIG = Path("configs/dev.yaml")
TINY = (
    "task.splits={weak_train: 300, transfer: 300, search: 300, test: 400}",
    "strong.model.pretrain_steps=250",
    "baselines.seeds=2",
    "search.trials=6",
    "search.round_trials=3",
    "replication={methods: 1, seeds: 1}",
    "confirm={finalists: 1, seeds: 2}",
)
BRANCHES = 4  # a round, as the playbook has


def random_rounds(config: RunConfig, rounds: int) -> list[Proposal]:
    """Branches drawn at random from the whole catalogue, without those that cannot run."""
    rng = random.Random(f"random {config.seed}")
    taken: set[str] = set()
    proposals = []
    for _ in range(rounds):
        branches: list[Branch] = []
        for branch in explored(config.naive, taken, rng, 400):
            found = valid_branches(
                Proposal(branches=(branch,), rationale=""),
                naive=config.naive,
                known_branches=(),
                known_methods=(),
                abilities=config.abilities,
            )
            taken.update(branch.name for branch in found)
            branches.extend(found)
            if len(branches) == BRANCHES:
                break
        proposals.append(Proposal(branches=tuple(branches), rationale="drawn at random"))
    return proposals


def scripted_rounds(config: RunConfig, rounds: int) -> list[Proposal]:
    """Branches that a reader of the published results would propose."""
    script = _script(config.naive)
    return [
        Proposal(branches=script[i * BRANCHES : (i + 1) * BRANCHES], rationale="as published")
        for i in range(min(rounds, len(script) // BRANCHES))
    ]


def _option(component: str, *params: Param) -> Option:
    return Option(component=component, params=params)


def _range(name: str, low: float, high: float) -> Range:
    return Range(name=name, low=low, high=high, log=False)


def _branch(naive: Method, name: str, family: Family, **slots: Option) -> Branch:
    filled = tuple(Slot(slot=slot, options=(option,)) for slot, option in slots.items())
    early = optim_slot(naive, lr=(0.5, 2), epochs=(0.2, 0.7))
    return Branch(name=name, family=family, hypothesis="As published.", parent=None, slots=(*filled, early))


def _script(naive: Method) -> tuple[Branch, ...]:
    confident = _option("confidence", _range("share", 0.3, 0.7), Fixed(name="balanced", value=True))
    believe = _option("logconf", _range("aux", 0.3, 0.8), _range("warmup", 0.1, 0.5))
    fresh = Fixed(name="fresh", value=True)
    again = _option("self_train", _range("rounds", 1, 2), Fixed(name="targets", value="confident"), fresh)
    several = _option("ensemble", Choice(name="count", values=(3, 5)))
    return (
        _branch(naive, "confident-early", "filtering", select=confident),
        _branch(naive, "own-opinion", "loss", loss=believe),
        _branch(naive, "confident-own-opinion", "loss", select=confident, loss=believe),
        _branch(
            naive,
            "denoised",
            "distillation",
            labels=_option("soft"),
            repair=_option("neighbours", _range("share", 0.5, 1)),
        ),
        _branch(naive, "confident-again", "self-training", select=confident, stages=again),
        _branch(naive, "confident-several", "ensemble", select=confident, members=several),
        _branch(
            naive, "doubtful-filter", "filtering", select=_option("disagreement", _range("share", 0.2, 0.5))
        ),
        _branch(
            naive, "robust-confident", "loss", select=confident, loss=_option("gce", _range("q", 0.3, 0.9))
        ),
    )


def write_transcripts(path: Path, proposals: Sequence[Proposal]) -> None:
    """The proposals as transcripts of a run, one lane a round."""
    for number, proposal in enumerate(proposals, start=1):
        transcript = Transcript(path / "rounds" / f"{number:03d}" / transcript_name("1"), "")
        transcript.write(Opened(model="none", effort="none", direction="", system=""))
        transcript.write(Concluded(proposal=proposal, refused=(), why=None))


def settings_of(seed: int, tiny: bool) -> list[str]:
    """The overrides of a run."""
    return [f"seed={seed}", f"task.seed={seed}", *(TINY if tiny else ())]


def run_once(proposer: str, seed: int, tiny: bool, folder: Path) -> dict[str, Any]:
    """One whole run in a process of its own; its result.json."""
    settings = settings_of(seed, tiny)
    config = load_config(CONFIG, settings)
    rounds = math.ceil(config.search.trials / config.search.round_trials)
    if proposer != "playbook":
        makers = {"random": random_rounds, "scripted": scripted_rounds}
        write_transcripts(folder / "said", makers[proposer](config, rounds))
        settings += ["agent.kind=replay", f"agent.path={folder / 'said'}"]
    command = [sys.executable, "-m", "search", "run", str(CONFIG), "--out", str(folder / "run")]
    command += [part for setting in settings for part in ("--set", setting)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{proposer}, seed {seed}: {done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads((folder / "run" / "result.json").read_text())
    return result


def row(proposer: str, seed: int, result: dict[str, Any]) -> dict[str, Any]:
    """The figures of a run that are compared."""
    best = result["best"]
    return {
        "proposer": proposer,
        "seed": seed,
        "pgr": best["pgr"],
        "se": best["se"],
        "naive_pgr": result["naive"]["pgr"],
        "branch": best["branch"],
        "trials": sum(result["trials"].values()),
        "train_s": result["cost"]["train_s"],
        "entropy_bits": result["agent"]["entropy_bits"],
    }


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean confirmed PGR of each proposer over seeds, and its gain over the random one, paired by seed."""
    by_proposer: dict[str, dict[int, float]] = {}
    for row in rows:
        by_proposer.setdefault(row["proposer"], {})[row["seed"]] = row["pgr"]
    chance = by_proposer.get("random", {})
    return {
        proposer: {
            "mean_pgr": statistics.fmean(pgrs.values()),
            "se": _se(list(pgrs.values())),
            "over_random": statistics.fmean(pgrs[seed] - chance[seed] for seed in pgrs) if chance else None,
            "over_random_se": _se([pgrs[seed] - chance[seed] for seed in pgrs]) if chance else None,
        }
        for proposer, pgrs in by_proposer.items()
    }


def _se(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None


@stdout_for_json()
def main() -> None:
    """Run every proposer on every seed and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--only", choices=("random", "playbook", "scripted"), action="append")
    options = parser.parse_args()
    rows = []
    for seed in range(options.seeds):
        for proposer in options.only or ("random", "playbook", "scripted"):
            with tempfile.TemporaryDirectory() as folder:
                rows.append(row(proposer, seed, run_once(proposer, seed, options.tiny, Path(folder))))
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    write_json({"rows": rows, "summary": summary(rows)}, indent=2)


if __name__ == "__main__":
    main()
