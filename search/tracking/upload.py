"""Uploads a run to W&B that was tracked offline or in part: python -m search.tracking DIR"""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from search.config.services import TrackingConfig
from search.ledger.record import Record
from search.storage.run_directory import RunDirectory
from search.tracking.launcher import Tracking, wanted_kind
from trainers.printable import one_line

LONGEST_S = 24 * 3600.0  # of an upload
NO_ANSWER_S = 30.0  # without an answer of W&B
NO_PROGRESS_S = 300.0  # with answers, but no run completed
PROBE_S = 5.0  # for a server to answer at all
LOOK_S = 0.2


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What W&B has confirmed: how many of the run's runs it has, and the address of the sweep's page."""

    done: int
    sweep: str | None
    url: str | None


def upload(directory: Path, say: Callable[[str], object]) -> bool:
    """Upload what W&B does not yet have of a run. Returns whether W&B has everything then.

    say: is told the sweep's address, the progress, and why the upload was given up, a line each.
    Raises ValueError if there is no key, no run, W&B is disabled, or a process still works on the run.
    """
    run = RunDirectory(directory)
    with run.locked():
        config, record = run.load()
        kind, why = wanted_kind("online", os.environ)
        if kind != "online":
            raise ValueError(f"{why}; unset it to upload {directory}")
        changed = config.tracking.model_dump() | {"kind": "online", "patience_s": LONGEST_S}
        online = config.model_copy(update={"tracking": TrackingConfig.model_validate(changed)})
        with Tracking(run, online) as tracking:
            tracking.start(record.started)
            tracking.search_ended()
            if not watched(tracking, run.path / "tracking.json", runs_of(record), say):
                tracking.give_up()
    if tracking.complete:
        say(f"W&B has all of {directory}")
    return tracking.complete


def runs_of(record: Record) -> int:
    """How many runs W&B has of a run in the end: its trials and the campaign."""
    return len(record.trials) + 1 if record.trials else 0


def watched(tracking: Tracking, confirmed: Path, total: int, say: Callable[[str], object]) -> bool:
    """Say how far the upload is until it has ended. False, with a line, if W&B doesn't answer."""
    answered = progressed = time.monotonic()
    before = shown = progress(confirmed)
    if shown.url:
        say(f"W&B: {shown.url}")
    while tracking.running:
        time.sleep(LOOK_S)
        now, found = time.monotonic(), progress(confirmed)
        if found != before:
            before, answered, progressed = found, now, now
            if found.url and found.url != shown.url:
                say(f"W&B: {found.url}")
            if found.done != shown.done:
                say(f"{found.done} of {total} runs uploaded")
            shown = found
        elif now - progressed > NO_PROGRESS_S:
            say(f"given up: W&B has completed no run for {NO_PROGRESS_S:.0f} s")
            return False
        elif now - answered > NO_ANSWER_S:
            if not answers(base := os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")):
                say(f"given up: W&B at {urlsplit(base).hostname} has not answered for {NO_ANSWER_S:.0f} s")
                return False
            answered = now
    return True


def progress(confirmed: Path) -> Progress:
    """What tracking.json says, which is replaced as a whole."""
    try:
        found = json.loads(confirmed.read_bytes())
    except (FileNotFoundError, ValueError):
        found = {}
    return Progress(done=len(found.get("online", ())), sweep=found.get("sweep"), url=found.get("url"))


def answers(url: str) -> bool:
    """Whether a server answers there at all, within PROBE_S; an error of its own is no answer."""
    if urlsplit(url).scheme not in ("http", "https"):
        return False
    try:
        with urllib.request.urlopen(url, timeout=PROBE_S):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except (OSError, ValueError):
        return False


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 if W&B has everything, 1 if not, 2 for a mistake in the input."""
    parser = argparse.ArgumentParser(description="Upload a run that was tracked offline or in part to W&B.")
    parser.add_argument("directory", type=Path, metavar="DIR")
    try:
        return 0 if upload(parser.parse_args(arguments).directory, _say) else 1
    except ValueError as error:
        _say(f"error: {one_line(str(error))}")
        return 2


def _say(line: str) -> None:
    sys.stderr.write(f"{one_line(line)}\n")
    sys.stderr.flush()
