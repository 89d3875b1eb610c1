"""Injects every kind of fault into small real runs, and checks that nothing is lost or done twice.

    python -m benchmarks.faults [--kills 20] [--seed 0] [--only CASE ...] [--out JSON]

Each case is a run of its own on the offline task; `kills` times its driver is killed at random moments, from
its first second to its last, and resumed. A fault is survived when the run ends as it should, `resume` brings
it to its end, and `problems` finds every trial exactly once in ledger, Optuna and result.json.
Each start of a driver takes half a minute to a minute. tests/search/policy/test_faults.py does the same in
fewer runs.
"""

import argparse
import json
import logging
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.faults.case import Case, Tried, ended, whole
from benchmarks.faults.data import DATA
from benchmarks.faults.kept import KEPT
from benchmarks.faults.waits import WAITS
from search.cli.output import stdout_for_json, write_json
from tests.small_runs.site import Site

log = logging.getLogger(__name__)

TORN = '{"at":17'
LIMITS = "faults={step_limit_s: 20, start_limit_s: 90, grader_limit_s: 20, workers: 4}"
BEGINNING_S = 6.0  # a kill among these first seconds meets imports, Ray's start and the restored state


def killed_driver(site: Site, rng: random.Random, kills: int) -> Tried:
    """SIGKILL at random moments."""
    driver = site.run()
    for _ in range(kills):
        if rng.random() < 0.25:
            time.sleep(rng.uniform(0, BEGINNING_S))
        else:
            target = site.lines() + rng.randint(1, 6)
            while site.lines() < target and driver.process.poll() is None:
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.3))
        driver.process.kill()
        driver.wait()
        driver = site.resume() if site.lines() else site.run()
    return Tried(faults=kills, wrong=whole(site, driver))


def killed_workers(site: Site, rng: random.Random, kills: int) -> Tried:
    """SIGKILL for workers in the middle of a step; three are fewer than a run bears."""
    driver = site.run()
    for reached in (1, 4, 8):
        driver.wait_for(lambda reached=reached: site.count("rung_reached") >= reached)  # type: ignore[misc]  # a default in a lambda
        driver.kill_one("ResourceTrainable.train")
    return Tried(faults=3, wrong=whole(site, driver))


def killed_grader(site: Site, rng: random.Random, kills: int) -> Tried:
    """SIGKILL for the grader, twice."""
    driver = site.run()
    for reached in (1, 6):
        driver.wait_for(lambda reached=reached: site.count("rung_reached") >= reached)  # type: ignore[misc]  # a default in a lambda
        driver.kill_one("ray::Grader")
    return Tried(faults=2, wrong=whole(site, driver))


def planted(*names: str) -> Case:
    """Faults inside trials, see benchmarks/planted."""

    def case(site: Site, rng: random.Random, kills: int) -> Tried:
        site.plant(*names)
        return Tried(faults=len(names), wrong=whole(site, site.run()))

    return case


def broken_device(site: Site, rng: random.Random, kills: int) -> Tried:
    """A process in which nothing can be trained any more: it is replaced, and no trial fails for it."""
    site.plant("device")
    wrong = whole(site, site.run())
    if '"state":"failed"' in site.ledger.read_text():
        wrong = [*wrong, "a trial failed"]
    return Tried(faults=1, wrong=wrong)


def confirmation_fails(site: Site, rng: random.Random, kills: int) -> Tried:
    """Trainings fail from the beginning of the confirmation on; mended, the run comes to its outcome."""
    driver = site.run()
    driver.wait_for(lambda: site.ledger.is_file() and '"purpose":"confirm"' in site.ledger.read_text())
    site.plant(*(f"raise-{i}" for i in range(20)))
    wrong = ended(site, driver, 1, "then resume")
    for fault in site.faults.iterdir():
        fault.unlink()
    return Tried(faults=1, wrong=[*wrong, *whole(site, site.resume())])


def journal_lost(site: Site, rng: random.Random, kills: int) -> Tried:
    """Optuna's file is gone."""
    driver = site.run()
    driver.wait_for(lambda: site.count("trial_ended") >= 4)
    driver.process.kill()
    driver.wait()
    (site.out / "optuna.log").unlink()
    return Tried(faults=1, wrong=whole(site, site.resume()))


