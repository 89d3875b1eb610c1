"""The command of an opponent, and what it tells of its winner."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray

from benchmarks.versus_tune.space import WORKERS
from cluster.access import with_token
from search.config.load import load_config
from search.config.schema import RunConfig
from search.scoring.grader import BaselineScores
from trainers.method import Method


def confirmable(method: Method, accuracy: float, floors: BaselineScores) -> dict[str, Any]:
    """The winner and its accuracy on the search split, as `benchmarks.versus_tune` reads them."""
    return {
        "accuracy": accuracy,
        "pgr": (accuracy - floors.weak.value) / floors.gap,
        "method": method.model_dump(mode="json"),
        "weak_acc": floors.weak.value,
        "ceiling_acc": floors.ceiling.value,
    }


def run(search: Callable[[RunConfig, int], dict[str, Any]], about: str | None) -> None:
    """Read the command line, search on a Ray of its own, and write what the search came to."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--trials", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[])
    arguments = parser.parse_args()
    with with_token():
        ray.init(address="local", num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
        found = search(load_config(arguments.config, arguments.set), arguments.trials)
        ray.shutdown()
    arguments.out.write_text(json.dumps(found, indent=1) + "\n")
