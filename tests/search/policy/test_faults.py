"""Faults done to real runs. One run meets many of them: starting a driver and its workers is what costs."""

import subprocess
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.__main__ import main
from search.ledger.events import WorkerLost
from search.ledger.log import read_ledger
from search.ledger.record import Record
from search.policy.faults import FaultConfig, Phase, Watchdog, out_of_retries, too_many_lost
from tests.small_runs.settings import ONE_CPU
from tests.small_runs.site import Site
from tests.small_runs.whole import problems

SHORT = ["replication={methods: 1, seeds: 1}", "confirm={finalists: 1, seeds: 2}", "tracking.kind=off"]


def lost(*nodes: str | None, by: int = 1) -> list[tuple[WorkerLost, int]]:
    """A worker lost on each of the nodes when so many trials had started."""
    return [(WorkerLost(trial="t1", node=node, cause=f"cause {i}"), by) for i, node in enumerate(nodes)]


def test_a_few_lost_workers_are_borne_and_a_share_of_many() -> None:
    config = FaultConfig(workers=2, share=0.1)
    assert too_many_lost(config, lost("a", "a"), started=3) is None
    assert too_many_lost(config, lost("a", "b", "b"), started=3) == (
        "3 workers were lost in 3 trials, more than faults.workers and faults.share allow (2); "
        "2 of them on node b, the last because: cause 2. Fix the cause, then resume"
    )
    assert too_many_lost(config, lost("a", "b", "b"), started=30) is None
    assert "allow (3)" in (too_many_lost(config, lost(*"abbb"), started=30) or "")
    assert "(2); the last because" in (too_many_lost(config, lost(None, None, None), started=1) or "")


def test_neither_losses_nor_good_trials_of_long_ago_count() -> None:
    config = FaultConfig(workers=2, share=0.1)
    late = lost(*"a" * 101, by=9_000)
    reason = too_many_lost(config, late, started=9_000)
    assert "101 workers were lost in the last 1000 trials" in (reason or "")
    assert too_many_lost(config, late, started=10_000) is None
    assert too_many_lost(config, late[1:], started=9_000) is None


def test_a_worker_that_was_gone_before_its_trial_began_costs_no_retry() -> None:
    under, before = (
        WorkerLost(trial="t1", node=None, cause="ActorUnavailableError", begun=begun)
        for begun in (True, False)
    )
    config = FaultConfig(retries=2)
    assert not out_of_retries(config, [])
    assert not out_of_retries(config, [under, *[before] * 9, under])
    assert out_of_retries(config, [under] * 3)
    assert out_of_retries(FaultConfig(retries=0), [under])
    assert not out_of_retries(FaultConfig(retries=0), [before])


def test_a_silent_trial_is_overdue_once_and_every_report_gives_it_time() -> None:
    now = 0.0
    watchdog = Watchdog(FaultConfig(step_limit_s=10, start_limit_s=5), lambda: now)
    training: dict[str, Phase] = dict.fromkeys("ab", "training")
    assert watchdog.overdue(training) == {}
    now = 8
    watchdog.reset("b")
    now = 11
    silent = "it reported nothing for faults.step_limit_s (10 s)"
    assert watchdog.overdue(training | {"c": "training"}) == {"a": silent}
    now = 19
    assert watchdog.overdue(training | {"c": "training"}) == {"b": silent}
    assert watchdog.overdue({"c": "training"}) == {}
    now = 40  # a and b have ended and begin anew; c has been silent since 11
    assert watchdog.overdue(training | {"c": "training"}) == {"c": silent}
    now = 51  # it is still there, so killing it did not help
    assert watchdog.overdue({"c": "training"}) == {"c": silent}


