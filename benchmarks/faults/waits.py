"""Waits without end, planted: what never answers, never starts or never comes."""

import json
import math
import random
import shutil
import signal
import time
from dataclasses import replace

from benchmarks.faults.case import Case, Tried, ended, whole
from search.ledger.events import BaselinesReady
from search.ledger.log import read_ledger
from tests.small_runs.site import Site
from tests.small_runs.whole import problems

DEAD_CLUSTER_S = 60.0  # for a driver to start and to end, on a busy machine


def stopped_grader(site: Site, rng: random.Random, kills: int) -> Tried:
    """SIGSTOP for the grader: another takes its place, and that is said."""
    driver = site.run()
    driver.wait_for(lambda: site.count("rung_reached") >= 1)
    driver.kill_one("ray::Grader", signal.SIGSTOP)
    wrong = ended(site, driver, says="started again from the sealed labels")
    return Tried(faults=1, wrong=wrong or problems(site.out))


def stuck_setup(site: Site, rng: random.Random, kills: int) -> Tried:
    """A worker that never becomes ready: it is replaced, and no trial fails for it.

    It is the only one: Tune gives a trial whose worker starts to any other that is free.
    """
    site = replace(site, settings=(*site.settings, "trial.concurrent=1"))
    site.plant("setup")
    wrong = whole(site, site.run())
    ledger = site.ledger.read_text()
    if "was not ready within faults.start_limit_s" not in ledger or '"state":"failed"' in ledger:
        wrong = [*wrong, "the worker was not replaced, or a trial failed"]
    return Tried(faults=1, wrong=wrong)


def without_baselines(site: Site) -> Site:
    """The same with a cache of its own, in which the baselines are missing."""
    cache = site.out.parent / "cache"
    shutil.copytree(site.cache, cache, ignore=shutil.ignore_patterns("baselines"))
    return replace(site, cache=cache)


def stuck_baseline(site: Site, rng: random.Random, kills: int) -> Tried:
    """A baseline that hangs and one whose process dies: both start again, and that is said."""
    site = without_baselines(site)
    site.plant("hang", "kill")
    wrong = ended(site, site.run(), says="starts again: it did not finish within faults.step_limit_s")
    return Tried(faults=2, wrong=wrong or problems(site.out))


def interrupted_baselines(site: Site, rng: random.Random, kills: int) -> Tried:
    """Ctrl-C between two baselines: those that finished are not trained again, and their time counts."""
    site = without_baselines(site)
    driver, times = site.run(), site.out / "baselines.jsonl"
    driver.wait_for(times.is_file)
    driver.process.send_signal(signal.SIGINT)
    wrong = ended(site, driver, 130, "resume")
    finished = len(times.read_text().splitlines())
    wrong = [*wrong, *whole(site, site.resume())]
    trained = [json.loads(line) for line in times.read_text().splitlines()]
    spent = sum(line["seconds"] for line in trained)
    counted = next(event for event in read_ledger(site.ledger) if isinstance(event, BaselinesReady)).train_s
    if not 0 < finished < len(trained) == len({(line["role"], line["seed"]) for line in trained}):
        wrong.append(f"{finished} baselines, then {len(trained)}: not each once")
    if not math.isclose(counted, spent):
        wrong.append(f"{counted} s counted of {spent} s")
    return Tried(faults=1, wrong=wrong)


def dead_cluster(site: Site, rng: random.Random, kills: int) -> Tried:
    """RAY_ADDRESS names a cluster that has gone: a mistake in the input, said within seconds."""
    driver, started = site.run(RAY_ADDRESS="127.0.0.1:1"), time.monotonic()
    wrong = ended(site, driver, 2, "RAY_ADDRESS=127.0.0.1:1: no cluster answers there")
    if time.monotonic() - started > DEAD_CLUSTER_S:
        wrong.append(f"after {time.monotonic() - started:.0f} s")
    return Tried(faults=1, wrong=wrong)


def no_room(site: Site, rng: random.Random, kills: int) -> Tried:
    """Nodes that an elastic cluster never starts: the run says what it waits for, ends, and goes on later."""
    waiting = replace(
        site,
        settings=(
            *site.settings,
            "trial={cpus: 64, elastic: true, concurrent: 1}",
            "faults.cluster_limit_s=5",
        ),
    )
    wrong = ended(waiting, waiting.run(), 1, "did not come within faults.cluster_limit_s (5 s)")
    return Tried(faults=1, wrong=wrong)


WAITS: dict[str, Case] = {
    "grader-stopped": stopped_grader,
    "setup-hangs": stuck_setup,
    "baseline-stuck": stuck_baseline,
    "baselines-interrupted": interrupted_baselines,
    "dead-cluster": dead_cluster,
    "no-room": no_room,
}