def bad_node(site: Site, rng: random.Random, kills: int) -> Tried:
    """Every worker dies: the run ends soon, and says where they died; mended, it goes on."""
    site.plant("kill-always")
    wrong = ended(site, site.run(), 1, "on node")
    (site.faults / "kill-always").unlink()
    return Tried(faults=1, wrong=[*wrong, *whole(site, site.resume())])


def told_to_stop(*signals: signal.Signals) -> Case:
    """Signals in a row; with everything saved the exit code is 130."""

    def case(site: Site, rng: random.Random, kills: int) -> Tried:
        driver = site.run()
        driver.wait_for(lambda: site.count("trial_ended") >= 2)
        for number in signals:
            driver.process.send_signal(number)
            time.sleep(0.2)
        return Tried(faults=1, wrong=[*ended(site, driver, 130, "resume"), *whole(site, site.resume())])

    return case


def torn_lines(site: Site, rng: random.Random, kills: int) -> Tried:
    """The last lines of ledger and journal are cut short."""
    driver = site.run()
    driver.wait_for(lambda: site.count("trial_ended") >= 2)
    driver.process.kill()
    driver.wait()
    for file in (site.ledger, site.out / "optuna.log"):
        with file.open("a") as torn:
            torn.write(TORN)
    return Tried(faults=2, wrong=whole(site, site.resume()))


def two_resumes(site: Site, rng: random.Random, kills: int) -> Tried:
    """The second process on one directory is refused."""
    driver = site.run()
    driver.wait_for(lambda: site.lines() > 0)
    wrong = ended(site, site.resume(), 2, "another process is at work on this run")
    return Tried(faults=1, wrong=[*wrong, *whole(site, driver)])


def full_disk(site: Site, rng: random.Random, kills: int) -> Tried:
    """No room under the run directory, on a disk of its own of 64 MB; not tried where none can be mounted."""
    disk = site.out.parent / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        return Tried(faults=0, wrong=[])
    try:
        site = Site(disk / "run", site.cache)
        driver = site.run()
        driver.wait_for(lambda: site.count("rung_reached") >= 1)
        fill(disk / "filler")
        wrong = ended(site, driver, 1, "cannot be written (No space left on device)")
        (disk / "filler").unlink()
        return Tried(faults=1, wrong=[*wrong, *whole(site, site.resume())])
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(file: Path) -> None:
    """Leave no room on the disk of this file."""
    with file.open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(b"0" * 4096)
        except OSError:
            return


CASES: dict[str, Case] = (
    {
        "driver-killed": killed_driver,
        "worker-killed": killed_workers,
        "grader-killed": killed_grader,
        "step-hangs": planted("hang"),
        "out-of-memory": planted("oom"),
        "nan": planted("nan"),
        "exception": planted("raise"),
        "broken-device": broken_device,
        "confirmation-fails": confirmation_fails,
        "bad-node": bad_node,
        "sigterm": told_to_stop(signal.SIGTERM),
        "sigint": told_to_stop(signal.SIGINT),
        "two-signals": told_to_stop(signal.SIGTERM, signal.SIGTERM),
        "torn-lines": torn_lines,
        "journal-lost": journal_lost,
        "two-resumes": two_resumes,
        "full-disk": full_disk,
    }
    | KEPT
    | DATA
    | WAITS
)


@stdout_for_json()
def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Inject the faults and print the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20, help="of the driver, at random moments")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="CASE")
    parser.add_argument("--out", type=Path, metavar="JSON")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        place = Path(folder)
        cache = place / "cache"
        code, _, errors = Site(place / "warm", cache).baselines().wait()
        assert code == 0, errors
        for name in options.only:
            site = Site(place / name / "run", cache, [LIMITS])
            site.out.parent.mkdir()
            try:
                tried = CASES[name](site, random.Random(options.seed), options.kills)
            except Exception as error:  # the other cases are tried all the same
                log.exception("the case %s failed", name)
                tried = Tried(faults=1, wrong=[f"{type(error).__name__}: {error}"])
            report[name] = {"faults": tried.faults, "survived": 0 if tried.wrong else tried.faults}
            report[name] |= {"wrong": tried.wrong}
            log.info("%s: %s", name, json.dumps(report[name]))
    report["all"] = {key: sum(case[key] for case in report.values()) for key in ("faults", "survived")}
    write_json(report, indent=2)
    if options.out:
        options.out.write_text(json.dumps(report, indent=2) + "\n")
    return report


if __name__ == "__main__":
    main()
