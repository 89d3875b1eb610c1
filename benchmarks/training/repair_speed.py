"""Seconds and memory of every repair, by the number of examples.

    python -m benchmarks.training.repair_speed [--sizes 1000,10000,100000] [--features 384] [--only "a;b"]

Features are two overlapping clouds, labels are wrong for three of ten. Each repair runs in a process of its
own with its default parameters, and says how much the process's peak memory grew over what it had with
libraries loaded and features made. Prints JSON: seconds and GB for every repair and size.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from search.cli.output import stdout_for_json, write_json
from trainers.component import Component
from trainers.components.formulas.labels import RepairFormula
from trainers.components.labels import Hard
from trainers.components.repairing.consistency import consistency_probs
from trainers.components.repairing.per_example import ChannelPerExample
from trainers.components.repairs import (
    Consistency,
    CrossFit,
    Elicited,
    EmHead,
    MeanDifference,
    Neighbours,
    NoisyChannel,
    Propagate,
)
from trainers.components.targets import make_targets
from trainers.components.weak_labels import Evidence

REPAIRS: dict[str, Component] = {
    "neighbours": Neighbours(),
    "propagate": Propagate(),
    "mean_difference": MeanDifference(),
    "crossfit": CrossFit(),
    "em_head": EmHead(),
    "noisy_channel, head": NoisyChannel(prior="head"),
    "noisy_channel, zero_shot": NoisyChannel(),
    "channel_per_example, head": ChannelPerExample(prior="head"),
    "channel_per_example, features": ChannelPerExample(prior="head", by="features"),
    "elicited": Elicited(),
    "formula": RepairFormula(),
    "formula, neighbours": RepairFormula(expression="w + a * agreement * density * (neighbours - w)"),
    "consistency, one layer": Consistency(),
}
GB = 1e9


def clouds(size: int, width: int) -> tuple[Evidence, np.ndarray]:
    """Evidence of that many examples, and their classes. A tenth of the columns tells the classes apart."""
    rng = np.random.default_rng(0)
    truth = rng.random(size) < 0.5
    features = rng.standard_normal((size, width), dtype=np.float32)
    features[:, : max(1, width // 10)] += np.where(truth, 0.5, -0.5)[:, None].astype(np.float32)
    weak = np.where(truth ^ (rng.random(size) < 0.3), 0.8, 0.2)
    prior = np.where(truth ^ (rng.random(size) < 0.4), 0.6, 0.4)

    def consistency() -> np.ndarray:
        swapped = features - np.where(truth, 1, -1)[:, None] * (np.arange(width) < max(1, width // 10))
        return consistency_probs([(features, swapped)], 0)

    evidence = Evidence(
        weak_probs=weak,
        features=lambda: features,
        prior=lambda: prior,
        consistency=consistency,
        seed=0,
    )
    return evidence, truth


def measured(name: str, size: int, width: int) -> dict[str, float]:
    """Seconds of a repair in this process, GB by which its peak memory grew, the share of right labels."""
    small, _ = clouds(200, 4)
    make_targets((Hard(), REPAIRS[name]), small)  # loads the libraries
    evidence, truth = clouds(size, width)
    before = _peak()
    started = time.perf_counter()
    labels = make_targets((Hard(), REPAIRS[name]), evidence)
    seconds = time.perf_counter() - started
    right = float(((labels > 0.5) == truth).mean())
    return {
        "seconds": round(seconds, 2),
        "gb": round(_peak() - before, 3),
        "whole_gb": round(_peak(), 3),
        "right": round(right, 4),
    }


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GB


def report(names: Sequence[str], sizes: Sequence[int], width: int) -> dict[str, Any]:
    """The measurements of every repair and size, each from a process of its own."""
    found: dict[str, Any] = {}
    for size in sizes:
        for name in names:
            command = [sys.executable, "-m", __spec__.name, "--one", name, "--sizes", str(size)]
            output = subprocess.run(
                [*command, "--features", str(width)], check=True, capture_output=True, text=True
            ).stdout
            found.setdefault(name, {})[str(size)] = json.loads(output)
            print(f"{name:<26} {size:>7} {found[name][str(size)]}", file=sys.stderr)
    return found


@stdout_for_json()
def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", default="1000,10000,100000")
    parser.add_argument("--features", type=int, default=384)
    parser.add_argument("--only", help="names of repairs, separated by semicolons")
    parser.add_argument("--one", choices=REPAIRS, help="measure this one in this process")
    given = parser.parse_args()
    sizes = [int(size) for size in given.sizes.split(",")]
    if given.one:
        write_json(measured(given.one, sizes[0], given.features))
    else:
        names = given.only.split(";") if given.only else list(REPAIRS)
        write_json(report(names, sizes, given.features))


if __name__ == "__main__":
    main()
