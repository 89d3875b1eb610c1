"""Faults of what a run keeps: damaged files, two processes on one run, a bucket that changes hands."""

import json
import os
import random
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from benchmarks.faults.case import Case, Tried, ended, whole
from search.storage.object_store import local_copy
from tests.servers.s3 import s3_server
from tests.small_runs.site import Driver, Site
from tests.small_runs.whole import problems

HOUR_S = 3600.0


def killed_at(site: Site, reached: Callable[[], bool]) -> None:
    """SIGKILL for the driver once the condition holds."""
    driver = site.run()
    driver.wait_for(reached)
    driver.process.kill()
    driver.wait()


def halve(stage: Path) -> None:
    """Cut the largest file of a state in the middle."""
    file = max(stage.glob("steps-*/**/*.pt"), key=lambda file: file.stat().st_size)
    os.truncate(file, file.stat().st_size // 2)


def empty(stage: Path) -> None:
    """Empty a file of a state."""
    os.truncate(max(stage.glob("steps-*/**/*.pt"), key=lambda file: file.stat().st_size), 0)


def remove(stage: Path) -> None:
    """Remove a state."""
    for state in stage.glob("steps-*"):
        shutil.rmtree(state)


def empty_latest(stage: Path) -> None:
    """Empty the file that names the last state."""
    os.truncate(stage / "latest.json", 0)


def damaged_checkpoints(site: Site, rng: random.Random, kills: int) -> Tried:
    """States of paused trials are cut, emptied or gone after a SIGKILL: no trial fails for it."""
    killed_at(site, lambda: site.count("trial_paused") >= 4)
    stages = sorted(file.parent for file in (site.out / "checkpoints").rglob("latest.json"))
    damages = (halve, empty, remove, empty_latest)
    for stage, damage in zip(stages, damages, strict=False):
        damage(stage)
    wrong = whole(site, site.resume())
    if '"state":"failed"' in site.ledger.read_text():
        wrong = [*wrong, "a trial failed"]
    return Tried(faults=min(len(stages), len(damages)), wrong=wrong)


def damaged_outcome(site: Site, rng: random.Random, kills: int) -> Tried:
    """result.json is empty, and a line of optuna.log holds zeros: both are written anew."""
    wrong = whole(site, site.run())
    result, journal = site.out / "result.json", site.out / "optuna.log"
    before = json.loads(result.read_text())
    result.write_bytes(b"")
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[len(lines) // 2] = bytes(len(lines[len(lines) // 2]) - 1) + b"\n"
    journal.write_bytes(b"".join(lines))
    wrong += whole(site, site.resume())
    after = json.loads(result.read_text() or "{}")
    if {key: after.get(key) for key in ("best", "naive", "trials", "grader_queries")} != {
        key: before[key] for key in ("best", "naive", "trials", "grader_queries")
    }:
        wrong.append("result.json says something else")
    return Tried(faults=2, wrong=wrong)


def newer_ledger(site: Site, rng: random.Random, kills: int) -> Tried:
    """A newer version has written an event that this one does not know."""
    killed_at(site, lambda: site.count("trial_ended") >= 2)
    before = site.ledger.read_bytes()
    site.ledger.write_bytes(before + b'{"at":1.0,"event":"of_tomorrow"}\n')
    wrong = ended(site, site.resume(), 2, "a newer version wrote it")
    site.ledger.write_bytes(before)
    return Tried(faults=1, wrong=[*wrong, *whole(site, site.resume())])


def clock_set_back(site: Site, rng: random.Random, kills: int) -> Tried:
    """Half of the events happened before somebody set the clock back by an hour."""
    killed_at(site, lambda: site.count("trial_ended") >= 2)
    events = [json.loads(line) for line in site.ledger.read_text().splitlines()]
    for event in events[1 : len(events) // 2]:
        event["at"] += HOUR_S
    site.ledger.write_text("".join(json.dumps(event) + "\n" for event in events))
    wrong = whole(site, site.resume())
    outcome = json.loads((site.out / "result.json").read_text())
    if outcome["cost"]["wall_s"] < 0:
        wrong.append(f"wall_s is {outcome['cost']['wall_s']}")
    return Tried(faults=1, wrong=wrong)


def two_starts(site: Site, rng: random.Random, kills: int) -> Tried:
    """Two processes start on one --out at the same moment, with different seeds: one of them runs."""
    drivers = {seed: Site(site.out, site.cache, [*site.settings, f"seed={seed}"]).run() for seed in (0, 7)}
    endings = {seed: driver.wait() for seed, driver in drivers.items()}
    codes = sorted(code for code, _, _ in endings.values())
    wrong = [] if codes == [0, 2] else [f"exit codes {codes}: {endings}"[:500]]
    winner = next((seed for seed, (code, _, _) in endings.items() if code == 0), None)
    kept = yaml.safe_load((site.out / "config.yaml").read_text())["seed"]
    if kept != winner:
        wrong.append(f"config.yaml has seed {kept}, the run {winner}")
    return Tried(faults=1, wrong=[*wrong, *problems(site.out)])


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Set variables of the environment while the block runs."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def left_folders(site: Site, rng: random.Random, kills: int) -> Tried:
    """Three drivers are killed in a temporary directory of their own: the next start leaves nothing there."""
    with tempfile.TemporaryDirectory() as folder, environment(TMPDIR=folder):
        for reached in (1, 3, 5):
            killed_at(site, lambda reached=reached: site.count("rung_reached") >= reached)  # type: ignore[misc]  # a default in a lambda
        left = len(_ours(Path(folder)))
        wrong = [] if left else ["no driver left a folder behind: nothing was tried"]
        wrong += whole(site, site.resume())
        wrong += [f"{path.name} is left" for path in _ours(Path(folder))]
    return Tried(faults=3, wrong=wrong)


def _ours(folder: Path) -> list[Path]:
    return [
        path for path in folder.iterdir() if path.name.startswith(("weak-to-strong-", "wandb-", "out-of-"))
    ]


def slept_driver(site: Site, rng: random.Random, kills: int) -> Tried:
    """A driver sleeps past its lease on a bucket; another machine takes the run over; it wakes up."""
    with s3_server() as (endpoint, store):
        url, homes = "s3://bucket/run?region=us-east-1", [site.out.parent / name for name in ("one", "two")]
        keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
        with environment(AWS_ENDPOINT_URL=endpoint, **keys):
            first = _on_machine(site, homes[0], "run", "configs/dev.yaml", "--out", url, *site._set())
            first.wait_for(lambda: any(b"rung_reached" in content for content in [*store.objects.values()]))
            first.process.send_signal(signal.SIGSTOP)
            second = _on_machine(site, homes[1], "resume", url)
            second.wait_for(lambda: any("/epoch-000002/ledger" in name for name in list(store.objects)))
            first.process.send_signal(signal.SIGCONT)
            wrong = ended(site, first, 1, "has taken over this run; this one stops")
            wrong += ended(site, second)
        copy = homes[1] / local_copy(url).relative_to(Path.home())
        ledger = store.objects["bucket/run/ledger.jsonl"]
    if ledger != (copy / "ledger.jsonl").read_bytes():
        wrong.append("the bucket's ledger is not that of the second driver")
    return Tried(faults=1, wrong=[*wrong, *problems(copy)])


def _on_machine(site: Site, home: Path, *arguments: str) -> Driver:
    """A driver with a home of its own, as on another machine."""
    with environment(HOME=str(home)):
        return site._start(*arguments)


KEPT: dict[str, Case] = {
    "damaged-checkpoints": damaged_checkpoints,
    "damaged-outcome": damaged_outcome,
    "newer-ledger": newer_ledger,
    "clock-set-back": clock_set_back,
    "two-starts": two_starts,
    "left-folders": left_folders,
    "slept-driver": slept_driver,
}