def test_a_trial_that_starts_has_a_limit_of_its_own_and_a_fresh_one_when_it_trains() -> None:
    now = 0.0
    watchdog = Watchdog(FaultConfig(step_limit_s=10, start_limit_s=5), lambda: now)
    assert watchdog.overdue({"a": "starting", "b": "starting"}) == {}
    now = 4
    assert watchdog.overdue({"a": "starting", "b": "training"}) == {}
    now = 13
    late = watchdog.overdue({"a": "starting", "b": "training"})
    assert late == {"a": "it was not ready within faults.start_limit_s (5 s)"}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path | None]:
    """A disk of 64 MB, or None where this process may not mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        warnings.warn(f"a full disk goes untested: {mounted.stderr!r}", stacklevel=1)
    yield None if mounted.returncode else place
    if not mounted.returncode:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def only_line(errors: str, start: str) -> str:
    """The one line that tells the user what happened."""
    assert "Traceback" not in errors
    [line] = [line for line in errors.splitlines() if line.startswith(start)]
    return line


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_goes_wrong_in_trials_the_grader_or_on_the_disk(
    warm: Path, tmp_path: Path, disk: Path | None
) -> None:
    site = Site((disk or tmp_path) / "run", warm, [*SHORT, "faults.step_limit_s=12"])
    site.plant("hang", "nan", "oom", "raise")
    driver = site.run()
    driver.wait_for(lambda: site.count("rung_reached") >= 1)
    driver.kill_one("ray::Grader")
    if disk:
        filler = disk / "filler"
        with pytest.raises(OSError, match="No space left"), filler.open("wb") as file:
            file.write(b"0" * 100_000_000)
        code, _, errors = driver.wait()
        assert code == 1
        assert "cannot be written (No space left on device)" in (line := only_line(errors, "failed: "))
        assert f"resume {site.out}" in line
        filler.unlink()
        site.plant("hang-again")  # the driver did not live to see the first one
        driver = site.resume()
    driver.wait_for(lambda: site.count("worker_lost") >= 1)  # the one that hung
    site.plant("kill")  # from outside one might hit the process that hung, on its way out
    code, _, errors = driver.wait()
    assert code == 0, errors
    assert problems(site.out) == []
    events = read_ledger(site.ledger)
    causes = [event.cause for event in events if event.event == "trial_ended" and event.state == "failed"]
    assert sorted(cause.split(":")[0] for cause in causes) == ["Diverged", "OutOfMemory", "RuntimeError"]
    gone = [event.cause for event in events if event.event == "worker_lost"]
    assert sum("it reported nothing" in cause for cause in gone) == 1
    assert sum("its worker was lost" in cause for cause in gone) == 1


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_whatever_ends_the_driver_the_next_one_goes_on(
    warm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # One worker: the test above resumes a run that had two trials in training. What SIGTERM does is tested
    # where a run is finished on another machine.
    settings = [*SHORT, "faults.workers=0", "trial.concurrent=1"]
    site = Site(tmp_path / "run", warm, settings, (ONE_CPU,))
    site.plant("kill-always")
    code, _, errors = site.run().wait()
    assert code == 1
    assert "1 workers were lost" in (line := only_line(errors, "failed: "))
    assert "on node" in line
    (site.faults / "kill-always").unlink()

    driver, before = site.resume(), site.lines()
    driver.wait_for(lambda: site.lines() > before)
    assert main(["resume", str(site.out)]) == 2
    assert "another process is at work on this run" in only_line(capsys.readouterr().err, "error: ")
    driver.wait_for(lambda: site.lines() >= before + 5)
    driver.process.kill()
    driver.wait()
    left = [*driver.others("Trainable"), *driver.others("ray::Grader")]
    deadline = time.monotonic() + 60
    while left and time.monotonic() < deadline:  # Ray's own agents stay for another minute
        time.sleep(0.1)
        left = [*driver.others("Trainable"), *driver.others("ray::Grader")]
    assert left == []

    for file in (site.ledger, site.out / "optuna.log"):
        with file.open("a") as broken:
            broken.write('{"at":17')
    monkeypatch.setenv(*ONE_CPU)
    assert main(["resume", str(site.out)]) == 0
    assert problems(site.out) == []
    record = Record.of(read_ledger(site.ledger))
    assert sum(1 for _ in record.of_purpose("search")) == 8
